"""Low-rank adapters on the decoder and on other modules: nothing changes at the start, and only what learns learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from lleval_jax.errors import BadInput
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import FactorA, FactorB, Lora, LowRank

CONFIG = Config(vocab=37, layers=3, width=16, heads=4, kv_heads=2, head_dim=4, hidden=24, context=32)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 37, (2, 9)))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(CONFIG, rngs=nnx.Rngs(1))


class Perceptron(nnx.Module):
    """A user's own network."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first, self.second = nnx.Linear(6, 10, rngs=rngs), nnx.Linear(10, 3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.second(jnp.tanh(self.first(x)))


def moved(model: nnx.Module, seed: int = 5) -> nnx.Module:
    """Every factor drawn again, so that the update is not zero."""
    for number, (_, each) in enumerate(lora.adapters(model)):
        for k, factor in enumerate((each.a, each.b)):
            key = jax.random.fold_in(jax.random.key(seed), 2 * number + k)
            factor[...] = 0.3 * jax.random.normal(key, factor[...].shape)
    return model


@pytest.mark.parametrize("unrolled", [False, True])
@pytest.mark.parametrize("draw", ["orthonormal", "gaussian", "kaiming", "singular"])
def test_an_adapter_changes_nothing_at_first(decoder: Decoder, draw: str, unrolled: bool) -> None:
    base = decoder.unrolled() if unrolled else decoder
    adapted = lora.attach(base, Lora(rank=2, draw=draw, targets=("query", "mlp.*")))  # type: ignore[arg-type]
    np.testing.assert_array_equal(adapted(TOKENS), base(TOKENS))
    layers = (1 if not unrolled else 3) * 4
    assert len(list(lora.adapters(adapted))) == layers
    assert not list(lora.adapters(base))


def test_the_update_is_the_product_of_the_factors(decoder: Decoder) -> None:
    adapted = moved(lora.attach(decoder, Lora(rank=3, alpha=9, targets=("attention.output",))))
    base, ((_, adapter),) = decoder.blocks.attention.output, list(lora.adapters(adapted))
    told = base.weight[...] + 3.0 * adapter.b[...] @ adapter.a[...]
    np.testing.assert_allclose(lora.merge(adapted).blocks.attention.output.weight[...], told, atol=1e-6)


@pytest.mark.parametrize("unrolled", [False, True])
def test_merged_and_not_are_the_same_model(decoder: Decoder, unrolled: bool) -> None:
    base = decoder.unrolled() if unrolled else decoder
    told = base(TOKENS)
    adapted = moved(lora.attach(base, Lora(rank=2, targets=("*",), stabilised=True)))
    assert np.abs(adapted(TOKENS) - told).max() > 0.1
    np.testing.assert_allclose(lora.merge(adapted)(TOKENS), adapted(TOKENS), atol=1e-5)
    np.testing.assert_array_equal(lora.detach(adapted)(TOKENS), told)


def test_layers_of_flax_are_adapted_too() -> None:
    base, x = Perceptron(nnx.Rngs(0)), jnp.ones((4, 6))
    adapted = lora.attach(base, Lora(rank=2, targets=("first", "second")))
    np.testing.assert_array_equal(adapted(x), base(x))
    moved(adapted)
    np.testing.assert_allclose(lora.merge(adapted)(x), adapted(x), atol=1e-5)


@pytest.mark.parametrize("learn", ["both", "B", "A"])
def test_only_what_learns_learns(decoder: Decoder, learn: str) -> None:
    zero = "A" if learn == "A" else "B"
    adapted = lora.attach(decoder, Lora(rank=2, learn=learn, zero=zero))  # type: ignore[arg-type]
    optimizer = nnx.Optimizer(adapted, optax.adam(1e-2), wrt=lora.learned(learn))  # type: ignore[arg-type]
    before = jax.tree.map(jnp.copy, nnx.state(adapted))

    def loss(model):
        return -jax.nn.log_softmax(model(TOKENS))[..., 5].mean()

    values = []
    for _ in range(3):
        value, grads = nnx.value_and_grad(loss, argnums=nnx.DiffState(0, lora.learned(learn)))(adapted)  # type: ignore[arg-type]
        optimizer.update(adapted, grads)
        values.append(float(value))
    assert values[2] < values[0]
    kinds = {"both": (FactorA, FactorB), "A": (FactorA,), "B": (FactorB,)}[learn]
    for (path, was), (_, now) in zip(nnx.to_flat_state(before), nnx.to_flat_state(nnx.state(adapted)), strict=True):
        changed = not np.array_equal(was[...], now[...])
        assert changed == isinstance(was, kinds), path
    ranks = {x.shape for x in jax.tree.leaves(nnx.state(optimizer.opt_state)) if x.ndim}
    sides = {"both": {(3, 2, 16), (3, 16, 2), (3, 8, 2)}, "B": {(3, 16, 2), (3, 8, 2)}, "A": {(3, 2, 16)}}[learn]
    assert ranks == sides


