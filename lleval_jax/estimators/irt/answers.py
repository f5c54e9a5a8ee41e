"""Which kind of answers each item has: asked for and checked, or chosen from the scores, with the reason.

The rule of "auto", for each group of items:

    only 0 and 1                                      bernoulli
    k / n with weights n                              binomial
    at most 25 evenly spaced grades                   graded response
    else, with a score of exactly 0 or 1              normal
    else                                              of beta, logit-normal and normal, that which best predicts
                                                      answers that were held out
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from lleval_jax.core.irt import kinds
from lleval_jax.errors import BadInput, require
from lleval_jax.layout.answers import dense
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses
from lleval_jax.words import Answers

Asked: TypeAlias = Answers | str | Mapping[str, str]
PLAIN = ("bernoulli", "binomial")  # kinds that the engines for right and wrong fit
CONTINUOUS = ("beta", "logit-normal", "normal")
SHARE, MOST_CELLS = 0.1, 40_000  # of the cells that are held out; cells that tell enough

Judge: TypeAlias = Callable[[Responses, Sequence[str]], dict[str, float]]


class Chosen(NamedTuple):
    """The kind of each item, by name, and why: group -> a sentence."""

    names: tuple[str, ...]
    why: dict[str, str]

    @property
    def plain(self) -> bool:
        """Whether all answers are right or wrong, or k of n."""
        return all(name in PLAIN for name in self.names)


def choose(responses: Responses | SparseResponses, answers: Asked, judge: Judge) -> Chosen:
    """The kind of each item.

    Args:
        responses: scores in [0, 1].
        answers: "auto", one kind for all items ("graded" and "gpcm" find the number of grades; "graded-5" says it), or
            a kind for each item by its name; items that are not named are "auto".
        judge: (answers, names of kinds) -> held-out log density of an answer under each, for continuous scores.

    Raises:
        BadInput: an unknown kind, or a score that a kind does not take, with its row and item.
    """
    if answers == "bernoulli":  # fractions count as shares of an answer: the quasi-likelihood
        return Chosen(("bernoulli",) * len(responses.items), {})
    whole = dense(responses)
    if isinstance(answers, Mapping):
        unknown = sorted(set(answers) - set(whole.items))
        require(not unknown, f"answers names {len(unknown)} items that are not there (first: {unknown[:1]})")
        asked = [answers.get(item, "auto") for item in whole.items]
    else:
        asked = [answers] * len(whole.items)
    names, why = np.empty(len(asked), object), {}
    for g, group in enumerate(whole.groups):
        for family in sorted({one for one, at in zip(asked, whole.group, strict=True) if at == g}):
            index = np.flatnonzero([one == family and at == g for one, at in zip(asked, whole.group, strict=True)])
            part = whole.select([whole.items[i] for i in index])
            name, reason = _auto(part, judge) if family == "auto" else (_named(part, family), "asked for")
            names[index] = name
            why[group if len(set(asked)) == 1 else f"{group}, {family}"] = f"{name}: {reason}"
    return Chosen(tuple(names), why)


def _auto(part: Responses, judge: Judge) -> tuple[str, str]:
    """A kind, and why."""
    scores, weight = part.scores[part.seen], part.weight[part.seen]
    if kinds.of("bernoulli").allows(scores, weight).all():
        return "bernoulli", "all scores are 0 or 1"
    if (weight > 1).any() and kinds.of("binomial").allows(scores, weight).all():
        return "binomial", "scores are k of n repeats, with n as their weight"
    count = grades(scores)
    if count:
        return f"graded-{count}", f"scores are {count} evenly spaced grades"
    at = _first(part, "beta")
    if at is not None:
        return "normal", f"scores are continuous, and {_cell(part, at)}, which rules out beta and logit-normal"
    found = judge(part, CONTINUOUS)
    best = max(found, key=lambda name: found[name])
    told = ", ".join(f"{name} {value:.3f}" for name, value in sorted(found.items(), key=lambda one: -one[1]))
    return best, f"scores are continuous; held-out log density of an answer: {told}"


def grades(scores: np.ndarray) -> int:
    """The least number of evenly spaced grades from 0 to 1 that has all scores; 0 if there is none up to 25."""
    for count in range(2, kinds.MOST_GRADES + 1):
        if kinds.GradedResponse(count).allows(scores, np.ones_like(scores)).all():
            return count
    return 0


def _named(part: Responses, family: str) -> str:
    """The name of a kind that was asked for, if the scores allow it."""
    if family in kinds.ORDERED:
        count = grades(part.scores[part.seen])
        if not count:
            at = next(a for a in np.argwhere(part.seen) if not grades(part.scores[tuple(a)][None]))
            raise BadInput(
                f"answers cannot be {family!r}: {_cell(part, tuple(at))}, which no scale of at most "
                f"{kinds.MOST_GRADES} evenly spaced grades from 0 to 1 has together with the other scores"
            )
        return f"{family}-{count}"
    kind, at = kinds.of(family), _first(part, family)
    if at is not None and family != "bernoulli":
        raise BadInput(f"answers cannot be {family!r}: {_cell(part, at)}; it takes {kind.takes}")
    return family


def _first(part: Responses, name: str) -> tuple[int, int] | None:
    """The first cell whose score a kind does not take."""
    wrong = part.seen & ~kinds.of(name).allows(np.where(part.seen, part.scores, 0.5), np.asarray(part.weight))
    return next((tuple(at) for at in np.argwhere(wrong)), None)


def _cell(part: Responses, at: tuple[int, ...]) -> str:
    weight = part.weight[at]
    more = "" if weight == 1 else f" with weight {weight:g}"
    return f"item {part.items[at[1]]!r} has the score {part.scores[at]:.6g}{more} (model {part.rows[at[0]]!r})"


def hold_out(part: Responses, seed: int) -> tuple[Responses, Responses]:
    """Answers with a share of the cells hidden, and only those; of large matrices, a part."""
    rng = np.random.default_rng(seed)
    most = max(20, MOST_CELLS // max(len(part.rows), 1))
    if len(part.items) > most:
        part = part.select([part.items[i] for i in np.sort(rng.permutation(len(part.items))[:most])])
    hidden = part.seen & (rng.random(part.seen.shape) < SHARE)
    return (
        dataclasses.replace(part, seen=part.seen & ~hidden, scores=np.where(hidden, 0, part.scores), origins=None),
        dataclasses.replace(part, seen=hidden, scores=np.where(hidden, part.scores, 0), origins=None),
    )
