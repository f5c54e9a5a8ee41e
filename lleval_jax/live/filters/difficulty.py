"""Marks questions that all models, or none, got right. Nothing is dropped for being easy before it was tried."""

from collections.abc import Mapping, Sequence

from lleval_jax.live.values import Question, Verdict

NAME = "difficulty"
LEAST = 3  # models, before all or none says anything


def verdicts(questions: Sequence[Question], tried: Mapping[str, tuple[int, int]]) -> list[Verdict]:
    """A mark for each question; all are kept.

    Args:
        questions: of a version.
        tried: question id -> (models that got it right, models that tried).
    """
    return [_verdict(each, *tried.get(each.id, (0, 0))) for each in questions]


def _verdict(question: Question, right: int, tried: int) -> Verdict:
    reason = ""
    if tried < LEAST:
        reason = f"{tried} models tried it"
    elif right in (0, tried):
        reason = f"{'all' if right else 'none'} of {tried} models got it right"
    score = right / tried if tried else float("nan")
    return Verdict(question=question.id, filter=NAME, keep=True, score=score, reason=reason)
