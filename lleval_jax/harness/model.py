"""What the harness asks of a language model that scores: prompts and answers as tokens, and how probable these are."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lleval_jax.errors import require
from lleval_jax.lm.client import Client
from lleval_jax.values.progress import Tell, silent

Turn = tuple[str, str]  # role, text
Prompt = str | tuple[Turn, ...]  # a text as it is, or turns for the model's chat template
Ids = Sequence[int]  # tokens


class Scorer(Protocol):
    """A model that gives log-probabilities; `harness.local.Local` makes one of a `LanguageModel`.

    context  tokens of prompt and answer together, at most
    """

    context: int

    @property
    def known(self) -> str:
        """How it is known in the record of a table: another model has another."""
        ...

    def client(self, *, batch: int, tell: Tell = silent) -> Client:
        """What writes answers, so many at a time."""
        ...

    def require_chat(self) -> None:
        """`BadInput` where it has no chat template."""
        ...

    def read(self, prompts: Sequence[Prompt]) -> list[Ids]:
        """Tokens of prompts, without blanks at the end of a text."""
        ...

    def after(self, before: Sequence[str], answers: Sequence[str]) -> list[Ids]:
        """Tokens of answers as they go on from a text; blanks at its end belong to the answer. Of a chat it is ""."""
        ...

    def score(self, prompts: Sequence[Ids], answers: Sequence[Ids], *, tell: Tell = silent) -> np.ndarray:
        """(rows,) log-probabilities of answers after their prompts, in nats, summed over tokens."""
        ...


def require_fits(prompt: Ids, more: int, context: int, what: str) -> None:
    """`BadInput` for a prompt that is empty, or longer than the context with what comes after it."""
    require(len(prompt) > 0, f"{what}: the prompt is empty; a model goes on from something")
    size = f"{len(prompt):,} tokens, and {more:,} of its answer; the model's context is {context:,}"
    require(len(prompt) + more <= context, f"{what} has {size}")
