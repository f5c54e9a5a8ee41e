"""LiveXiv's re-evaluation of few models as published, kept to measure against; `refresh.panel` is what to use.

Shabtay et al. 2024, *LiveXiv*, arXiv:2410.10783, and its code (`livexiv/efficient_eval.py`, commit 67866da): a Rasch
model P(model m answers item i) = sigma(theta_m - beta_i) of all versions together. Items that all their models answer
alike have no finite maximum: they lie where the search stops, so how it starts, slows and ends is part of the method
and followed to the letter (`published_kernel`). Only the random numbers it starts from are others than torch's.
"""

import functools
from collections.abc import Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from lleval_jax.core.precision import precise
from lleval_jax.errors import require, require_known, require_level
from lleval_jax.estimators import contract
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.refresh.published_kernel import Answers, Block, Found, Search, start
from lleval_jax.types import Array, Status
from lleval_jax.values.params import RefreshPaperParams
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import Choice, Estimate, FitResult, Source

By = Literal["fisher", "coreset"]
CITE = ("shabtay2024livexiv",)
MAX_EPOCHS = 10_000
PERCENTILES = {"fisher": (5, 95), "coreset": (0, 100)}  # of the difficulties, of the abilities


def fit(versions: Sequence[Responses], *, seed: int = 0, strict: bool = False) -> FitResult[RefreshPaperParams]:
    """The joint Rasch model of all versions so far, by the published search.

    Loss: mean over the cells seen of -(y log(p + 1e-5) + (1 - y) log(1 - p + 1e-5)), no prior. A row that a version
    lacks, or an item without its answer, is not seen. Every answer counts once, whatever its weight.

    Args:
        versions: of a benchmark, in order; rows are models and are known by name. A version may hold only the models
            that were evaluated on it. Items of two versions are never the same, even if their names are: then all
            names get the number of their version before them, "v2/name".
        seed: of the start: beta, then theta, from N(0, 1).
        strict: raise `NotConverged` rather than warn.

    Returns:
        Abilities, difficulties and the answers themselves; `ended` counts epochs and has the loss's log likelihood.

    Raises:
        BadInput: there is no version, a model or an item has no answer, or versions have no evaluated model in common.
        NotConverged: with `strict`, there were 10,000 epochs and the loss still fell.
    """
    versions = list(versions)
    _require_fit(versions)
    rows = tuple(dict.fromkeys(row for version in versions for row in version.rows))
    scores, seen = _joined(versions, rows)
    with precise("float64"):
        key = jax.random.key(seed)
        data = _lay_out(scores, seen, [len(version.items) for version in versions], key)
        found = contract.solve(Search(MAX_EPOCHS), data, key)
    return _result(jax.tree.map(np.asarray, found), versions, rows, scores, seen, seed, strict)


def _result(
    found: Found,
    versions: list[Responses],
    rows: tuple[str, ...],
    scores: np.ndarray,
    seen: np.ndarray,
    seed: int,
    strict: bool,
) -> FitResult[RefreshPaperParams]:
    """The names back on, and how the search ended."""
    how = ended(
        "the published search",
        Status(int(found.status)),
        int(found.steps),
        advice="another seed may help",
        strict=strict,
        value=-float(found.value) * int(seen.sum()),
        error=float(found.error),
        counted="epochs",
    )
    groups, group = _groups(versions)
    version = np.repeat(np.arange(len(versions)), [len(version.items) for version in versions])
    theta, beta = np.asarray(found.theta), np.asarray(found.beta)
    params = RefreshPaperParams(theta, beta, version, scores, seen, group, np.zeros(len(beta)))
    names = tuple(f"v{i + 1}" for i in range(len(versions)))
    source = functools.reduce(Source.merge, (version.source for version in versions))
    return FitResult(
        params=params._replace(beta_var=1 / _curvature(params).sum(0)),
        axes={"models": rows, "items": _item_names(versions), "domains": groups, "versions": names},
        ended=how,
        method="Rasch, LiveXiv as published",
        settings={"seed": seed},
        source=source.merge(Source(seed=seed, cite=CITE)),
    )


