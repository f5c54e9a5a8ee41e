"""Can a question be answered without its picture? Guessing is taken out of the share that can.

The options are shown in m cyclic orders. A guesser without a liking for a position is right s ~ Binomial(m, 1/4) times,
so m times with probability (1/4)^m; a guesser bound to one position is right once at most. One who knows is right m
times. With a share k that is known, all m are right with probability k + (1 - k) / 4^m; the other counts say nothing
about k, so the maximum-likelihood estimate, where EM over {guess, knows} ends, has a closed form, and its interval is
Wilson's interval of the share of all-right questions, mapped.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lleval_jax.live import options, shares
from lleval_jax.live.filters.answers import Answer, of_role
from lleval_jax.live.values import Question, Verdict

NAME = "blind"


class Blind(NamedTuple):
    """What a blind model could do.

    share    that is answerable without the picture, guessing taken out, with interval
    right    share of single answers that are right; a guesser has .25
    tried    questions with m answers that were read
    dropped  of them right in all m orders
    lost     of these, expected number that were guessed
    unread   answers that could not be read
    """

    share: shares.Share
    right: float
    tried: int
    dropped: int
    lost: float
    unread: int


def luck(orders: int) -> float:
    """The probability of guessing right in all orders."""
    return options.COUNT**-orders


def known(share: float, orders: int) -> float:
    """The probability that a question right in all orders is known, where a share is known.

    Example:
        >>> round(known(0.067, 3), 3)
        0.821
    """
    whole = share + (1 - share) * luck(orders)
    return share / whole if whole else 0.0


def estimate(
    questions: Sequence[Question], answers: Iterable[Answer], papers: Mapping[str, str], *, role: str = NAME
) -> Blind:
    """The share that a blind model answers; questions with an answer that was not read are not counted.

    Args:
        questions: that were tried.
        answers: of all roles.
        papers: element -> paper; intervals are clustered by it.
        role: "blind", or "caption": the model was given the caption too.
    """
    given = of_role(answers, role)
    found = [(question, given[question.id]) for question in questions if question.id in given]
    whole = [(question, each) for question, each in found if all(one.pick is not None for one in each)]
    unread = sum(one.pick is None for _, each in found for one in each)
    orders = max((len(each) for _, each in whole), default=0)
    right = [sum(one.pick == question.key for one in each) for question, each in whole]
    hits = [score == len(each) for score, (_, each) in zip(right, whole, strict=True)]
    of = shares.share_of(hits, [papers[question.element] for question, _ in whole])
    chance = luck(orders) if orders else 0.0
    share = of.mapped(lambda value: max(0.0, (value - chance) / (1 - chance)))
    total = sum(len(each) for _, each in whole)
    lost = sum(hits) * (1 - known(share.value, orders)) if hits else 0.0
    return Blind(share, sum(right) / total if total else float("nan"), len(whole), sum(hits), lost, unread)


def verdicts(questions: Sequence[Question], answers: Iterable[Answer], share: float) -> list[Verdict]:
    """Dropped are those right in all orders; the score is the probability that the model knows the answer."""
    given = of_role(answers, NAME)
    return [_verdict(each, given[each.id], share) for each in questions if each.id in given]


def _verdict(question: Question, given: Sequence[Answer], share: float) -> Verdict:
    unread = [each for each in given if each.pick is None]
    right = sum(each.pick == question.key for each in given)
    sure = known(share, len(given)) if right == len(given) else 0.0
    reason = f"answered without the picture in all {len(given)} orders" if right == len(given) else ""
    if unread:
        reason, sure = f"the blind test was not made: {unread[0].reason}", float("nan")
    words = {"question": question.id, "filter": NAME, "score": sure, "request": given[0].request}
    return Verdict(**words, keep=not reason, reason=reason)