def test_draws_follow_the_seed_and_the_layer(decoder: Decoder) -> None:
    def a(**settings) -> list[np.ndarray]:
        return [np.asarray(each.a[...]) for _, each in lora.adapters(lora.attach(decoder, Lora(rank=2, **settings)))]

    first, again, other, shared = a(), a(), a(seed=1), a(shared=True)
    for x, y, z in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(x, y)
        assert not np.allclose(x, z)
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first[0][0], first[0][1])
    assert all(np.array_equal(layer, shared[0][0]) for each in shared for layer in each)
    np.testing.assert_allclose(np.einsum("lri,lsi->lrs", first[0], first[0]), [np.eye(2)] * 3, atol=1e-5)


def test_dropout_is_of_the_training_step_only(decoder: Decoder) -> None:
    adapted = moved(lora.attach(decoder, Lora(rank=2, dropout=0.5)))
    quiet = adapted(TOKENS)
    noisy = [lora.with_noise(adapted, jax.random.key(k))(TOKENS) for k in (0, 0, 1)]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert not np.allclose(noisy[0], noisy[2])
    assert not np.allclose(noisy[0], quiet)
    np.testing.assert_array_equal(adapted(TOKENS), quiet)


def test_dropout_keeps_the_mean() -> None:
    base = nnx.Linear(400, 2, rngs=nnx.Rngs(0))
    layer = LowRank(base, jnp.ones((1, 400)), jnp.ones((2, 1)), Lora(rank=1, alpha=1, dropout=0.25))
    x = jnp.ones((2000, 400))
    layer.noise = lora.Noise(jax.random.key(0))
    found = np.asarray(layer(x) - base(x))[:, 0]
    error = np.sqrt(400 * 0.25 / 0.75) / np.sqrt(2000)
    assert abs(found.mean() - 400) < 6 * error


def test_a_frozen_a_keeps_no_input_of_the_layer() -> None:
    """What the backward pass holds of each token, read from the compiled program: less than with A learning."""
    width, tokens, rank = 256, 512, 4
    base = nnx.Linear(width, width, use_bias=False, rngs=nnx.Rngs(0))
    sizes = {}
    for learn in ("both", "B"):
        layer = lora.attach(nnx.Sequential(base), Lora(rank=rank, targets=("*",), learn=learn))  # type: ignore[arg-type]
        graph, some, rest = nnx.split(layer, lora.learned(learn), ...)  # type: ignore[arg-type]
        x = jnp.ones((tokens, width))
        forward = lambda some, x: nnx.merge(graph, some, rest)(x)  # noqa: B023, E731
        _, pull = jax.vjp(lambda some: forward(some, x), some)  # noqa: B023
        sizes[learn] = sum(leaf.size for leaf in jax.tree.leaves(pull) if leaf.shape[:1] == (tokens,))
    assert sizes["B"] == tokens * rank
    assert sizes["both"] >= tokens * (rank + width)


def test_a_decoder_that_learns_b_keeps_no_input_of_an_adapted_layer() -> None:
    """Through the scan over layers: what both need and B does not are the inputs of the adapted layers."""
    sizes = {}
    for learn in ("both", "B"):
        settings = Lora(rank=2, targets=("attention.*", "mlp.*"), learn=learn)  # type: ignore[arg-type]
        adapted = nnx.eval_shape(lambda: lora.attach(Decoder(CONFIG), settings))  # noqa: B023
        graph, some, rest = nnx.split(adapted, lora.learned(learn), ...)  # type: ignore[arg-type]

        def held(some, rest):
            return jax.vjp(lambda some: nnx.merge(graph, some, rest)(TOKENS), some)[1]  # noqa: B023

        leaves = jax.tree.leaves(jax.eval_shape(held, some, rest))
        sizes[learn] = sum(leaf.size for leaf in leaves if {TOKENS.shape[1], TOKENS.size} & {*leaf.shape})
    width, each_layer = CONFIG.width, CONFIG.layers * TOKENS.size
    once = width + CONFIG.heads * CONFIG.head_dim + width + CONFIG.hidden  # of qkv, output, gate and up, down
    by_product = once + 2 * width + width  # or one for each of q, k and v, and of gate and up
    assert (sizes["both"] - sizes["B"]) / each_layer in (once, by_product)


WRONG = [
    (lambda: Lora(rank=0), "the rank is 0; it must be above 0"),
    (lambda: Lora(learn="A"), "learn is 'A' and B begins at zero"),
    (lambda: Lora(dropout=1.0), "dropout is 1.0; it is from 0 to below 1"),
    (lambda: Lora(draw="svd"), "draw"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_settings_that_cannot_be_are_refused(make, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make()


def test_targets_that_match_nothing_and_too_large_ranks_are_refused(decoder: Decoder) -> None:
    with pytest.raises(BadInput, match=r"no linear layer is called 'q_proj'; there are blocks.attention.key, "):
        lora.attach(decoder, Lora(targets=("q_proj",)))
    with pytest.raises(BadInput, match="the rank is 9; a weight of 8 x 16 has at most 8"):
        lora.attach(decoder, Lora(rank=9, targets=("key",)))
    with pytest.raises(BadInput, match="the model has adapters already: blocks.attention.key"):
        lora.attach(lora.attach(decoder, Lora(rank=2)), Lora(rank=2))