def choose(fit: FitResult[RefreshPaperParams], *, k: int, force: Sequence[str] = (), by: By = "fisher") -> Choice:
    """Which models to run on the next version.

    "fisher", as in the paper's figures: of `k` items, nearest to percentiles 5 to 95 of all difficulties, each takes
    the model with most information on it, p (1 - p); models that are taken twice leave room, filled one by one by the
    model whose ability is on average farthest from those chosen. "coreset": the models nearest to percentiles 0 to 100
    of the abilities; taken twice, they leave room, and fewer than `k` are chosen.

    Args:
        fit: from `fit`.
        k: how many models, forced ones apart.
        force: models to run in any case. The others are chosen as if these were not there; models that no version
            has seen need no choice: run them.
        by: "fisher" or "coreset".

    Returns:
        Rows are the models: chosen, in the order of the fit, then those that fill the room, then forced ones. All
        items of the next version are for them to answer, so `items` names none.

    Raises:
        BadInput: `k` is less than 1 or more than the models there are, a forced model is not in the fit, or `by` is
            another word.
    """
    require_known(by, get_args(By), "by")
    some = f"there are {len(fit.rows)}, such as {list(fit.rows[:3])}"
    for name in force:
        require(name in fit.rows, f"there is no model {name!r} to force; {some}")
    pool = [i for i, name in enumerate(fit.rows) if name not in force]
    require(1 <= k <= len(pool), f"k is {k}; there are {len(pool)} models to choose from")
    theta = fit.params.theta.astype(float)[pool]
    if by == "fisher":
        chosen, added = _by_fisher(theta, fit.params.beta.astype(float), k)
    else:
        centres = np.percentile(theta, np.linspace(*PERCENTILES[by], k))
        chosen, added = _nearest(theta, centres), []
    why = ["most information" if by == "fisher" else "nearest to a percentile"] * len(chosen)
    why += ["ability far from those chosen"] * len(added) + ["forced"] * len(dict.fromkeys(force))
    rows = (*(fit.rows[pool[i]] for i in [*chosen, *added]), *dict.fromkeys(force))
    return Choice(rows=rows, items=((),) * len(rows), why=tuple(why), source=fit.source, whole=True)


def estimate(fit: FitResult[RefreshPaperParams], *, version: int = -1, level: float = 0.95) -> Estimate:
    """Each model's score on a version: the mean over its items of the answer where seen and of p elsewhere.

    The paper gives no interval. Here it is the model's own: p (1 - p) for each answer not seen, and the unknowns'
    inverse information, abilities and difficulties together, by the delta method; normal. It knows nothing of models
    that change between versions, of items without a finite difficulty or of Rasch being wrong, and is too narrow. A
    model that answered all items of a group has its score, exactly.

    Args:
        fit: from `fit`.
        version: index among the versions fitted; the last one by default.
        level: coverage of the intervals.

    Returns:
        One entry a model and group, "all" first and then the domains that the version has, in [0, 1]; `n_seen` is the
        number of the model's answers to items of the group in this version.

    Raises:
        BadInput: there is no such version, or `level` is not between 0 and 1.
    """
    count = len(fit.axes["versions"])
    require(-count <= version < count, f"version is {version}; the fit has {count}, numbered from 0")
    require_level(level)
    p, groups = fit.params, fit.axes["domains"]
    items = p.version == version % count
    group = p.domain[items]
    parts = [g for g in np.unique(group) if np.any(group != g)]
    names = [WHOLE, *(groups[g] for g in parts)]
    member = np.stack([np.ones(len(group), bool), *(group == g for g in parts)], 1).astype(float)
    seen, filled = p.seen[:, items], np.where(p.seen, p.scores, _probability(p))[:, items]
    value = np.clip(filled @ member / member.sum(0), 0, 1)
    sd = np.sqrt(_variance(p, items, member))
    half = stats.norm.ppf((1 + level) / 2) * sd
    return Estimate.crossed(
        fit.rows,
        names,
        (value, np.maximum(value - half, 0), np.minimum(value + half, 1), sd),
        n_seen=(seen @ member).astype(int),
        status=fit.status,
        target="accuracy",
        method=fit.method,
        level=level,
        source=fit.source,
    )


def _require_fit(versions: list[Responses]) -> None:
    require(bool(versions), "there is no version; give at least one")
    answered = [{version.rows[i] for i in np.flatnonzero(version.seen.any(1))} for version in versions]
    for number, (version, models) in enumerate(zip(versions, answered, strict=True), 1):
        empty = np.flatnonzero(~version.seen.any(0))
        name = version.items[empty[0]] if len(empty) else ""
        require(not len(empty), f"item {name!r} of version {number} has no answer ({len(empty)} such); leave it out")
        require(bool(models), f"version {number} has no answer; evaluate some models on it first")
    whole = set().union(*answered)
    silent = [row for version in versions for row in version.rows if row not in whole]
    require(not silent, f"model {(silent or [''])[0]!r} has no answer in any version; leave it out")
    joined, apart = answered[0], list(enumerate(answered))[1:]
    while near := [n for n, models in apart if models & joined]:
        joined = joined.union(*(answered[n] for n in near))
        apart = [(n, models) for n, models in apart if n not in near]
    for n, _ in apart[:1]:
        require(False, f"version {n + 1} has no evaluated model in common with version 1; run one of both on it")


