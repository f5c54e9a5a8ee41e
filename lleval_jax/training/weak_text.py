"""What a language model learns of weak texts: their tokens, or tokens mixed with what it holds itself.

Supervised text (`losses.SFT`, which is cross-entropy) with other targets t at each token of an answer, those of
`classes.targets` with the vocabulary for classes; they have no gradient:

    loss = - sum over tokens of sum_v t_v log p_v / number of tokens

    TextSmoothing(0.1)      t = (1 - e) token + e / V
    TextConfidence(0.5)     t = (1 - c) token + c likeliest token
    TextProduct()           t in proportion to p^beta w^alpha, w = (1 - e) token + e / V

Held-out answers are measured by cross-entropy whatever is learned, so that losses can be compared. Targets are of each
token by itself: micro-batches of any sizes add up to the same.
"""

import abc
import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax import lax

from lleval_jax.errors import require
from lleval_jax.training.classes.targets import Confidence, Product, Smoothing
from lleval_jax.training.losses import SFT
from lleval_jax.types import Array, Float

if TYPE_CHECKING:
    from lleval_jax.lm.decoder import Decoder

NUMBERS = 2**26  # logits that exist at a time: 256 MiB


class WeakText(SFT, abc.ABC):
    """What the losses of weak texts have in common."""

    @abc.abstractmethod
    def targets(
        self, logits: Float[Array, "tokens vocab"], labels: Float[Array, "tokens vocab"], done: float | Array
    ) -> Float[Array, "tokens vocab"]:
        """As `classes.targets.Targets`, with tokens for texts and the vocabulary for classes."""


@dataclasses.dataclass(frozen=True)
class TextSmoothing(Smoothing, WeakText):
    """Tokens, drawn to equal probabilities of the whole vocabulary.

    share  e of the target that is spread over the vocabulary
    """


@dataclasses.dataclass(frozen=True)
class TextConfidence(Confidence, WeakText):
    """Tokens mixed with the model's own likeliest ones (Burns et al. 2023, arXiv:2312.09390, eq. 1, by token).

    A vocabulary has no balance of two classes to keep: predictions are hardened where they are largest.

    coef     share of the predictions
    warm_up  share of the steps over which it grows to that
    jump     as the original code has it: coef * done over the warm-up, then all at once coef
    """

    def hardened(self, logits: Array, labels: Array) -> Array:
        """(tokens, vocab) 1 at the likeliest token."""
        return jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1])


@dataclasses.dataclass(frozen=True)
class TextProduct(Product, WeakText):
    """The product of the model's probabilities and of weak tokens that are taken to be wrong now and then.

    With alpha = beta = 1 it is Bayes' rule: what the model holds, after a token was seen that is right with probability
    1 - e and otherwise any. A token that is held to be certain would leave nothing to the model.

    alpha  power of the weak tokens, above 0
    beta   power of the model's probabilities; 0 learns the weak tokens, spread
    share  e, the probability that a weak token is drawn from the whole vocabulary; above 0
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.share < 1, f"share is {self.share:g}; it is above 0 and below 1")

    def targets(
        self, logits: Float[Array, "tokens vocab"], labels: Float[Array, "tokens vocab"], done: float | Array
    ) -> Float[Array, "tokens vocab"]:
        """As `WeakText`."""
        return super().targets(logits, Smoothing(self.share).targets(logits, labels, done), done)


LOSSES: dict[str, type] = {"smoothing": TextSmoothing, "confidence": TextConfidence, "product": TextProduct}


def answer_gains(
    decoder: "Decoder",
    tokens: Array,
    places: Array,
    loss: WeakText,
    done: float | Array,
    *,
    positions: Array | None = None,
    segments: Array | None = None,
) -> Float[Array, " n"]:
    """sum_v t_v log p_v at some tokens of a batch: what `lm.logprobs.answer_logprobs` is to cross-entropy.

    Args:
        decoder: a language model.
        tokens: int32 (rows, length).
        places: int32 (n,), where the tokens stand in `tokens.reshape(-1)`; negative for none, whose result is 0.
        loss: what makes targets.
        done: share of all steps that were made, from 0 to 1.
        positions: int32 (rows, length), as `Decoder.hidden` takes them.
        segments: int32 (rows, length), as `Decoder.hidden` takes them.

    Returns:
        float32 (n,), in nats.
    """
    hidden = decoder.hidden(tokens, positions, segments)
    states = hidden.reshape(-1, hidden.shape[-1])[jnp.maximum(places - 1, 0)]
    labels = tokens.reshape(-1)[jnp.maximum(places, 0)]

    def one(given: tuple[Array, Array]) -> Array:
        state, label = given
        return gains(decoder.logits(state)[None], label[None], loss, done)[0]

    size = max(1, NUMBERS // decoder.config.vocab)
    found = lax.map(jax.checkpoint(one), (states, labels), batch_size=size)  # logits are made again on the way back
    return jnp.where(places >= 0, found, 0.0)


def gains(
    logits: Float[Array, "tokens vocab"], labels: Array, loss: WeakText, done: float | Array
) -> Float[Array, " tokens"]:
    """sum_v t_v log p_v of each token, in nats; the gradient takes the targets as they are.

    Args:
        logits: (tokens, vocab), float32 or float64.
        labels: int (tokens,), the weak tokens.
        loss: what makes targets.
        done: share of all steps that were made, from 0 to 1.

    Example:
        >>> gains(jnp.zeros((1, 4)), jnp.array([2]), TextSmoothing(0.1), 0.0).round(4)
        Array([-1.3863], dtype=float32)
    """
    hard = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    targets = lax.stop_gradient(loss.targets(logits, hard, done))
    return jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1)
