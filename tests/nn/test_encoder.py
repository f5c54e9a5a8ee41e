"""The encoder: what it may depend on, and what it may not."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lleval_jax.errors import BadInput
from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.encoder_config import EncoderConfig

TINY = EncoderConfig("bert", vocab=50, layers=2, width=32, heads=4, hidden=64, positions=24, labels=("no", "yes"))
VERBS = ("pooled", "classify")
TEXT = np.array([[5, 6, 7, 8, 9]], np.int32)
TOLERANCE = 32 * 2 * np.finfo(np.float32).eps * 10  # rounding of sums of 32 in two layers, of numbers up to 10


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """Random, with weights so large that every part shows."""
    made, draw = Encoder(TINY), np.random.default_rng(1)
    state = nnx.state(made, nnx.Param)
    nnx.update(made, jax.tree.map(lambda x: np.asarray(x) + 0.2 * draw.normal(size=x.shape).astype("f4"), state))
    return made


@functools.partial(jax.jit, static_argnums=(0, 1), static_argnames=("pooling", "unit"))
def compiled(verb: str, shape: Any, state: Any, tokens: Any, **given: Any) -> jax.Array:
    return getattr(nnx.merge(shape, state), verb)(tokens, **given)


def hidden(encoder: Encoder, tokens: Any, **given: Any) -> np.ndarray:
    return np.asarray(compiled("hidden", *nnx.split(encoder), tokens, **given))


def pooled(encoder: Encoder, tokens: Any, **given: Any) -> np.ndarray:
    return np.asarray(compiled("pooled", *nnx.split(encoder), tokens, **given))


def padded(tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(tokens, segments) of a row filled up with a token that means something elsewhere."""
    rest = ((0, 0), (0, length - tokens.shape[1]))
    return np.pad(tokens, rest, constant_values=3), np.pad(np.ones_like(tokens), rest)


def test_padding_changes_nothing(encoder: Encoder) -> None:
    tokens, segments = padded(TEXT, 9)
    np.testing.assert_allclose(hidden(encoder, tokens, segments=segments)[:, :5], hidden(encoder, TEXT), atol=TOLERANCE)
    for pooling in ("mean", "first", "pooler"):
        filled = pooled(encoder, tokens, segments=segments, pooling=pooling)
        np.testing.assert_allclose(filled, pooled(encoder, TEXT, pooling=pooling), atol=TOLERANCE)


def test_texts_in_one_row_are_as_in_rows_of_their_own(encoder: Encoder) -> None:
    other = np.array([[30, 31, 32]], np.int32)
    row = np.concatenate((TEXT, other, [[3]]), 1)
    found = hidden(encoder, row, segments=np.array([[1] * 5 + [2] * 3 + [0]]))
    np.testing.assert_allclose(found[:, :5], hidden(encoder, TEXT), atol=TOLERANCE)
    np.testing.assert_allclose(found[:, 5:8], hidden(encoder, other), atol=TOLERANCE)


def test_every_token_sees_every_other_and_its_place_and_its_type(encoder: Encoder) -> None:
    whole = hidden(encoder, TEXT)
    for changed in (
        hidden(encoder, np.array([[5, 6, 7, 8, 10]])),  # the last token, seen by the first
        hidden(encoder, TEXT, positions=np.array([[0, 1, 2, 3, 7]])),
        hidden(encoder, TEXT, types=np.array([[0, 0, 0, 0, 1]])),
    ):
        assert np.abs(whole - changed)[0, 0].max() > 100 * TOLERANCE


def test_the_mean_is_of_a_texts_tokens_and_a_unit_vector_has_length_1(encoder: Encoder) -> None:
    tokens, segments = padded(TEXT, 9)
    each = hidden(encoder, tokens, segments=segments)[:, :5]
    mean = pooled(encoder, tokens, segments=segments)
    np.testing.assert_allclose(mean, each.mean(1), atol=TOLERANCE)
    unit = pooled(encoder, tokens, segments=segments, unit=True)
    np.testing.assert_allclose(unit, mean / np.linalg.norm(mean), atol=TOLERANCE)
    empty = pooled(encoder, tokens, segments=np.zeros_like(segments), unit=True)
    np.testing.assert_array_equal(empty, 0)  # not NaN


def test_the_head_reads_the_pooler(encoder: Encoder) -> None:
    first, vectors = (pooled(encoder, TEXT, pooling=pooling) for pooling in ("first", "pooler"))
    np.testing.assert_allclose(vectors, np.tanh(encoder.pooler(first)), atol=TOLERANCE)
    logits = compiled("classify", *nnx.split(encoder), TEXT)
    np.testing.assert_allclose(logits, encoder.classifier(vectors), atol=TOLERANCE)


def test_products_may_be_in_bfloat16_and_results_are_float32() -> None:
    half = Encoder(TINY, compute=jnp.bfloat16)
    types = [jax.eval_shape(lambda x, verb=verb: getattr(half, verb)(x), TEXT).dtype for verb in ("hidden", *VERBS)]
    assert types == [jnp.bfloat16, jnp.float32, jnp.float32]


def test_what_is_not_there_is_named() -> None:
    bare = Encoder(dataclasses.replace(TINY, labels=(), pooled=False))
    with pytest.raises(BadInput, match="no classification head: its config has no labels"):
        bare.classify(TEXT)
    with pytest.raises(BadInput, match="no pooler"):
        bare.pooled(TEXT, pooling="pooler")
    with pytest.raises(BadInput, match="pooling 'max' is not known; there are mean, first, pooler"):
        bare.pooled(TEXT, pooling="max")
