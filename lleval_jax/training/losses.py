"""What a model learns from: supervised text, DPO, IPO, KTO, and alignment by optimal transport (AOT).

A loss is a function of the log-probabilities of whole answers in a batch, and nothing else:

    loss.value(policy, known, weights) -> a number

with `Sides(chosen, rejected)` of summed log-probabilities in nats. What is known before training is of preferences the
same under the reference, of supervised text how many tokens each answer has. The gradient with respect to the policy's
sums is therefore all that the model's backward pass needs: `pull` gives it, so a batch that does not fit is added up
from micro-batches without changing the loss, whatever it sorts or averages over the batch.

Signs: chosen minus rejected, large is good.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax, nn

from lleval_jax.core import transport
from lleval_jax.errors import require
from lleval_jax.types import Array, Float

Penalty = Literal["logistic", "squared_hinge", "least_squares", "hinge"]
PENALTIES: dict[str, Callable[[Array, float], Array]] = {
    "logistic": lambda gap, beta: nn.softplus(-beta * gap),
    "squared_hinge": lambda gap, beta: jnp.square(nn.relu(beta - gap)),
    "least_squares": lambda gap, beta: jnp.square(beta - gap),
    "hinge": lambda gap, beta: nn.relu(-gap),
}


class Sides(NamedTuple):
    """Summed log-probabilities of answers, in nats; or their weights, 0 for what only pads a batch.

    chosen    (n,) of the answers that were preferred, or labelled good
    rejected  (m,) of the others; paired losses need m = n and the same order
    """

    chosen: Float[Array, " n"]
    rejected: Float[Array, " m"]


class Loss(Protocol):
    """What `AOT`, `DPO`, `IPO`, `KTO` and `SFT` have in common."""

    def value(self, policy: Sides, known: Sides, weights: Sides, /) -> Float[Array, ""]:
        """The loss of a batch."""
        ...


def pull(loss: Loss, policy: Sides, known: Sides, weights: Sides) -> tuple[Float[Array, ""], Sides]:
    """The loss, and its derivative with respect to each answer's log-probability.

    The gradient of the whole batch in the model's parameters is that of `sum(stop(derivative) * logprob)`, which is a
    sum over answers: micro-batches add up to it exactly.

    Example:
        >>> sums = Sides(jnp.zeros(2), jnp.zeros(2))
        >>> value, derivative = pull(AOT(beta=0.01), sums, sums, Sides(jnp.ones(2), jnp.ones(2)))
        >>> derivative.chosen
        Array([-0.0025, -0.0025], dtype=float32)
    """
    return jax.value_and_grad(loss.value)(policy, known, weights)


@dataclasses.dataclass(frozen=True)
class AOT:
    """Alignment by optimal transport (Melnyk et al. 2024, arXiv:2406.05882).

    The distribution of the chosen answers' rewards shall dominate that of the rejected at first order: quantile by
    quantile, not pair by pair. The loss is the integral over t of h(Q_u(t) - Q_v(t)).

    unpaired (eq. 4)  u = log-ratio of the chosen to the reference, v = that of the rejected; two samples of any sizes
    paired   (eq. 6)  u = the policy's margin chosen - rejected, v = the reference's margin; one number a pair

    Attributes:
        beta: slope of the logistic penalty; margin of the squared hinge and of least squares. The paper's is 0.01.
        paired: whether rows are pairs of one prompt.
        penalty: h, one of `PENALTIES`.
        sort: "hard", or "soft" (equal samples only): `transport.soft_sort`.
        softness: of the soft sort; the paper's is 0.1.
        smoothing: share of labels taken to be wrong; logistic only.
    """

    beta: float = 0.01
    paired: bool = False
    penalty: Penalty = "logistic"
    sort: Literal["hard", "soft"] = "hard"
    softness: float = 0.1
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        require(self.penalty in PENALTIES, f"penalty is {self.penalty!r}; it is one of {', '.join(PENALTIES)}")
        require(self.sort in ("hard", "soft"), f"sort is {self.sort!r}; it is 'hard' or 'soft'")
        require(self.softness > 0, f"softness is {self.softness}; it is above 0")
        _require_smoothing(self.smoothing, self.penalty)

    def samples(self, policy: Sides, reference: Sides) -> tuple[Array, Array]:
        """The two samples u and v of rewards, of which u shall dominate."""
        if self.paired:
            _require_pairs(policy)
            return policy.chosen - policy.rejected, reference.chosen - reference.rejected
        return policy.chosen - reference.chosen, policy.rejected - reference.rejected

    def value(self, policy: Sides, reference: Sides, weights: Sides) -> Float[Array, ""]:
        """The transport cost of the batch; sorted over all of it, over however many devices it lies."""
        u, v = self.samples(policy, reference)
        of_u = weights.chosen
        of_v = weights.chosen if self.paired else weights.rejected
        if self.sort == "soft":
            require(len(u) == len(v), f"a soft sort needs samples of one size, not {len(u)} and {len(v)}")
            gap, mass = _softly(u, v, of_u, self.softness)
        else:
            met = jax.tree.map(lax.stop_gradient, transport.coupling(u, v, of_u, of_v))
            gap, mass = u[met.first] - v[met.second], met.mass
        return jnp.sum(mass * _smoothed(gap, self.beta, self.penalty, self.smoothing))


@dataclasses.dataclass(frozen=True)
class DPO:
    """Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290, eq. 7): pair by pair.

    Attributes:
        beta: strength of the tie to the reference.
        smoothing: share of labels taken to be wrong (conservative DPO).
    """

    beta: float = 0.1
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        _require_smoothing(self.smoothing, "logistic")

    def value(self, policy: Sides, reference: Sides, weights: Sides) -> Float[Array, ""]:
        """The mean over pairs."""
        return _mean(_smoothed(_margin(policy, reference), self.beta, "logistic", self.smoothing), weights.chosen)


@dataclasses.dataclass(frozen=True)
class IPO:
    """Identity preference optimisation (Azar et al. 2023, arXiv:2310.12036, eq. 17): margins are drawn to 1 / (2 beta).

    Attributes:
        beta: the paper's tau; small lets the policy go far.
    """

    beta: float = 0.1

    def value(self, policy: Sides, reference: Sides, weights: Sides) -> Float[Array, ""]:
        """The mean over pairs."""
        return _mean(jnp.square(_margin(policy, reference) - 1 / (2 * self.beta)), weights.chosen)


@dataclasses.dataclass(frozen=True)
class KTO:
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv:2402.01306, eq. 8): good and bad answers, unpaired.

    The reference point is the batch's mean log-ratio, at least 0 and without a gradient: the paper's estimate from
    mismatched prompts costs one more pass of both models, and is noisier.

    Attributes:
        beta: slope.
        good: weight of a chosen answer.
        bad: weight of a rejected one.
    """

    beta: float = 0.1
    good: float = 1.0
    bad: float = 1.0

    def value(self, policy: Sides, reference: Sides, weights: Sides) -> Float[Array, ""]:
        """The mean over all answers, of both sides."""
        u, v = policy.chosen - reference.chosen, policy.rejected - reference.rejected
        both, weight = jnp.concatenate([u, v]), jnp.concatenate([weights.chosen, weights.rejected])
        point = lax.stop_gradient(nn.relu(_mean(both, weight)))
        good = self.good * nn.sigmoid(-self.beta * (u - point))
        bad = self.bad * nn.sigmoid(-self.beta * (point - v))
        return _mean(jnp.concatenate([good, bad]), weight)


