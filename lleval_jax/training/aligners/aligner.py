"""What corrects an answer: a model that learned to, or any model that is asked to. Both work through any client."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lleval_jax.lm import once
from lleval_jax.lm.client import Client, Message, Request
from lleval_jax.training.aligners.criterion import Criterion
from lleval_jax.training.aligners.fitting import fitted, room_of
from lleval_jax.training.aligners.prompts import Asking, read_correction
from lleval_jax.values.pool import Spent
from lleval_jax.values.progress import Tell, silent

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel


class Corrected(NamedTuple):
    """What an aligner says of an answer.

    text    the corrected answer, "" where there is none
    reason  why there is none: "no reply", "empty", "cut", "refused", "filtered", "no correction"
    cut     the aligner did not see all of the question or the answer
    """

    text: str
    reason: str = ""
    cut: bool = False


class Outcome(NamedTuple):
    """Of several answers, and what they cost."""

    rows: tuple[Corrected, ...]
    spent: Spent = Spent()


class Aligner(Protocol):
    """Anything that corrects answers.

    name  of its criterion
    """

    @property
    def name(self) -> str:
        """See above."""
        ...

    def align(self, questions: Sequence[str], answers: Sequence[str], *, tell: Tell = silent) -> Outcome:
        """A correction of each answer; a row's does not depend on the other rows."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Taught:
    """A model that learned to correct (`train.fit_aligner`).

    client  it as a client: `lm.LocalClient`, or that with `lm.cached` around it
    name    of the criterion
    limit   tokens of a correction, at most
    """

    client: Any
    name: str
    limit: int = 256

    @property
    def model(self) -> "LanguageModel":
        """The language model behind the client."""
        return getattr(self.client, "client", self.client).source

    def align(self, questions: Sequence[str], answers: Sequence[str], *, tell: Tell = silent) -> Outcome:
        """As `Aligner`."""
        room = room_of(self.model, self.limit)
        asked = [fitted(self.model.tokens, *pair, room) for pair in zip(questions, answers, strict=True)]
        requests = [
            Request(messages=[Message(*turn) for turn in each.turns], limit=self.limit, seed=0) for each in asked
        ]
        found = once.ask_once(self.client, requests, tell=tell)
        rows = []
        for request, each in zip(requests, asked, strict=True):
            reason, text = once.judged(found[request])
            rows.append(Corrected("" if reason else text, reason, each.cut))
        return Outcome(tuple(rows), once.spent(found))


@dataclasses.dataclass(frozen=True, eq=False)
class Prompted:
    """Any model that is asked to correct, without training: what an aligner must be better than.

    client     who is asked
    criterion  what answers shall be
    asking     limit, seed, words
    """

    client: Client
    criterion: Criterion
    asking: Asking = Asking()

    @property
    def name(self) -> str:
        """Of the criterion."""
        return self.criterion.name

    def align(self, questions: Sequence[str], answers: Sequence[str], *, tell: Tell = silent) -> Outcome:
        """As `Aligner`."""
        pairs = zip(questions, answers, strict=True)
        requests = [self.asking.correction(self.criterion, *pair) for pair in pairs]
        found = once.ask_once(self.client, requests, tell=tell)
        rows = []
        for request in requests:
            reason, text = once.judged(found[request])
            parts = None if reason else read_correction(text)
            if parts is None or not parts[1]:
                rows.append(Corrected("", reason or "no correction"))
            else:
                rows.append(Corrected(parts[1]))
        return Outcome(tuple(rows), once.spent(found))
