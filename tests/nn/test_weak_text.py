"""What is learned of weak texts, by token: the formulas in float64, the answers alone, any micro-batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nn import tiny_model
from nn.test_supervised import answers
from scipy.special import log_softmax, softmax

from lleval_jax.errors import BadInput
from lleval_jax.lm.logprobs import answer_logprobs
from lleval_jax.training import weak_text
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import batches, loop
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.training.weak_text import TextConfidence, TextProduct, TextSmoothing, WeakText

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (7, 5))
LABELS = np.array([0, 3, 3, 1, 4, 2, 0])
SAYS = [  # loss, share of steps done, its targets from probabilities and one-hot tokens
    (TextSmoothing(0.2), 0.5, lambda p, y: 0.8 * y + 0.2 / 5),
    (TextConfidence(), 0.05, lambda p, y: 0.75 * y + 0.25 * np.eye(5)[p.argmax(1)]),
    (TextConfidence(), 1.0, lambda p, y: 0.5 * y + 0.5 * np.eye(5)[p.argmax(1)]),
    (TextConfidence(jump=True), 0.05, lambda p, y: 0.975 * y + 0.025 * np.eye(5)[p.argmax(1)]),
    (TextConfidence(jump=True), 0.1, lambda p, y: 0.95 * y + 0.05 * np.eye(5)[p.argmax(1)]),
    (TextConfidence(jump=True), 0.1001, lambda p, y: 0.5 * y + 0.5 * np.eye(5)[p.argmax(1)]),
    (TextProduct(), 0.5, lambda p, y: normal(p * (0.9 * y + 0.02))),
    (TextProduct(1.5, 0.5, 0.3), 0.5, lambda p, y: normal(p**0.5 * (0.7 * y + 0.06) ** 1.5)),
    (TextProduct(2.0, 0.0), 0.5, lambda p, y: normal((0.9 * y + 0.02) ** 2)),
]
NONE = [TextSmoothing(0.0), TextConfidence(coef=0.0)]  # cross-entropy


def normal(x: np.ndarray) -> np.ndarray:
    return x / x.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def model() -> tiny_model.Model:
    return tiny_model.model()


@pytest.fixture
def exact():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(("loss", "done", "targets"), SAYS, ids=[f"{loss} {done}" for loss, done, _ in SAYS])
def test_losses_and_gradients_are_as_the_formulas_say(exact, loss: WeakText, done: float, targets) -> None:
    """The gradient of -sum t log p by the logits, targets held, is p - t; differences say the same."""
    wanted = targets(softmax(LOGITS, 1), np.eye(5)[LABELS])

    def told(logits: np.ndarray) -> float:
        return float(-np.sum(wanted * log_softmax(logits, 1)))

    value, slope = jax.value_and_grad(lambda x: -weak_text.gains(x, jnp.asarray(LABELS), loss, done).sum())(
        jnp.asarray(LOGITS)
    )
    np.testing.assert_allclose(value, told(LOGITS), rtol=1e-7)  # the share of a warm-up is float32
    np.testing.assert_allclose(slope, softmax(LOGITS, 1) - wanted, atol=1e-7)
    step = 1e-5 * np.eye(LOGITS.size).reshape(-1, *LOGITS.shape)
    moved = [(told(LOGITS + each) - told(LOGITS - each)) / 2e-5 for each in step]
    np.testing.assert_allclose(slope, np.reshape(moved, LOGITS.shape), atol=1e-7)


@pytest.mark.parametrize("loss", NONE, ids=str)
def test_without_their_share_they_are_cross_entropy(exact, loss: WeakText) -> None:
    found = weak_text.gains(jnp.asarray(LOGITS), jnp.asarray(LABELS), loss, 0.3)
    np.testing.assert_allclose(found, log_softmax(LOGITS, 1)[np.arange(7), LABELS], atol=1e-12)


def dense(model: tiny_model.Model, rows: batches.Rows, loss: WeakText, done: float) -> float:
    """The loss from all logits, in rows that are not packed: answers count, prompts and padding do not."""
    tokens = np.zeros((len(rows.chosen), rows.longest), int)
    for k, row in enumerate(rows.chosen):
        tokens[k, : len(row.tokens)] = row.tokens
    logits, total, count = np.asarray(model.decoder(jnp.asarray(tokens)), float), 0.0, 0
    for k, row in enumerate(rows.chosen):
        asked = slice(row.start, len(row.tokens))
        log_p, y = log_softmax(logits[k], 1)[:-1], np.eye(logits.shape[2])[tokens[k, 1:]]
        targets = np.asarray(loss.targets(jnp.asarray(log_p, jnp.float32), jnp.asarray(y, jnp.float32), done), float)
        total -= float(np.sum(targets[asked.start - 1 : asked.stop - 1] * log_p[asked.start - 1 : asked.stop - 1]))
        count += asked.stop - asked.start
    return total / count


def test_a_step_learns_the_answers_alone(model: tiny_model.Model) -> None:
    """And knows how many steps were made: the share of the predictions has grown to half at the last of two."""
    rows, loss = batches.rows_of(model, answers(3)), TextConfidence(coef=0.8, warm_up=1.0)
    course = loop.Course(model, rows, None, loss, Lora(rank=1), Schedule(steps=2, batch=3, tokens=10_000))
    for number in (0, 1):
        value, _ = course._slope(course.start, rows.chosen, rows.lengths, number)
        np.testing.assert_allclose(value, dense(model, rows, loss, number / 2), rtol=1e-5)


def test_logits_in_parts_are_logits_in_one(model: tiny_model.Model, monkeypatch) -> None:
    tokens = jnp.asarray(RNG.integers(2, 40, (2, 9)))
    places = jnp.array([1, 4, -1, 8, 12, 17])
    told = [weak_text.answer_gains(model.decoder, tokens, places, TextProduct(), 0.5)]
    monkeypatch.setattr(weak_text, "NUMBERS", 4 * model.config.vocab)
    told.append(weak_text.answer_gains(model.decoder, tokens, places, TextProduct(), 0.5))
    np.testing.assert_allclose(told[1], told[0], rtol=1e-6)
    assert told[0][2] == 0
    plain = answer_logprobs(model.decoder, tokens, places)
    np.testing.assert_allclose(weak_text.answer_gains(model.decoder, tokens, places, NONE[1], 1.0), plain, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [TextConfidence(warm_up=0.0), TextProduct(share=0.5)], ids=str)
def test_micro_batches_add_up(model: tiny_model.Model, loss: WeakText) -> None:
    rows, found = batches.rows_of(model, answers()), []
    for size in (10_000, 60):
        course = loop.Course(model, rows, None, loss, Lora(rank=2), Schedule(steps=1, batch=12, tokens=size))
        assert (len(course.packed(rows.chosen)) > 2) == (size == 60)
        found.append(course._slope(course.start, rows.chosen, rows.lengths, 0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), *found)


@pytest.mark.slow
def test_a_run_is_measured_by_cross_entropy_on_held_out_answers(model: tiny_model.Model) -> None:
    schedule = Schedule(steps=6, batch=8, rate=1e-2, evaluate=3)
    words = {"lora": Lora(rank=4), "schedule": schedule, "held_out": answers(5)}
    trained = loop.fit(model, answers(), loss=TextSmoothing(0.5), **words)
    first, last = (record for record in trained.history if "held_out_loss" in record)
    assert last["held_out_loss"] < first["held_out_loss"]
    assert trained.held_out is not None
    assert trained.lengths is not None
    plain = -float(trained.held_out[0].chosen.sum() / trained.lengths.chosen.sum())
    np.testing.assert_allclose(last["held_out_loss"], plain, rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: TextSmoothing(1.0), "share is 1; it is from 0 to below 1"),
        (lambda: TextConfidence(coef=-1), "coef is -1; it is from 0 to 1"),
        (lambda: TextConfidence(warm_up=2), "warm_up is 2"),
        (lambda: TextProduct(alpha=0), "alpha is 0"),
        (lambda: TextProduct(share=0), "share is 0; it is above 0 and below 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        wrong()
