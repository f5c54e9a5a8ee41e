"""What is asked for a criterion: topics, questions, corrections, grades, and which of two answers is better.

Demonstrations are turns of a chat, and a question is put on one line before its answer: no text that is corrected can
begin another demonstration, or end its own.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from lleval_jax.lm.client import Message, Request
from lleval_jax.training.aligners.criterion import Criterion
from lleval_jax.values.corrections import plain

CRITIQUE, CORRECTION = "Critique:", "Correction:"
GRADE = re.compile(r"\d+(?:\.\d+)?")
BEST = 10.0  # the best grade


@dataclasses.dataclass(frozen=True)
class Wording:
    """The sentences that are sent; for other languages, or models that need other words.

    topics     asks for topics; {many} is their number
    questions  asks for one question about each topic of a list
    correct    the task of correcting, after the principles
    grade      the task of grading, after the principles
    better     the task of choosing between two answers, after the principles
    """

    topics: str = (
        "List {many} different topics that people ask questions about: one a line, three words at most, "
        "the first letter a capital, nothing else."
    )
    questions: str = "Write one question about each of these topics. One line for each, as the examples have it."
    correct: str = (
        "You see a question and an answer. Say what is wrong with the answer in one sentence that begins with "
        "'Critique:'. Then give the corrected answer, beginning with 'Correction:'. Change no more than is needed; "
        "if nothing is wrong, repeat the answer."
    )
    grade: str = "You see a question and an answer. Grade the answer from 0 to 10. Reply with the number only."
    better: str = "You see a question and two answers. Say which is better. Reply with 1 or 2, or 0 if they are alike."


@dataclasses.dataclass(frozen=True)
class Asking:
    """How all of it is asked.

    limit        tokens of a reply, at most
    temperature  of topics and questions, which shall differ; corrections and grades are the most probable
    seed         of the sampling
    wording      the sentences
    """

    limit: int = 512
    temperature: float = 1.0
    seed: int = 0
    wording: Wording = Wording()

    def topics(self, many: int, draw: int) -> Request:
        """For topics; each draw gives others."""
        text = self.wording.topics.format(many=many)
        return Request.ask(text, limit=self.limit, temperature=self.temperature, seed=self.seed, draw=draw)

    def questions(self, shown: Sequence[str], topics: Sequence[str]) -> Request:
        """For a question about each topic, after examples of questions."""
        examples = "\n".join(f"Example: {plain(each)}" for each in shown)
        listed = "\n".join(f"{topic}:" for topic in topics)
        text = f"{self.wording.questions}\n\n{examples}\n\n{listed}"
        return Request.ask(text, limit=self.limit, temperature=self.temperature, seed=self.seed)

    def correction(self, criterion: Criterion, question: str, answer: str) -> Request:
        """For a critique and a correction of an answer."""
        turns = [Message("system", f"{criterion.principles}\n\n{self.wording.correct}")]
        for each in criterion.demonstrations:
            said = f"{CRITIQUE} {plain(each.critique)}\n{CORRECTION} {each.correction}"
            turns += [Message("user", pair(each.question, each.answer)), Message("assistant", said)]
        return self._probable([*turns, Message("user", pair(question, answer))])

    def grade(self, criterion: Criterion, question: str, answer: str) -> Request:
        """For a grade of an answer: corrections of the demonstrations have the best, their answers the worst."""
        turns = [Message("system", f"{criterion.principles}\n\n{self.wording.grade}")]
        for each in criterion.demonstrations:
            if plain(each.answer) != plain(each.correction):
                turns += [Message("user", pair(each.question, each.answer)), Message("assistant", "0")]
            turns += [Message("user", pair(each.question, each.correction)), Message("assistant", f"{BEST:.0f}")]
        return self._probable([*turns, Message("user", pair(question, answer))], limit=8)

    def better(self, criterion: Criterion, question: str, first: str, second: str) -> Request:
        """Which of two answers is better."""
        system = Message("system", f"{criterion.principles}\n\n{self.wording.better}")
        text = f"Question: {plain(question)}\nAnswer 1: {plain(first)}\nAnswer 2: {plain(second)}"
        return self._probable([system, Message("user", text)], limit=8)

    def _probable(self, messages: Sequence[Message], **more: Any) -> Request:
        return Request(messages=messages, **({"limit": self.limit, "temperature": 0.0, "seed": self.seed} | more))


def pair(question: str, answer: str) -> str:
    """A question on one line, then its answer as it is."""
    return f"Question: {plain(question)}\nAnswer: {answer}"


def read_correction(text: str) -> tuple[str, str] | None:
    """(critique, correction) of a reply; None where it has no correction."""
    before, mark, after = text.partition(CORRECTION)
    if not mark:
        return None
    return before.strip().removeprefix(CRITIQUE).strip(), after.strip()


def read_grade(text: str) -> float | None:
    """A grade as a share of the best; None where a reply gives none."""
    found = GRADE.search(text)
    value = None if found is None else float(found.group()) / BEST
    return value if value is not None and value <= 1 else None


def read_choice(text: str) -> int | None:
    """1 or 2 for the better answer, 0 for neither; None where a reply says none of them."""
    found = GRADE.search(text)
    return {"0": 0, "1": 1, "2": 2}.get(found.group()) if found else None
