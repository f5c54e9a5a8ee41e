"""A language model in this process, as the harness asks it."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lleval_jax import lm
from lleval_jax.harness.made import digest
from lleval_jax.harness.model import Ids, Prompt, Scorer
from lleval_jax.values.progress import Tell, silent

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel
    from lleval_jax.lm.local import LocalClient


def local(path_or_name: str, *, dtype: str = "float32", tell: Tell = silent) -> "Local":
    """The model of a folder, a GGUF file or the registry. `BadInput` as `lm.load`."""
    return Local(lm.load(path_or_name, dtype=dtype, tell=tell))


def scorer_of(model: "Scorer | LanguageModel") -> Scorer:
    """A model as the harness asks it."""
    return model if hasattr(model, "read") else Local(model)  # type: ignore[return-value,arg-type]


class Local:
    """A `Scorer`, and a client for what it writes.

    Example:
        ```python
        found = harness.score_texts(Local(lm.load("smollm2")), "texts.csv", "elements.toml")
        ```
    """

    def __init__(self, model: "LanguageModel") -> None:
        self.model, self.context = model, model.config.context

    def client(self, *, batch: int, tell: Tell = silent) -> "LocalClient":
        """What writes answers."""
        return lm.LocalClient(self.model, batch=batch, tell=tell)

    @property
    def known(self) -> str:
        """Name, and a hash of weights and tokenizer as they were when it was first asked for."""
        return f"{self.model.name} {self._digest}"

    @functools.cached_property
    def _digest(self) -> str:
        return digest(self.client(batch=1).server)

    def require_chat(self) -> None:
        """`BadInput` where it has no chat template."""
        self.model.tokens.chat("Hello")

    def read(self, prompts: Sequence[Prompt]) -> list[Ids]:
        """Tokens of prompts, without blanks at the end of a text."""
        tokens = self.model.tokens
        plain = iter(tokens.encode_all([prompt.rstrip(" ") for prompt in prompts if isinstance(prompt, str)]))
        return [
            [*tokens.begin, *next(plain)] if isinstance(prompt, str) else tokens.chat_tokens(_messages(prompt))
            for prompt in prompts
        ]

    def after(self, before: Sequence[str], answers: Sequence[str]) -> list[Ids]:
        """Tokens of answers as they go on from a text: those of both, without those of the text alone.

        Where both in one piece begin otherwise than the text alone, the answer is taken by itself.
        """
        tokens, bare = self.model.tokens, [text.rstrip(" ") for text in before]
        wholes = [
            first + text[len(first) :] + answer for first, text, answer in zip(bare, before, answers, strict=True)
        ]
        firsts, both, alone = (tokens.encode_all(each) for each in (bare, wholes, answers))
        each = zip(firsts, both, alone, strict=True)
        return [whole[len(first) :] if whole[: len(first)] == first else own for first, whole, own in each]

    def score(self, prompts: Sequence[Ids], answers: Sequence[Ids], *, tell: Tell = silent) -> np.ndarray:
        """Log-probabilities of answers after their prompts, in nats."""
        return lm.score(self.model, prompts, answers, tell=tell).sums


def _messages(turns: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in turns]
