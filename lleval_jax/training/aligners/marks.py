"""Question, answer and correction as one row of tokens, whose parts are separated by ids and never by text.

    question INIT answer ALIGNED correction DONE

The three marks are tokens that no text becomes, whatever it holds: numbers past the vocabulary ("added"), each with a
row of the embedding that begins as the mean of all and is learned; or, of a model with a chat template, the control
tokens of its turns ("chat"), which a text cannot write out either. Both are read as a chat of three turns (`turns`).
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from lleval_jax.errors import require
from lleval_jax.lm.layers import Embedding
from lleval_jax.lm.tokens import Tokens
from lleval_jax.training.low_rank.lora import FactorB
from lleval_jax.values.turns import Message, Turns

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

Marks = Literal["added", "chat"]
INIT, ALIGNED, DONE = range(3)  # places among the added rows
ADDED = 3
CORRECT = "Correct your answer."  # the last turn of a chat
LEFT_OUT = " … "  # in place of the middle of an answer that is too long


class Parts(NamedTuple):
    """The token ids of a row, without its marks."""

    question: list[int]
    answer: list[int]
    correction: list[int]


@dataclasses.dataclass(frozen=True, eq=False)
class Marked(Tokens):
    """Tokens of a model with added marks.

    first  number of the first mark, past the vocabulary
    """

    first: int = 0

    @classmethod
    def of(cls, tokens: Tokens, first: int) -> "Marked":
        """The same tokens with marks from this number on."""
        require(first >= tokens.vocab, f"the marks begin at {first}, inside a vocabulary of {tokens.vocab}")
        fields: dict[str, Any] = {each.name: getattr(tokens, each.name) for each in dataclasses.fields(Tokens)}
        fields["eos"] = (first + DONE,)
        return cls(**fields, first=first)

    def chat_tokens(self, messages: Any, **_: Any) -> list[int]:
        """The ids before a correction: of a chat whose first two turns are the question and the answer."""
        question, answer = (each["content"] for each in messages[:2])
        texts = self.encode_all([question, answer])
        return [*self.begin, *texts[0], self.first + INIT, *texts[1], self.first + ALIGNED]

    def form(self, question: str, answer: str, correction: str) -> list[int]:
        """All ids of a row."""
        before = self.chat_tokens([turn._asdict() for turn in turns(question, answer)])
        return [*before, *self.encode(correction), self.first + DONE]

    def parse(self, ids: Sequence[int]) -> Parts:
        """The parts of a row; `decode` gives their texts.

        Raises:
            BadInput: a mark is missing, or stands twice.
        """
        places = []
        for mark, name in enumerate(("INIT", "ALIGNED", "DONE")):
            found = [at for at, token in enumerate(ids) if token == self.first + mark]
            require(len(found) == 1, f"the row has the mark {name} {len(found)} times; it has each mark once")
            places.append(found[0])
        require(places == sorted(places), "the marks of the row are in another order")
        begin, middle, end = places
        return Parts(list(ids[len(self.begin) : begin]), list(ids[begin + 1 : middle]), list(ids[middle + 1 : end]))


def turns(question: str, answer: str) -> Turns:
    """What is read before a correction, as a chat."""
    return (Message("user", question), Message("assistant", answer), Message("user", CORRECT))


def marked(model: "LanguageModel", marks: Marks | None = None) -> tuple["LanguageModel", Marks]:
    """The model that can read and learn corrections, and how it separates their parts.

    Args:
        model: what `lm.load` gives; it stays as it is.
        marks: "added" or "chat"; None: "chat" where the model has a template.

    Raises:
        BadInput: "chat" and the model has no chat template.
    """
    kind: Marks = marks or ("chat" if model.tokens.templates else "added")
    require(kind in ("added", "chat"), f"marks is {marks!r}; it is 'added' or 'chat'")
    if kind == "chat":
        require(bool(model.tokens.templates), f"{model.name} has no chat template; use marks='added'")
        return model, kind
    return _with_rows(model, None), kind


def with_rows(model: "LanguageModel", rows: dict[str, jax.Array]) -> "LanguageModel":
    """The model with rows of marks that were learned, as `rows_of` gave them; its embedding is whole again."""
    return flat(_with_rows(model, rows))


def rows_of(model: "LanguageModel") -> dict[str, jax.Array]:
    """The rows of the marks, (3, width), by the name of the embedding; of a model with added marks."""
    found = {name: each for name in TABLES if (each := getattr(model.decoder, name)) is not None}
    return {name: each.weight[...][-ADDED:] for name, each in found.items()}


def flat(model: "LanguageModel") -> "LanguageModel":
    """The model with the added rows inside its embedding, as any other model has them."""
    decoder: Any = nnx.merge(*nnx.split(model.decoder))
    for name in TABLES:
        if isinstance(grown := getattr(decoder, name), Grown):
            whole: Any = nnx.merge(*nnx.split(grown.base))
            whole.weight = whole.weight.replace(grown.weight)
            setattr(decoder, name, whole)
    return dataclasses.replace(model, decoder=decoder)


class MarkRows(FactorB):
    """Rows of marks, "3 width": they learn with adapters, as their factors B do."""


class Grown(nnx.Module):
    """An embedding with rows of marks after its own."""

    def __init__(self, base: Embedding, rows: jax.Array | None) -> None:
        mean = jnp.mean(base.weight[...].astype(jnp.float32), 0, keepdims=True)
        first = jnp.broadcast_to(mean, (ADDED, mean.shape[1])) if rows is None else jnp.asarray(rows, jnp.float32)
        self.base = base
        self.rows = MarkRows(first, out_sharding=(None, None), eager_sharding=False)

    @property
    def weight(self) -> jax.Array:
        """All rows, "vocab width"."""
        own = self.base.weight[...]
        return jnp.concatenate([own, self.rows[...].astype(own.dtype)])

    def __call__(self, tokens: jax.Array, dtype: Any) -> jax.Array:
        """Rows in `dtype`, "... width"."""
        return jnp.take(self.weight, tokens, axis=0, mode="clip").astype(dtype)


TABLES = ("embedding", "unembedding")  # of a decoder; where both are one, the second is None


def _with_rows(model: "LanguageModel", rows: dict[str, jax.Array] | None) -> "LanguageModel":
    require(model.mesh is None or model.mesh.size == 1, "marks are added to models on one device; use marks='chat'")
    decoder: Any = nnx.merge(*nnx.split(model.decoder))
    for name in TABLES:
        base = getattr(decoder, name)
        if base is not None:
            setattr(decoder, name, Grown(base, None if rows is None else rows[name]))
    first = model.config.vocab
    decoder.config = config = dataclasses.replace(model.config, vocab=first + ADDED)
    return dataclasses.replace(model, decoder=decoder, config=config, tokens=Marked.of(model.tokens, first))
