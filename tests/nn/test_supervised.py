"""Supervised learning in the loop: the mean a token over the whole batch, for any micro-batches; and in bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from flax import nnx
from nn import tiny_model
from nn.test_training import QUICK, preferences

from lleval_jax.errors import BadInput
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.training import losses
from lleval_jax.training.losses import DPO, SFT, Sides
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.outcome import LIKELIHOODS, likelihood
from lleval_jax.training.run import batches, loop
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.values.preferences import Preferences


def answers(count: int = 12) -> Preferences:
    """Answers of several lengths, all wanted."""
    rows = [{"prompt": f"count to {i % 5}.", "completion": " ".join("1234567"[: 1 + i % 6])} for i in range(count)]
    return Preferences.from_frame(pd.DataFrame(rows))


@pytest.fixture(scope="module")
def model() -> tiny_model.Model:
    return tiny_model.model()


@pytest.mark.slow
def test_the_loss_is_the_mean_of_all_tokens_of_the_answers(model: tiny_model.Model) -> None:
    """By the log-softmax of all logits; and its gradient, in one micro-batch and in several."""
    rows = batches.rows_of(model, answers())
    tokens, asked = np.zeros((2, 12, rows.longest), int)
    for k, row in enumerate(rows.chosen):
        tokens[k, : len(row.tokens)], asked[k, row.start : len(row.tokens)] = row.tokens, 1

    @nnx.jit
    def told(decoder: Decoder) -> jax.Array:
        each = jax.nn.log_softmax(decoder(tokens).astype(jnp.float32))[:, :-1]
        each = jnp.take_along_axis(each, tokens[:, 1:, None], axis=2)[..., 0]
        return -(each * asked[:, 1:]).sum() / asked.sum()

    value, slope = nnx.value_and_grad(told)(model.decoder)
    for size in (10_000, 60):
        course = loop.Course(model, rows, None, SFT(), None, Schedule(steps=1, batch=12, tokens=size))
        assert (len(course.packed(rows.chosen)) > 2) == (size == 60)
        found = course._slope(course.start, rows.chosen, rows.lengths, 0)
        np.testing.assert_allclose(found[0], value, rtol=1e-5)
        for one, other in zip(jax.tree.leaves(found[1]), jax.tree.leaves(nnx.state(slope, nnx.Param)), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.slow
def test_answers_are_learned_without_a_reference(model: tiny_model.Model) -> None:
    words = []
    schedule = Schedule(steps=6, batch=8, rate=1e-2, evaluate=3)
    trained = loop.fit(
        model,
        answers(),
        loss=SFT(),
        lora=Lora(rank=4),
        schedule=schedule,
        held_out=answers(5),
        tell=lambda progress: words.append(progress.word),
    )
    assert "scoring with the reference" not in words
    first, last = (record for record in trained.history if "held_out_loss" in record)
    assert last["held_out_loss"] < first["held_out_loss"]
    np.testing.assert_allclose(last["held_out_perplexity"], np.exp(last["held_out_loss"]), rtol=1e-5)
    assert trained.held_out is not None
    assert trained.lengths is not None
    found = likelihood(trained.held_out[0].chosen, trained.held_out[1].chosen, trained.lengths.chosen, draws=50)
    np.testing.assert_allclose(found.value[0], last["held_out_loss"], rtol=1e-5)
    assert found.value[0] < found.value[1]


def test_of_pairs_the_chosen_answers_are_learned(model: tiny_model.Model) -> None:
    taken = loop.needed(preferences(), SFT())
    assert (len(taken.chosen.answers), taken.rejected.answers) == (24, ())
    with pytest.raises(BadInput, match="DPO needs rejected answers too, and the data has chosen ones only") as refused:
        loop.fit(model, answers(), loss=DPO(), lora=Lora(rank=2), schedule=QUICK)
    assert 'name = "sft"' in refused.value.in_shell()


def test_likelihoods_are_as_counted_and_their_intervals_as_drawn() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, 40, 60).astype(float)
    policy, before = (-tokens * rng.normal(mean, 0.2, 60) for mean in (1.5, 2.0))
    found = likelihood(policy, before, tokens, draws=2000)
    loss, was = -policy.sum() / tokens.sum(), -before.sum() / tokens.sum()
    assert found.group == LIKELIHOODS
    np.testing.assert_allclose(found.value, [loss, was, was - loss, np.exp(loss), np.exp(was)], rtol=1e-5)
    residual = (-policy - loss * tokens) / tokens.mean()  # the delta method for a ratio of means
    np.testing.assert_allclose(found.std_error[0], residual.std() / np.sqrt(60), rtol=0.1)


def halved(compute: str) -> tiny_model.Model:
    """Weights in bfloat16."""
    shape = {"layers": 2, "width": 16, "heads": 4, "kv_heads": 2, "head_dim": 4, "hidden": 24, "context": 48}
    config = Config(vocab=tiny_model.Letters.vocab, **shape)
    return tiny_model.Model(Decoder(config, rngs=nnx.Rngs(0), dtype=jnp.bfloat16, compute=jnp.dtype(compute)))


@pytest.mark.parametrize("adapters", [None, Lora(rank=4)], ids=["all weights", "adapters"])
def test_what_learns_is_float32_where_layers_compute_in_bfloat16(adapters: Lora | None) -> None:
    model = halved("bfloat16")
    course = loop.Course(model, batches.rows_of(model, answers()), None, SFT(), adapters, QUICK)
    state = course.optimizer.init(course.start.learned)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((course.start.learned, state)) if leaf.ndim} == {"float32"}
    fixed = {leaf.dtype.name for leaf in jax.tree.leaves(course.start.fixed) if leaf.ndim}
    assert fixed == (set() if adapters is None else {"bfloat16"})
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model.decoder))} == {"bfloat16"}


@pytest.mark.slow
@pytest.mark.parametrize("adapters", [None, Lora(rank=4)], ids=["all weights", "adapters"])
def test_losses_in_bfloat16_are_those_in_float32_within_one_percent(adapters: Lora | None) -> None:
    """A number in bfloat16 is rounded by 0.4% at most; a loss is a mean over many."""
    schedule = Schedule(steps=4, batch=12, rate=1e-2, tokens=10_000)
    one, other = (
        [
            record["loss"]
            for record in loop.fit(halved(c), answers(), loss=SFT(), lora=adapters, schedule=schedule).history
        ]
        for c in ("float32", "bfloat16")
    )
    assert one != other
    np.testing.assert_allclose(other, one, rtol=0.01)


def test_dominance_is_no_measure_of_supervised_text() -> None:
    ones = Sides(jnp.ones(2), jnp.zeros(0))
    assert set(losses.measures(SFT(), ones, ones, ones)) == {"loss", "perplexity"}
