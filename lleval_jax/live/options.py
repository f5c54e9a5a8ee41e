"""Rules of the four options of a question: distinct, and none known by its length."""

from collections.abc import Iterable, Sequence

from lleval_jax.live.numbers import alike, number

COUNT = 4
RATIO = 2.0  # of the lengths of two textual options, at most
SHORT = 6  # letters that a shorter option counts as


def wrong_with(options: Sequence[str]) -> str:
    """What is wrong with a question's options, in a few words; "" where nothing is.

    Example:
        >>> wrong_with(["12.3", "12.30", "7", "8"])
        "'12.3' and '12.30' say the same"
    """
    if len(options) != COUNT:
        return f"there are {len(options)} options; there must be {COUNT}"
    if any(not each.strip() for each in options):
        return "an option is empty"
    for i, one in enumerate(options):
        for other in options[i + 1 :]:
            if alike(one, other):
                return f"{one!r} and {other!r} say the same"
    lengths = [max(len(each), SHORT) for each in options if number(each) is None]
    if lengths and max(lengths) > RATIO * min(lengths):
        return f"one option has {max(lengths)} letters, another {min(lengths)}: the length may give the key away"
    return ""


def distractors(key: str, near: Iterable[str]) -> list[str] | None:
    """The first three of `near` that make good options together with the key; None where there are not so many."""
    found: list[str] = []
    for each in near:
        if not any(alike(each, other) for other in (key, *found)) and _fits(each, (key, *found)):
            found.append(each)
        if len(found) == COUNT - 1:
            return found
    return None


def _fits(one: str, others: Sequence[str]) -> bool:
    """Whether its length is near to theirs."""
    if number(one) is not None:
        return True
    lengths = [max(len(each), SHORT) for each in (one, *others)]
    return max(lengths) <= RATIO * min(lengths)
