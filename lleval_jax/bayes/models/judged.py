"""Scores of several judges as arrays: one matrix a judge, of all models and items that any of them scored."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from lleval_jax.errors import require
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult, Source
from lleval_jax.values.sparse import SparseResponses, as_dense

Judged: TypeAlias = Mapping[str, Responses | SparseResponses]
BETWEEN = " before "  # a model before a judge, in messages


class Panel(NamedTuple):
    """Scores by judge.

    judges, models, items  names
    group                  (items,) names of their groups
    scores, seen, weight   (judges, models, items)
    source                 of all
    """

    judges: tuple[str, ...]
    models: tuple[str, ...]
    items: tuple[str, ...]
    group: tuple[str, ...]
    scores: np.ndarray
    seen: np.ndarray
    weight: np.ndarray
    source: Source

    @property
    def answered(self) -> Responses:
        """Which answers any judge scored, and how many did; no scores."""
        seen = np.asarray(self.seen.any(0))
        words = {"rows": self.models, "items": self.items, "group": self.group, "source": self.source}
        return Responses.build(np.zeros(seen.shape), seen=seen, weight=np.maximum(self.weight.sum(0), 1), **words)

    @property
    def stacked(self) -> Responses:
        """A model before a judge as a row, where there is a score."""
        used = np.argwhere(self.seen.any(2).T)  # (model, judge)
        rows = [f"{self.models[m]}{BETWEEN}{self.judges[j]}" for m, j in used]
        m, j = used.T
        seen = self.seen[j, m]
        weight = np.where(seen, self.weight[j, m], 1)
        words = {"seen": seen, "weight": weight, "items": self.items, "group": self.group, "source": self.source}
        return Responses.build(self.scores[j, m], rows=rows, **words)


def panel(value: Judged) -> Panel:
    """All judges side by side.

    Raises:
        BadInput: it is no mapping of judges, there is one alone, one scored nothing, or an item is in two groups.
    """
    several = isinstance(value, Mapping)
    how = "give judge -> Responses; ll.read_judges makes it of a table with a column 'judge'"
    require(several, f"judges is a model of the scores of each judge; {how}")
    named = {str(judge): as_dense(scores) for judge, scores in value.items()}
    known = f"there is one judge, {next(iter(named))!r}" if named else "there are no judges"
    require(
        len(named) > 1, f"{known}; severity needs two at least. Of one judge's scores use bayes.irt(answers='auto')"
    )
    for judge in [judge for judge, scores in named.items() if not scores.seen.any()][:1]:
        require(False, f"judge {judge!r} scored nothing; leave it out")
    models = tuple(dict.fromkeys(row for scores in named.values() for row in scores.rows))
    group: dict[str, str] = {}
    for judge, scores in named.items():
        for item, name in zip(scores.items, (scores.groups[g] for g in scores.group), strict=True):
            before = group.setdefault(item, name)
            require(before == name, f"item {item!r} is in group {name!r} for judge {judge!r}, and in {before!r} before")
    shape = len(named), len(models), len(group)
    found = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape)
    row, item = ({name: i for i, name in enumerate(names)} for names in (models, group))
    source = Source()
    for j, one in enumerate(named.values()):
        at = np.ix_([j], [row[name] for name in one.rows], [item[name] for name in one.items])
        for into, x in zip(found, (np.where(one.seen, one.scores, 0), one.seen, one.seen * one.weight), strict=True):
            into[at] = x
        source = source.merge(one.source)
    return Panel(tuple(named), models, tuple(group), tuple(group.values()), *found, source)


def standing(
    models: tuple[str, ...], judges: tuple[str, ...], seen: np.ndarray, fit: FitResult[IrtParams]
) -> tuple[np.ndarray, np.ndarray]:
    """(models, 1) abilities and (judges,) severities in logits, from a fit to `Panel.stacked`: means, models first.

    seen: (judges, models, items).
    """
    ability, place = fit.params.ability[:, 0], {row: i for i, row in enumerate(fit.rows)}
    scored = seen.any(2)
    found = np.zeros(scored.shape)
    for j, m in np.argwhere(scored):
        found[j, m] = ability[place[f"{models[m]}{BETWEEN}{judges[j]}"]]
    model = found.sum(0) / np.maximum(scored.sum(0), 1)
    lenient = (scored * (found - model)).sum(1) / scored.sum(1)
    return model[:, None], -float(np.mean(fit.params.slope)) * lenient