@dataclasses.dataclass(frozen=True)
class SFT:
    """Supervised fine-tuning: the chosen answers are learned as they are, without alternatives and without a reference.

    The mean negative log-probability a token of the answers (their prompts do not count), over all tokens of a batch
    alike: long answers weigh more, and micro-batches of any sizes add up to the same.
    """

    def value(self, policy: Sides, tokens: Sides, weights: Sides) -> Float[Array, ""]:
        """Nats a token; `tokens` are those of each answer."""
        return -jnp.sum(weights.chosen * policy.chosen) / jnp.sum(weights.chosen * tokens.chosen)


LOSSES: dict[str, type] = {"aot": AOT, "dpo": DPO, "ipo": IPO, "kto": KTO, "sft": SFT}


def measures(loss: Loss, policy: Sides, known: Sides, weights: Sides) -> dict[str, Float[Array, ""]]:
    """The loss of held-out answers, and what it means: perplexity of `SFT`; of others dominance of the log-ratios."""
    value = loss.value(policy, known, weights)
    if isinstance(loss, SFT):
        return {"loss": value, "perplexity": jnp.exp(value)}
    found = dominance(policy.chosen - known.chosen, policy.rejected - known.rejected)
    return {"loss": value, **found._asdict()}


class Dominance(NamedTuple):
    """How far the chosen rewards are from dominating the rejected at first order.

    violated  share of quantile levels at which the chosen lie below the rejected, from 0 (dominates) to 1
    area      their mean distance there, in nats: the W1 distance to the nearest sample that dominates
    margin    mean distance of the quantiles, in nats: the mean of the chosen less that of the rejected
    distance  W1 distance of the two samples, in nats
    """

    violated: Float[Array, ""]
    area: Float[Array, ""]
    margin: Float[Array, ""]
    distance: Float[Array, ""]


