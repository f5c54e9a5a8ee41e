"""The choice of the next token: each step against its definition in NumPy, and draws against their probabilities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from lleval_jax.errors import BadInput
from lleval_jax.lm import sampling
from lleval_jax.lm.sampling import Sampling

FALSE_ALARM = 1e-6  # of each statistical test of this file
SEEDS = range(3)


def logits_of(seed: int, size: int = 300) -> np.ndarray:
    """Logits of both signs, some equal."""
    return np.round(3 * np.random.default_rng(seed).standard_normal(size), 1).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


def penalised(logits: np.ndarray, used: set[int], penalty: float) -> np.ndarray:
    """Token by token."""
    out = logits.astype(np.float64)
    for token in used:
        out[token] = out[token] / penalty if out[token] > 0 else out[token] * penalty
    return out


def best_k(logits: np.ndarray, k: int) -> set[int]:
    """The k best, and what equals the last of them."""
    last = sorted(logits, reverse=True)[:k][-1]
    return {token for token, value in enumerate(logits) if value >= last}


def nucleus(logits: np.ndarray, p: float) -> set[int]:
    """From the best on until the sum reaches p; tokens of equal probability come in together."""
    probabilities, kept, total = softmax(logits), set(), 0.0
    for value in sorted(set(logits), reverse=True):
        if total >= p:
            break
        same = np.flatnonzero(logits == value)
        kept |= set(same.tolist())
        total += probabilities[same].sum()
    return kept


def probabilities(logits: np.ndarray, how: Sampling, used: set[int]) -> np.ndarray:
    """Of the next token, all steps by their definitions."""
    z = penalised(logits, used, how.penalty) / how.temperature
    if how.top_k:
        kept = best_k(z, how.top_k)
        z = np.array([value if token in kept else -np.inf for token, value in enumerate(z)])
    if how.top_p < 1:
        kept = nucleus(z, how.top_p)
        z = np.array([value if token in kept else -np.inf for token, value in enumerate(z)])
    return softmax(z)


def kept(logits: jax.Array) -> set[int]:
    return set(np.flatnonzero(np.isfinite(logits)).tolist())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("penalty", [0.5, 1.3])
def test_penalty(seed: int, penalty: float) -> None:
    logits, used = logits_of(seed), set(range(0, 300, 7))
    mask = np.isin(np.arange(300), list(used))
    found = sampling.penalised(jnp.asarray(logits), jnp.asarray(mask), jnp.float32(penalty))
    np.testing.assert_allclose(found, penalised(logits, used, penalty), rtol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 2, 10, 299, 300, 10_000])
def test_top_k(seed: int, k: int) -> None:
    """Also of more tokens than there are, which leaves all."""
    logits = logits_of(seed)
    assert kept(sampling.top_k(jnp.asarray(logits), k)) == best_k(logits, k)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("p", [1e-6, 0.1, 0.5, 0.9, 0.999])
def test_top_p(seed: int, p: float) -> None:
    logits = logits_of(seed)
    assert kept(sampling.top_p(jnp.asarray(logits), jnp.float32(p))) == nucleus(logits, p)


def test_cuts_keep_what_was_cut_before() -> None:
    """-inf stays -inf, and nothing becomes NaN, where all but one token are gone."""
    logits = jnp.array([0.0, -jnp.inf, -jnp.inf, -jnp.inf])
    assert kept(sampling.top_k(logits, 3)) == {0}
    assert kept(sampling.top_p(logits, jnp.float32(0.99))) == {0}


@pytest.mark.parametrize(
    "how",
    [
        Sampling(temperature=1.0),
        Sampling(temperature=0.6, penalty=1.5),
        Sampling(temperature=1.4, top_k=5),
        Sampling(temperature=1.2, top_p=0.7),
        Sampling(temperature=2.0, top_k=12, top_p=0.8, penalty=1.2),
    ],
    ids=str,
)
def test_draws_have_their_probabilities(how: Sampling) -> None:
    """Chi-squared of 20,000 draws with a key each; tokens expected fewer than 10 times are taken together."""
    logits, used, draws = logits_of(3, 40) / 2, {0, 5, 11}, 20_000
    chances = probabilities(logits, how, used)
    mask = jnp.isin(jnp.arange(40), jnp.array(sorted(used)))
    keys = jax.random.split(jax.random.key(1), draws)
    choose = functools.partial(sampling.pick, numbers=how.numbers, steps=how.steps)
    tokens = jax.jit(jax.vmap(lambda key: choose(jnp.asarray(logits), mask, key)))(keys)
    counts, expected = np.bincount(tokens, minlength=40), draws * chances
    assert not counts[chances == 0].any()
    rare = expected < 10
    groups = [(counts[i], expected[i]) for i in np.flatnonzero(~rare)] + [(counts[rare].sum(), expected[rare].sum())]
    observed, right = np.array([group for group in groups if group[1] >= 10]).T
    statistic = ((observed - right) ** 2 / right).sum()
    assert statistic < chi2.isf(FALSE_ALARM, len(right) - 1)


def test_without_temperature_the_best_is_taken_after_the_penalty() -> None:
    logits = jnp.array([1.0, 3.0, 3.0, 2.5])
    how = Sampling(top_k=1, top_p=0.1)
    key = jax.random.key(0)
    assert sampling.pick(logits, jnp.zeros(0, bool), key, how.numbers, how.steps) == 1
    used, how = jnp.array([False, True, True, False]), Sampling(penalty=2.0)
    assert sampling.pick(logits, used, key, how.numbers, how.steps) == 3


def test_the_coldest_temperature_takes_the_best() -> None:
    how = Sampling(temperature=sampling.COLDEST)
    logits = jnp.array([-1e30, 1e4, 1e4 - 1, 1e30])
    assert sampling.pick(logits, jnp.zeros(0, bool), jax.random.key(0), how.numbers, how.steps) == 3


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"temperature": -1.0}, "temperature is -1.0; it must be 0"),
        ({"temperature": 1e-5}, "temperature is 1e-05; it must be 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": -1}, "top_k is -1; it must be a whole number of tokens, 0 for all"),
        ({"top_k": 2.5}, "top_k is 2.5"),
        ({"top_p": 0.0}, "top_p is 0.0; it must lie above 0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"penalty": 0.0}, "penalty is 0.0; it must be above 0"),
    ],
)
def test_numbers_out_of_range_are_named(numbers: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Sampling(**numbers)
