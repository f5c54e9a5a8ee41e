"""A decoder against itself: pieces, packing, padding and unrolling change no number."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lleval_jax.errors import BadInput
from lleval_jax.lm.cache import Cache, take_in
from lleval_jax.lm.config import Config, Rotary
from lleval_jax.lm.decoder import Decoder

SIZES = {"vocab": 48, "width": 32, "heads": 4, "kv_heads": 2, "head_dim": 8, "hidden": 48, "context": 64}
LLAMA = Config(layers=2, **SIZES)
GEMMA = Config(
    layers=3,
    **SIZES,
    norm_offset=1.0,
    tied=True,
    qk_norm=True,
    post_norms=True,
    activation="gelu_tanh",
    windows=(4, 4, 0),
    local_rotary=Rotary(100.0),
    embedding_scale=32**0.5,
    attention_cap=2.0,
    final_cap=3.0,
)
NEOX = Config(
    layers=2,
    **{**SIZES, "kv_heads": 4},
    norm="layer",
    gated=False,
    activation="gelu",
    parallel=True,
    rotary=Rotary(share=0.5),
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
)
GPT2 = Config(
    layers=2,
    **{**SIZES, "kv_heads": 4},
    norm="layer",
    gated=False,
    activation="gelu_tanh",
    rotary=None,
    learned_positions=True,
    tied=True,
    scale_by_layer=True,
)
CONFIGS = {"llama": LLAMA, "gemma": GEMMA, "neox": NEOX, "gpt2": GPT2}
CLOSE = {
    "rtol": 0,
    "atol": 1e-5,
}  # float32: sums of up to 48 terms in another order, three layers, logits of size 1 to 6
ROWS, LENGTH = 2, 12
TOKENS = jax.random.randint(jax.random.key(3), (ROWS, LENGTH), 0, 48)


def made(config: Config, **options) -> Decoder:
    """A decoder all of whose weights matter: no bias, norm or residual layer that starts at 0."""
    decoder = Decoder(config, rngs=nnx.Rngs(1), **options)
    state = nnx.state(decoder)
    leaves, tree = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    drawn = [
        leaf + 0.2 * jax.random.normal(key, leaf.shape, leaf.dtype) for leaf, key in zip(leaves, keys, strict=True)
    ]
    nnx.update(decoder, jax.tree.unflatten(tree, drawn))
    return decoder


@functools.cache
def model(family: str) -> Decoder:
    return made(CONFIGS[family])


def over(*quick: str) -> pytest.MarkDecorator:
    """A test over all families, of which only some are in the quick run: they are what takes time to compile."""
    marks = {family: () if family in quick else pytest.mark.slow for family in CONFIGS}
    return pytest.mark.parametrize("family", [pytest.param(family, marks=mark) for family, mark in marks.items()])


@nnx.jit
def whole(decoder: Decoder, tokens, positions=None, segments=None):
    return decoder.logits(decoder.hidden(tokens, positions, segments))


@nnx.jit
def piece(decoder: Decoder, tokens, cache, segments=None):
    hidden, cache = decoder.extend(tokens, cache, segments=segments)
    return decoder.logits(hidden), cache


@pytest.mark.parametrize("form", ["scanned", pytest.param("unrolled", marks=pytest.mark.slow)])
@over("gemma")
def test_pieces_are_the_whole(family, form):
    expected = whole(model(family), TOKENS)
    decoder = model(family).unrolled() if form == "unrolled" else model(family)
    cache, found = decoder.cache(ROWS, 16), []
    for start, end in ((0, 8), (8, 9), (9, 10), (10, 12)):
        logits, cache = piece(decoder, TOKENS[:, start:end], cache)
        found.append(logits)
    np.testing.assert_allclose(np.concatenate(found, 1), expected, **CLOSE)
    assert cache.filled.tolist() == [12, 12]


@over("gpt2")
def test_packed_rows_are_the_rows_alone(family):
    decoder = model(family)
    texts = [TOKENS[0, :5], TOKENS[1, :4], TOKENS[0, 6:]]
    packed = jnp.concatenate([*texts, jnp.zeros(1, jnp.int32)])[None]
    segments = jnp.repeat(jnp.array([1, 2, 3, 0]), jnp.array([5, 4, 6, 1]), total_repeat_length=16)[None]
    found = whole(decoder, packed, None, segments)
    assert np.isfinite(found).all()
    for text, start in zip(texts, (0, 5, 9), strict=True):
        np.testing.assert_allclose(found[0, start : start + len(text)], whole(decoder, text[None])[0], **CLOSE)


@pytest.mark.parametrize("side", ["left", pytest.param("right", marks=pytest.mark.slow)])
@over("llama")
def test_padding_takes_no_room_and_changes_nothing(family, side):
    decoder = model(family)
    expected = whole(decoder, TOKENS)
    pad = (3, 0) if side == "left" else (0, 3)
    tokens = jnp.stack([jnp.pad(TOKENS[0, :4], pad), TOKENS[1, :7]])
    segments = jnp.stack([jnp.pad(jnp.ones(4, jnp.int32), pad), jnp.ones(7, jnp.int32)])
    first, cache = piece(decoder, tokens, decoder.cache(ROWS, 12), segments)
    assert cache.filled.tolist() == [4, 7]
    assert cache.seen.sum(1).tolist() == [4, 7]
    np.testing.assert_allclose(first[0, pad[0] : pad[0] + 4], expected[0, :4], **CLOSE)
    np.testing.assert_allclose(first[1], expected[1, :7], **CLOSE)
    second, _ = piece(decoder, jnp.stack([TOKENS[0, 4:9], TOKENS[1, 7:]]), cache)
    np.testing.assert_allclose(second, jnp.stack([expected[0, 4:9], expected[1, 7:]]), **CLOSE)


@over("gemma")
def test_a_shared_beginning_is_read_once(family):
    decoder = model(family)
    _, cache = piece(decoder, TOKENS[:1, :5], decoder.cache(1, 16))
    ends = jnp.stack([TOKENS[0, 5:9], TOKENS[1, 5:9]])
    expected = whole(decoder, jnp.concatenate((jnp.repeat(TOKENS[:1, :5], 2, 0), ends), 1))[:, 5:]
    found, _ = piece(decoder, ends, cache.repeat(2))
    np.testing.assert_allclose(found, expected, **CLOSE)
    segments = jnp.repeat(jnp.array([1, 2]), 4)[None]
    packed, _ = piece(decoder, ends.reshape(1, 8), cache, segments)  # both ends in one row, each after the beginning
    np.testing.assert_allclose(packed.reshape(2, 4, -1), expected, **CLOSE)


@over("gpt2")
def test_unrolled_is_scanned(family):
    decoder = model(family)
    alone = decoder.unrolled()
    np.testing.assert_allclose(whole(alone, TOKENS), whole(decoder, TOKENS), **CLOSE)
    weight = alone.blocks[1].mlp.up.weight
    assert weight.get_metadata("axes") == ("mlp", "embed")
    np.testing.assert_array_equal(weight[...], decoder.blocks.mlp.up.weight[1])


def test_called_is_compiled():
    decoder = model("gpt2")
    np.testing.assert_allclose(decoder(TOKENS), whole(decoder, TOKENS), **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("unrolled", [False, True])
@pytest.mark.parametrize("recompute", ["products", "everything"])
def test_recomputing_changes_no_gradient(recompute, unrolled):
    def loss(decoder: Decoder) -> jax.Array:
        return jnp.square(decoder.logits(decoder.hidden(TOKENS))).mean()

    plain, other = made(LLAMA), made(LLAMA, recompute=recompute)
    expected = nnx.jit(nnx.grad(loss))(plain.unrolled() if unrolled else plain)
    found = nnx.jit(nnx.grad(loss))(other.unrolled() if unrolled else other)
    for one, two in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)


def test_half_precision_is_near():
    exact, near = model("gemma"), made(GEMMA, compute=jnp.bfloat16)
    logits = whole(near, TOKENS)
    assert logits.dtype == jnp.float32
    assert near.cache(1, 8).keys.dtype == jnp.bfloat16
    assert near.blocks.mlp.up.weight.dtype == jnp.float32
    assert 1e-4 < np.abs(logits - whole(exact, TOKENS)).max() < 0.2  # 8 bits of 3, the cap


def test_a_row_does_not_depend_on_what_follows():
    decoder = model("gemma")
    other = TOKENS.at[:, 8:].set(1)
    np.testing.assert_array_equal(whole(decoder, other)[:, :8], whole(decoder, TOKENS)[:, :8])


def test_a_window_forgets():
    config = Config(layers=1, **SIZES, windows=(4,))
    decoder = made(config)
    changed = TOKENS.at[:, 3].set((TOKENS[:, 3] + 1) % 48)
    differs = np.abs(whole(decoder, changed) - whole(decoder, TOKENS)).max((0, 2)) > 0
    assert differs.tolist() == [3 <= i < 7 for i in range(LENGTH)]  # itself and the three after


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kv_heads": 3}, "heads is 4 and kv_heads 3"),
        ({"layers": 0}, "layers is 0; it must be a whole number above 0"),
        ({"activation": "swish9"}, "activation 'swish9' is not known; there are silu"),
        ({"windows": (1, 2)}, "windows has 2 entries; give one for each of 3 layers"),
    ],
)
def test_a_config_that_cannot_be(change, message):
    with pytest.raises(BadInput, match=message):
        Config(**{"layers": 3, **SIZES, **change})


def test_an_unknown_way_to_recompute():
    with pytest.raises(BadInput, match="recompute 'all' is not known; there are nothing"):
        Decoder(LLAMA, recompute="all")


@pytest.mark.parametrize("by_layer", [False, True])
def test_a_cache_that_grows_holds_what_it_held(by_layer):
    """Rows chosen, repeated and lengthened, by the closed form of what each place holds."""
    cache = Cache.empty(LLAMA, 2, 3, by_layer=by_layer)
    filled = jax.tree.map(lambda part: jnp.arange(part.size).reshape(part.shape).astype(part.dtype), cache)
    keys, values = (np.stack(part) for part in (filled.keys, filled.values))
    assert keys.shape == (2, 2, 2, 8, 3)
    assert values.shape == (2, 2, 2, 3, 8)
    more = filled.take(jnp.array([1, 1, 0]), 2)
    assert more.length == 5
    np.testing.assert_array_equal(np.stack(more.keys)[..., :3], keys[:, [1, 1, 0]])
    np.testing.assert_array_equal(np.stack(more.values)[..., :3, :], values[:, [1, 1, 0]])
    assert not np.stack(more.values)[..., 3:, :].any()
    assert not more.seen[:, 3:].any()
    np.testing.assert_array_equal(more.filled, filled.filled[jnp.array([1, 1, 0])])
    twice = filled.repeat(2).longer(4)
    np.testing.assert_array_equal(np.stack(twice.keys)[..., :3], keys[:, [0, 0, 1, 1]])
    np.testing.assert_array_equal(twice.positions[:, :3], filled.positions[jnp.array([0, 0, 1, 1])])


def test_where_tokens_go():
    """Places of a call's tokens: behind what a row holds, padding nowhere, and nothing past the end."""
    cache = Cache.empty(LLAMA, 3, 5)._replace(
        filled=jnp.array([0, 2, 4]), seen=jnp.arange(5) < jnp.array([[0], [2], [4]])
    )
    segments = jnp.array([[0, 1, 2], [1, 1, 0], [1, 0, 1]])
    positions = jnp.array([[0, 5, 6], [7, 8, 0], [4, 0, 5]])
    after, places = take_in(cache, positions, segments)
    assert places.slots.tolist() == [[5, 0, 1], [2, 3, 5], [4, 5, 5]]
    assert places.sources.tolist() == [[1, 2, -1, -1, -1], [-1, -1, 0, 1, -1], [-1, -1, -1, -1, 0]]
    assert places.owners.tolist() == [[1, 2, 0, 0, 0], [-1, -1, 1, 1, 0], [-1, -1, -1, -1, 1]]
    assert after.positions.tolist() == [[5, 6, 0, 0, 0], [0, 0, 7, 8, 0], [0, 0, 0, 0, 4]]
    assert after.filled.tolist() == [2, 4, 6]
    assert after.seen.sum(1).tolist() == [2, 4, 5]