def dominance(u: Float[Array, " n"], v: Float[Array, " m"]) -> Dominance:
    """First-order dominance of the sample u over v, by their quantiles (Melnyk et al. 2024, section 2, appendix F).

    Example:
        >>> dominance(jnp.array([1.0, 2.0]), jnp.array([0.0, 3.0])).violated
        Array(0.5, dtype=float32)
    """
    met = transport.coupling(u, v)
    gap = u[met.first] - v[met.second]
    below = (gap < 0) & (met.mass > 0)
    return Dominance(
        violated=jnp.sum(jnp.where(below, met.mass, 0.0)),
        area=jnp.sum(met.mass * nn.relu(-gap)),
        margin=jnp.sum(met.mass * gap),
        distance=jnp.sum(met.mass * jnp.abs(gap)),
    )


def _smoothed(gap: Array, beta: float, penalty: str, smoothing: float) -> Array:
    h = PENALTIES[penalty]
    return h(gap, beta) if smoothing == 0 else (1 - smoothing) * h(gap, beta) + smoothing * h(-gap, beta)


def _softly(u: Array, v: Array, weight: Array, softness: float) -> tuple[Array, Array]:
    """Gaps of two softly sorted samples of one size, and their mass: all that count count alike."""
    kept = jnp.arange(len(u)) < jnp.sum(weight > 0)
    gap = transport.soft_sort(u, softness, weight > 0) - transport.soft_sort(v, softness, weight > 0)
    return jnp.where(kept, gap, 0.0), kept / jnp.sum(kept)


def _margin(policy: Sides, reference: Sides) -> Array:
    """(n,) the log-ratio of the chosen less that of the rejected, pair by pair."""
    _require_pairs(policy)
    return policy.chosen - reference.chosen - (policy.rejected - reference.rejected)


def _mean(value: Array, weight: Array) -> Array:
    return jnp.sum(weight * value) / jnp.sum(weight)


def _require_pairs(sides: Sides) -> None:
    chosen, rejected = len(sides.chosen), len(sides.rejected)
    message = f"pairs need as many chosen as rejected answers; there are {chosen} and {rejected}"
    require(
        chosen == rejected,
        message,
        python="Use AOT(paired=False) or KTO.",
        shell='Say name = "aot" without paired, or "kto", in [loss].',
    )


def _require_smoothing(smoothing: float, penalty: str) -> None:
    require(0 <= smoothing < 0.5, f"smoothing is {smoothing}; it is from 0 to below 0.5")
    require(smoothing == 0 or penalty == "logistic", f"smoothing goes with the logistic penalty, not {penalty!r}")
