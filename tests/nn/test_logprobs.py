"""Log-probabilities by chunks of the vocabulary: the same numbers, gradients too, in little memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.lm.logprobs import CHUNKS, Chunks, at_places, token_logprobs

STATES, VOCAB, WIDTH = 13, 53, 8
EPS = np.finfo(np.float32).eps


@pytest.fixture(scope="module")
def problem():
    """States, head, targets, and a number that pulls at each result."""
    rng = np.random.default_rng(0)
    hidden, head, pull = (
        rng.normal(size=shape).astype(np.float32) for shape in ((STATES, WIDTH), (VOCAB, WIDTH), STATES)
    )
    targets = rng.integers(0, VOCAB, STATES).astype(np.int32)
    targets[:2] = 0, VOCAB - 1
    return hidden, head, targets, pull


def exact(hidden, head, targets, cap):
    """The full log-softmax in float64."""
    logits = hidden.astype(np.float64) @ head.astype(np.float64).T
    if cap is not None:
        logits = cap * np.tanh(logits / cap)
    most = logits.max(1, keepdims=True)
    normal = np.log(np.exp(logits - most).sum(1)) + most[:, 0]
    return logits[np.arange(len(targets)), targets] - normal


def full(hidden, head, targets, cap):
    """The same in JAX, all logits at once."""
    logits = hidden @ head.T
    logits = logits if cap is None else cap * jnp.tanh(logits / cap)
    return jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], 1)[:, 0]


CUTS = [(Chunks(), None), (Chunks(7, 5), 2.0), (Chunks(53, 1), None), (Chunks(52, 12), None), (Chunks(1, 13), 2.0)]
scored = jax.jit(token_logprobs, static_argnums=(3, 4))


@pytest.mark.parametrize(("chunks", "cap"), CUTS)
def test_any_chunks_give_the_full_softmax(problem, chunks, cap):
    hidden, head, targets, _ = problem
    found = scored(hidden, head, targets, cap, chunks)
    truth = exact(hidden, head, targets, cap)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, truth, atol=32 * EPS * np.abs(truth).max())
    assert (found <= 0).all()


@pytest.mark.parametrize(("chunks", "cap"), [(Chunks(7, 5), None), (Chunks(52, 12), 2.0)])
def test_gradients_are_those_of_the_full_softmax(problem, chunks, cap):
    hidden, head, targets, pull = problem

    def by(logprobs):
        return jax.jit(jax.grad(lambda h, e: (pull * logprobs(h, e)).sum(), (0, 1)))(hidden, head)

    ours = by(lambda h, e: token_logprobs(h, e, targets, cap, chunks))
    theirs = by(lambda h, e: full(h, e, targets, cap))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=64 * EPS * np.abs(other).max())


def test_a_vocabulary_in_parts_gives_the_same(problem):
    """As devices share it out: each takes its own part of every chunk."""
    hidden, head, targets, pull = problem
    whole = np.concatenate([head, head[:3]])  # 56 tokens, four parts of 14

    def value(chunks):
        return jax.jit(jax.value_and_grad(lambda e: (pull * token_logprobs(hidden, e, targets, None, chunks)).sum()))(
            whole
        )

    (one, of_one), (other, of_other) = value(Chunks()), value(Chunks(4, 5, shards=4))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(of_one, of_other, atol=1e-5)


def test_logits_far_from_zero_neither_overflow_nor_vanish(problem):
    hidden, head, targets, _ = problem
    found = scored(300 * hidden, head, targets, None, Chunks(7, 5))
    truth = exact(300 * hidden, head, targets, None)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, truth, atol=32 * EPS * np.abs(truth).max())


def test_bfloat16_states_are_summed_in_float32(problem):
    """What bfloat16 itself loses is lost before the product, not in it or in the sums."""
    hidden, head, targets, _ = problem
    short = jnp.asarray(hidden, jnp.bfloat16), jnp.asarray(head, jnp.bfloat16)
    found = scored(*short, targets, None, Chunks(7, 5))
    truth = exact(*(np.asarray(one, np.float64) for one in short), targets, None)
    np.testing.assert_allclose(found, truth, atol=32 * EPS * np.abs(truth).max())


def test_places_are_scored_after_the_state_before_them(problem):
    hidden, head, *_ = problem
    tokens = np.arange(12, dtype=np.int32).reshape(2, 6)
    states = hidden[:12].reshape(2, 6, WIDTH)
    found = jax.jit(at_places)(states, head, tokens, np.array([1, 11, -1], np.int32))
    np.testing.assert_allclose(found[:2], exact(hidden[[0, 10]], head, [1, 11], None), rtol=1e-5)
    assert found[2] == 0


def compiled(shape, positions: int, chunks: Chunks, argnums: tuple[int, ...] | None):
    """What the compiled program takes, besides what goes in and comes out, in bytes."""
    shapes = [jax.ShapeDtypeStruct(one, jnp.float32) for one in ((positions, shape[1]), shape)]
    targets = jax.ShapeDtypeStruct((positions,), jnp.int32)

    def value(hidden, head, targets):
        return token_logprobs(hidden, head, targets, None, chunks).sum()

    function = value if argnums is None else jax.grad(value, argnums)
    return jax.jit(function).lower(*shapes, targets).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("argnums", [None, (0,), (0, 1)], ids=["forward", "by states", "by both"])
def test_memory_is_bounded_by_the_chunk(argnums):
    """262,144 tokens and 2,048 states: all logits are 2.1 GB, a chunk is 4.2 MB."""
    vocab, width, positions = 262_144, 64, 2048
    one = 4 * CHUNKS.vocab // 4 * 1024
    states = 4 * positions * width
    taken = compiled((vocab, width), positions, Chunks(CHUNKS.vocab // 4, 1024), argnums)
    assert taken < 4 * one + 4 * states + 4 * (4 * vocab)
    assert taken < 4 * vocab * positions / 50