def _joined(versions: list[Responses], rows: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Scores, float32, and what was seen, of all versions side by side, (rows, items)."""
    place = {name: i for i, name in enumerate(rows)}
    shape = len(rows), sum(len(version.items) for version in versions)
    scores, seen, start = np.zeros(shape, np.float32), np.zeros(shape, bool), 0
    for version in versions:
        at, end = [place[row] for row in version.rows], start + len(version.items)
        scores[at, start:end] = np.where(version.seen, version.scores, 0)
        seen[at, start:end] = version.seen
        start = end
    return scores, seen


def _item_names(versions: list[Responses]) -> tuple[str, ...]:
    names = [version.items for version in versions]
    if len(set().union(*names)) == sum(map(len, names)):
        return tuple(name for items in names for name in items)
    return tuple(f"v{number}/{name}" for number, items in enumerate(names, 1) for name in items)


def _groups(versions: list[Responses]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the groups of all versions, and each item's index."""
    names = [version.groups[g] for version in versions for g in version.group]
    groups, group = np.unique(np.asarray(names, str), return_inverse=True)
    return tuple(groups.tolist()), group.astype(np.int32)


def _lay_out(scores: np.ndarray, seen: np.ndarray, sizes: list[int], key: Array) -> Answers:
    """A block a version, of so many items each, and the start by a random key."""
    ends = np.cumsum(sizes)
    parts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    ran = [np.flatnonzero(seen[:, part].any(1)).astype(np.int32) for part in parts]
    each = [(at, scores[at, part], seen[at, part]) for at, part in zip(ran, parts, strict=True)]
    blocks = tuple(Block(*map(jnp.asarray, arrays)) for arrays in each)
    return Answers(blocks, start(sum(sizes), len(scores), key))


def _by_fisher(theta: np.ndarray, beta: np.ndarray, k: int) -> tuple[list[int], list[int]]:
    """Rows with most information on k items, and those that fill the room they leave."""
    asked = _each_nearest(beta, np.percentile(beta, np.linspace(*PERCENTILES["fisher"], k)))
    p = special.expit(theta[:, None] - beta[asked])
    chosen = np.unique((p * (1 - p)).argmax(0)).tolist()
    added: list[int] = []
    while len(chosen) + len(added) < k:
        distance = np.abs(theta[:, None] - theta[chosen + added]).mean(1)
        distance[chosen + added] = -1
        added.append(int(distance.argmax()))
    return chosen, added


def _nearest(values: np.ndarray, centres: np.ndarray) -> list[int]:
    """Where the values nearest to any centre are, each once, in order."""
    return np.unique(_each_nearest(values, centres)).tolist()


def _each_nearest(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(centres,) index of the nearest value."""
    return np.abs(values - centres[:, None]).argmin(1)


def _probability(p: RefreshPaperParams) -> np.ndarray:
    """(rows, items) of a right answer, float64."""
    return special.expit(p.theta.astype(float)[:, None] - p.beta.astype(float))


def _curvature(p: RefreshPaperParams) -> np.ndarray:
    """(rows, items) p (1 - p) of the cells seen, 0 elsewhere."""
    chance = _probability(p)
    return np.where(p.seen, chance * (1 - chance), 0)


def _variance(p: RefreshPaperParams, items: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Variance (rows, groups) of what the mean over a group's items will be, from the model alone.

    The information of (theta, beta) is [[T, -W], [-W', B]], T and B diagonal; beta is eliminated, so that what is left
    is a matrix of the rows. It does not know a shift of both, and no score depends on that.

    Args:
        p: of the fit.
        items: (all items,) whether of the version.
        member: (items, groups) 1 where an item of the version belongs to a group.
    """
    seen = _curvature(p)
    difficulty = seen.sum(0)
    left = np.diag(seen.sum(1)) - (seen / difficulty) @ seen.T
    among = np.linalg.pinv(left, rcond=1e-10, hermitian=True)
    chance = _probability(p)[:, items]
    slope = np.where(p.seen[:, items], 0, chance * (1 - chance))  # of the sum of scores, in theta and in -beta
    share = slope / difficulty[items]
    answers = slope @ member
    difficulties = (slope * share) @ member
    abilities = np.empty_like(difficulties)
    for g, inside in enumerate(member.T):
        by = np.diag(answers[:, g]) - (share * inside) @ seen[:, items].T  # (rows, rows): a row's score by abilities
        abilities[:, g] = np.einsum("rs,st,rt->r", by, among, by)
    return (answers + difficulties + np.maximum(abilities, 0)) / member.sum(0) ** 2
