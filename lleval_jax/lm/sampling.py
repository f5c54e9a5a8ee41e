"""From logits to the next token: repetition penalty, temperature, top-k, top-p, and a draw with the row's own key.

Everything is written for one row; `vmap` outside. The order of the steps is that of transformers: penalty, temperature,
top-k, top-p among what top-k left. No step sorts the vocabulary: where top-p cuts is found bit by bit, which takes 32
sums over the logits (a seventh of the time of sorting 49,152 of them on a CPU). Equally probable tokens stay together.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lleval_jax.errors import require

COLDEST = 1e-4  # below it, differences of logits would overflow


class Steps(NamedTuple):
    """Which steps a sampling takes, and k: part of a compilation's key, so that what is not asked for costs nothing."""

    penalised: bool
    drawn: bool
    top_k: int
    top_p: bool


class Numbers(NamedTuple):
    """The numbers of a sampling, float32: another temperature compiles nothing."""

    temperature: ArrayLike
    top_p: ArrayLike
    penalty: ArrayLike


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: Logits are divided by it; 0 takes the most probable token (of several, the first).
        top_k: Only tokens no less probable than the k-th; 0 leaves all.
        top_p: Only the most probable tokens that together have this probability; 1 leaves all.
        penalty: Positive logits of tokens that stand in the prompt or were written are divided by it, negative ones
            multiplied (CTRL, arXiv 1909.05858); 1 changes nothing.

    Raises:
        BadInput: a number is out of its range.

    Example:
        >>> Sampling(temperature=0.7, top_p=0.9).steps.top_p
        True
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    penalty: float = 1.0

    def __post_init__(self) -> None:
        cold, most = self.temperature, float("inf")
        fits = cold == 0 or COLDEST <= cold < most
        require(fits, f"temperature is {cold}; it must be 0 (the most probable token) or {COLDEST} and more")
        whole = isinstance(self.top_k, int | np.integer) and self.top_k >= 0
        require(whole, f"top_k is {self.top_k!r}; it must be a whole number of tokens, 0 for all")
        require(0 < self.top_p <= 1, f"top_p is {self.top_p}; it must lie above 0 and at most at 1, which is all")
        require(0 < self.penalty < most, f"penalty is {self.penalty}; it must be above 0; 1 is none")

    @property
    def steps(self) -> Steps:
        """The steps that change anything."""
        drawn = self.temperature > 0
        return Steps(self.penalty != 1, drawn, int(self.top_k) if drawn else 0, drawn and self.top_p < 1)

    @property
    def numbers(self) -> Numbers:
        """The numbers as arrays."""
        values = (self.temperature, self.top_p, self.penalty)
        return Numbers(*(np.asarray(value, np.float32) for value in values))


def pick(logits: jax.Array, used: jax.Array, key: jax.Array, numbers: Numbers, steps: Steps) -> jax.Array:
    """The next token of one row.

    Args:
        logits: "vocab", float32.
        used: "vocab", bool: tokens of the prompt and those written; of any shape where there is no penalty.
        key: This row's key for this token.
        numbers: Of the `Sampling`.
        steps: Of the `Sampling`.

    Returns:
        A token, int32.
    """
    if steps.penalised:
        logits = penalised(logits, used, numbers.penalty)
    if not steps.drawn:
        return jnp.argmax(logits).astype(jnp.int32)
    logits = (logits - logits.max()) / numbers.temperature
    if steps.top_k:
        logits = top_k(logits, steps.top_k)
    if steps.top_p:
        logits = top_p(logits, numbers.top_p)
    return jax.random.categorical(key, logits).astype(jnp.int32)


def penalised(logits: jax.Array, used: jax.Array, penalty: ArrayLike) -> jax.Array:
    """Logits of `used` tokens divided by `penalty` where they are positive, multiplied where negative."""
    return jnp.where(used, jnp.where(logits > 0, logits / penalty, logits * penalty), logits)


def top_k(logits: jax.Array, k: int) -> jax.Array:
    """-inf for tokens less probable than the k-th; those that equal it stay."""
    last = jax.lax.top_k(logits, min(k, logits.size))[0].min()  # [-1] would make XLA sort them all on a CPU
    return jnp.where(logits >= last, logits, -jnp.inf)


def top_p(logits: jax.Array, p: ArrayLike) -> jax.Array:
    """-inf outside of the smallest set of most probable tokens that has probability `p`; all that equal its last stay.

    Nucleus sampling, Holtzman et al., arXiv 1904.09751. The highest bar above which tokens have probability `p` is
    found from its highest bit to its lowest.
    """
    order, probabilities = _order(logits), jax.nn.softmax(logits)

    def bit(i: jax.Array, bar: jax.Array) -> jax.Array:
        higher = bar | (jnp.uint32(1) << (31 - i).astype(jnp.uint32))
        return jnp.where(jnp.where(order >= higher, probabilities, 0).sum() >= p, higher, bar)

    return jnp.where(order >= jax.lax.fori_loop(0, 32, bit, jnp.uint32(0)), logits, -jnp.inf)


def _order(values: jax.Array) -> jax.Array:
    """Whole numbers in the order of float32 values: their bits, negative ones turned around."""
    bits = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.uint32)
    sign = jnp.uint32(1 << 31)
    return jnp.where(bits >= sign, ~bits, bits | sign)
