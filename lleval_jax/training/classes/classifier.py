"""What has learned to classify texts: an encoder, adapters on it, and a head.

The head is a linear layer on one vector a text: the mean of its tokens, its first token, or BERT's pooler on that.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import nnx

from lleval_jax.errors import require
from lleval_jax.lm.embed import TOKENS, Text, embed
from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.layers import Linear
from lleval_jax.lm.text_encoder import TextEncoder
from lleval_jax.training.classes import labelled
from lleval_jax.training.classes.labelled import Label
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.results import Estimate


class Network(nnx.Module):
    """An encoder and a head."""

    def __init__(self, encoder: Encoder, classes: int, rngs: nnx.Rngs) -> None:
        self.encoder = encoder
        self.head = Linear(encoder.config.width, classes, axes=(None, "embed"), rngs=rngs, bias=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier:
    """Says of which class a text is.

    encoder   adapters attached
    head      linear, from the width of the encoder to the classes
    classes   what is distinguished, in the order of `predict`'s columns
    pooling   how a text becomes one vector: "mean", "first" or "pooler"
    lora      which adapters; None if all weights learned
    history   one record a step: "step", "loss", "norm", "rate", "tokens", "seconds"; of evaluations "held_out_loss" and
              "held_out_accuracy"
    ended     "steps" or "patience"
    held_out  accuracy on the held-out texts: `accuracy`; None without any
    """

    encoder: TextEncoder
    head: Linear
    classes: tuple[Label, ...]
    pooling: str
    lora: Lora | None
    history: tuple[dict[str, float], ...] = ()
    ended: str = ""
    held_out: Estimate | None = None

    def predict(self, texts: Sequence[Text], *, batch: int = TOKENS, tell: Tell = silent) -> np.ndarray:
        """Probabilities, float32 (texts, classes); a text's do not depend on the other texts.

        Args:
            texts: texts, or pairs of them that are read together.
            batch: tokens computed at once, padding included.
            tell: called as it goes on.
        """
        logits = self.logits(texts, batch=batch, tell=tell)
        found = np.exp(logits - logits.max(1, keepdims=True))
        return found / found.sum(1, keepdims=True)

    def logits(self, texts: Sequence[Text], *, batch: int = TOKENS, tell: Tell = silent) -> np.ndarray:
        """What `predict` takes the softmax of, float32 (texts, classes)."""
        vectors = embed(self.encoder, texts, pooling=self.pooling, unit=False, batch=batch, tell=tell)
        weight, bias = (np.asarray(each[...], np.float32) for each in (self.head.weight, self.head.bias))  # type: ignore[union-attr]
        return vectors @ weight.T + bias

    def accuracy(self, texts: Sequence[Text], labels: Sequence[Label], *, level: float = 0.95) -> Estimate:
        """The share of texts whose likeliest class is their label, and the same of each class: Wilson's intervals."""
        _, truth = labelled.checked(texts, labels, self.classes, "text")
        return labelled.accuracy(self.predict(texts), truth, self.classes, self.encoder.name, level)

    def merged(self) -> TextEncoder:
        """A plain encoder with this head: for `lm.classify`, `lm.save_encoder`, and so for transformers.

        Raises:
            BadInput: the head does not read the pooler, as that of BERT and RoBERTa does.
        """
        word = f"the head reads the {self.pooling!r} vector of a text; transformers' reads the pooler"
        require(self.pooling == "pooler", word, python="Pass pooling='pooler' to `fit`.")
        encoder = nnx.merge(*nnx.split(lora.merge(self.encoder.encoder)))
        encoder.classifier, labels = nnx.data(self.head), tuple(map(str, self.classes))
        encoder.config = config = dataclasses.replace(self.encoder.config, labels=labels)
        return dataclasses.replace(self.encoder, encoder=encoder, config=config)


def network(encoder: Encoder, adapters: Lora | None, classes: int, seed: int) -> Network:
    """An encoder, adapters attached, with a head drawn from a seed."""
    adapted = encoder if adapters is None else lora.attach(encoder, adapters)
    return Network(adapted, classes, nnx.Rngs(seed))


def learned(adapters: Lora | None) -> Any:
    """The filter of what learns."""
    return nnx.Param if adapters is None else nnx.Any(nnx.PathContains("head"), lora.learned(adapters.learn))
