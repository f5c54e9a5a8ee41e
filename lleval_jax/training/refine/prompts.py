"""What the strong model is asked: with demonstrations, for their rule, by that rule, or for a better answer."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from lleval_jax.errors import require
from lleval_jax.lm.client import Message, Request

Pair = tuple[str, str]  # a question and an answer


@dataclasses.dataclass(frozen=True)
class Wording:
    """The sentences around questions and answers; for other languages, or models that need other words.

    shown     before demonstrations, in the system message
    question, answer  before each of both
    infer     after demonstrations: asks for the rule
    improve   after a question and its weak answer: asks for a better one
    """

    shown: str = "Here are questions with their answers. Answer the next question in the same way."
    question: str = "Question:"
    answer: str = "Answer:"
    infer: str = (
        "In one sentence, instruct someone to answer other questions in the way in which these are answered. "
        "Say how to answer, not what these answers say. Give the sentence only."
    )
    improve: str = "Improve the answer where it can be improved. Give the improved answer only."


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How the strong model writes.

    limit        tokens of an answer, at most; an answer that reaches it is cut, and dropped
    temperature  0 takes the most probable token
    seed         of the sampling
    wording      the sentences around questions and answers
    """

    limit: int = 512
    temperature: float = 0.0
    seed: int = 0
    wording: Wording = Wording()

    def by_examples(self, question: str, shown: Sequence[Pair]) -> Request:
        """The question after demonstrations, which are in the system message; without any, the question alone."""
        words = self.wording
        user = f"{words.question} {question}\n{words.answer}"
        if not shown:
            return self._request([Message("user", user)])
        return self._request([Message("system", f"{words.shown}\n\n{self._listed(shown)}"), Message("user", user)])

    def rule(self, shown: Sequence[Pair]) -> Request:
        """For a guideline: one sentence that says how the demonstrations are answered."""
        require(len(shown) > 0, "a rule is inferred from demonstrations; many is 0. Show one at least.")
        return self._request([Message("user", f"{self._listed(shown)}\n\n{self.wording.infer}")])

    def by_rule(self, question: str, guideline: str) -> Request:
        """The question under a guideline, which is the system message."""
        return self._request([Message("system", guideline), Message("user", question)])

    def better(self, question: str, weak: str) -> Request:
        """For an improvement of a weak answer."""
        words = self.wording
        user = f"{words.question} {question}\n{words.answer} {weak}\n\n{words.improve}"
        return self._request([Message("user", user)])

    def _listed(self, shown: Sequence[Pair]) -> str:
        """Demonstrations, a line each for question and answer: a line break in a text cannot begin another one."""
        words = self.wording
        each = (f"{words.question} {' '.join(q.split())}\n{words.answer} {' '.join(a.split())}" for q, a in shown)
        return "\n\n".join(each)

    def _request(self, messages: Sequence[Message]) -> Request:
        settings: dict[str, Any] = {"limit": self.limit, "temperature": self.temperature, "seed": self.seed}
        return Request(messages=messages, stop=(f"\n{self.wording.question}",), **settings)
