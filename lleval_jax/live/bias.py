"""Does a model do better on questions that its own family made, or filtered, than on others?

Questions of one generator may be harder for all models. So a model's difference between its own family's questions and
the others is compared with that of the models of no family at work: what is left is the bias. Source: LiveXiv's swap of
generator and filter (Shabtay et al. 2024, table 12), in which GPT-4o lost four places.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lleval_jax.errors import require
from lleval_jax.live import shares
from lleval_jax.live.shares import Share
from lleval_jax.live.statistics import Known

FILTERS = ("blind", "judge")


@dataclasses.dataclass(frozen=True)
class Bias:
    """Of one model: what it gains where its own family was at work, in shares of questions, and its interval.

    `role` is "made" or "filtered". `own` questions were made (or answered by a filter) by its family, `others` not;
    `peers` models of other families say what is to be expected.
    """

    model: str
    family: str
    role: str
    own: int
    others: int
    peers: int
    gain: Share


def biases(
    known: Known, answers: Mapping[str, Mapping[str, float]], families: Mapping[str, str], *, level: float = 0.95
) -> list[Bias]:
    """Of each model whose family made or filtered some of the questions, but not all.

    Args:
        known: the version; `Question.made_by` and the models of its answers are names of models or of families.
        answers: model -> question id -> score in [0, 1]. Only questions of the version count.
        families: model -> family, of the models that answer and of those that made and filtered; a model that is not in
            it is a family of its own.
        level: of the intervals, which are clustered by paper.

    Raises:
        BadInput: `level` is not between 0 and 1.

    Example:
        two models, "a" of the generator's family and "b" of none: `biases(known, answers, {"a": "g", "writer": "g"})`
        gives one `Bias` of "a", role "made".
    """
    require(0 < level < 1, f"level is {level:g}; it is between 0 and 1")

    def family(name: str) -> str:
        return families.get(name, name)

    papers = {each.id: known.element(each).paper for each in known.version.questions}
    found = list[Bias]()
    for role, made in {"made": _makers(known), "filtered": _filters(known)}.items():
        by = {id: {family(name) for name in names} for id, names in made.items()}
        at_work = set[str]().union(*by.values()) if by else set[str]()
        peers = [name for name in answers if family(name) not in at_work]
        for name in sorted(answers):
            mine = {id for id, families_ in by.items() if family(name) in families_}
            gain, own, others = _gain(answers[name], [answers[each] for each in peers], mine, set(by), papers, level)
            if own and others and peers:
                found.append(Bias(name, family(name), role, own, others, len(peers), gain))
    return found


def _makers(known: Known) -> dict[str, set[str]]:
    return {each.id: {each.made_by} for each in known.version.questions}


def _filters(known: Known) -> dict[str, set[str]]:
    """Question id -> the models that tested it; {} of one that none did."""
    found = {each.id: set[str]() for each in known.version.questions}
    for each in known.version.answers:
        found[each.question].add(each.model)
    return found


def _gain(
    model: Mapping[str, float],
    peers: Sequence[Mapping[str, float]],
    mine: set[str],
    among: set[str],
    papers: Mapping[str, str],
    level: float,
) -> tuple[Share, int, int]:
    """(the gain, questions of its own family, others): over what the model and some of its peers answered.

    A question's value is the model's score less the mean of its peers; the gain is the difference of two means of it.
    Its variance is that of the linearised difference, summed over papers.
    """
    use = [id for id in sorted(among & set(model)) if any(id in each for each in peers)]
    ahead = np.array([model[id] - np.mean([each[id] for each in peers if id in each]) for id in use])
    own = np.array([id in mine for id in use], bool)
    many, rest = int(own.sum()), int((~own).sum())
    if not many or not rest:
        return shares.NONE, many, rest
    means = ahead[own].mean(), ahead[~own].mean()
    pull = np.where(own, (ahead - means[0]) / many, -(ahead - means[1]) / rest)  # what each question adds
    gain = shares.mean_of(pull * len(use), [papers[id] for id in use], level=level)
    value = float(means[0] - means[1])
    return Share(value, value + gain.low, value + gain.high, len(use), gain.papers), many, rest


def facts(
    known: Known, answers: Mapping[str, Mapping[str, float]], families: Mapping[str, str]
) -> list[dict[str, Any]]:
    """`biases` as the data sheet has them."""
    found = [dataclasses.asdict(each) | {"gain": each.gain._asdict()} for each in biases(known, answers, families)]
    return [each | {"gain": {n: None if v != v else v for n, v in each["gain"].items()}} for each in found]  # no NaN
