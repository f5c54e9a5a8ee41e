"""A new version of a benchmark at the cost of a few models: efficient evaluation as in LiveXiv (arXiv:2410.10783).

A living benchmark gets new items every month. `fit` learns from the answers to the versions so far how models' scores
move from version to version, `choose` names the few models to run again, and `estimate` predicts the scores of all the
others, on the whole and by domain. The paper fits one Rasch model over all versions (`published`). Here items of a
version and domain are a draw of their own, models have several loadings on what items have in common, and models
drift, alone and by domain: see `core.laws.panel`. So the intervals hold for models that were not run.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from scipy import stats

from lleval_jax.core.laws.panel import Panel
from lleval_jax.core.precision import Precision, precise
from lleval_jax.errors import BadInput, nearest, require, require_level
from lleval_jax.estimators import planned
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.refresh import choice
from lleval_jax.estimators.refresh.kernel import Found, Search, fewer
from lleval_jax.estimators.refresh.outlook import Outlook, conditioned, outlook
from lleval_jax.estimators.refresh.standing import standing
from lleval_jax.layout.chain import Named, append, chained, grow, lay_out, named_of
from lleval_jax.renamed import renamed
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Array, Status
from lleval_jax.values.params import RefreshParams
from lleval_jax.values.prices import prices_of
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.ranks import Standing
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import Choice, Estimate, FitResult, Source

CITE = ("shabtay2024livexiv",)
DIMS = 3  # loadings of a model


def fit(
    versions: Sequence[Responses] | Mapping[str, Responses],
    *,
    dims: int = DIMS,
    strict: bool = False,
    precision: Precision = "float64",
    tell: Tell = silent,
    plan: Plan = HERE,
) -> FitResult[RefreshParams]:
    """Learn from the versions so far how scores move from one to the next.

    Args:
        versions: answers to each version, the oldest first, perhaps by name ("v1", "v2", … otherwise). Models are
            known by their names; those that were not run on a version are missing there. Groups are its domains.
        dims: loadings of a model on what items have in common; fewer are used with few models. With 0 a version
            moves models by a line in ability, and by their drift.
        strict: raise `NotConverged` rather than warn.
        precision: number type of the search: "float64", or "float32" where doubles are slow.
        tell: called with a word before the fit, which goes in one piece.
        plan: with `out` what was found is kept there, and the same call reads it; its steps are not, since it goes in
            one piece, on one device.

    Raises:
        BadInput: no version, fewer than three models, or a version that shares no model with those before.
        NotConverged: with `strict`, the search stopped early.
    """
    require(dims >= 0, f"dims is {dims}; it must be 0 or more")
    named, source = chained(versions), Source(cite=CITE)
    for answers in versions.values() if isinstance(versions, Mapping) else versions:
        source = source.merge(answers.source)
    tell(Progress(f"fitting {len(named.models):,} models on {len(versions)} versions"))
    return _fitted(named, dims, source, strict, precision, plan)[0]


def estimate(
    fit: FitResult[RefreshParams],
    *,
    answers: Responses | None = None,
    version: str | None = None,
    strict: bool = False,
    precision: Precision = "float64",
    level: float = 0.95,
) -> Estimate:
    """The score of every model on a version, overall ("all") and by domain, also of those that were not run on it.

    A model that answered all items has its own score, known exactly; of one that answered some, the rest is predicted.

    Args:
        fit: from `fit`.
        answers: of the models that were run again, to all items of the new version; None: the newest version in `fit`.
        version: name of the new version, or of one in `fit`.
        strict: raise `NotConverged` rather than warn.
        precision: as for `fit`; of the search that new answers take.
        level: of the intervals.

    Raises:
        BadInput: no known model among the answers, or a version that is not there.
        NotConverged: with `strict`, the search stopped early.
    """
    return _estimate(*_of_version(fit, answers, version, strict, precision), level)


def preview(
    fit: FitResult[RefreshParams],
    *,
    rerun: Sequence[str] = (),
    items: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Scores on the next version before anything is run, with the intervals to expect after running the models `rerun`.

    Args:
        fit: from `fit`.
        rerun: models that are going to be run.
        items: of the next version, by domain; as many as in the newest version otherwise.
        level: of the intervals.

    Raises:
        BadInput: a model that is not in `fit`.
    """
    rows = [_place(fit, row) for row in rerun]
    return _estimate(functools.reduce(conditioned, rows, _next(fit, items)), fit, level)


def outlooks(
    fit: FitResult[RefreshParams],
    *,
    rerun: Sequence[str],
    items: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> list[Estimate]:
    """As `preview` without any of `rerun`, with the first of them, with the first two, and so on to all.

    Args: as in `preview`.

    Raises:
        BadInput: a model that is not in `fit`.
    """
    rows = [_place(fit, row) for row in rerun]
    each = itertools.accumulate(rows, conditioned, initial=_next(fit, items))
    return [_estimate(one, fit, level) for one in each]


@renamed(most="k")
def spread(fit: FitResult[RefreshParams], *, k: int) -> list[list[str]]:
    """Models spread evenly over the scores on the newest version: none, one, two, and so on to `k`."""
    newest = estimate(fit)
    entries = zip(newest.value.tolist(), newest.rows, newest.group, strict=True)
    order = [row for _, row in sorted((value, row) for value, row, group in entries if group == WHOLE)]
    return [[order[(2 * j + 1) * len(order) // (2 * i)] for j in range(i)] for i in range(k + 1)]


def hidden(answers: Responses, *, rerun: Sequence[str]) -> tuple[Responses, dict[tuple[str, str], float]]:
    """Only the answers of the models `rerun`, to see how well the scores of the others are predicted.

    Returns:
        These answers, and (model, domain) -> score of all models that answered all of a domain, or of the version.
    """
    parts = [(WHOLE, answers.group >= 0)]
    if len(answers.groups) > 1:
        parts += [(name, answers.group == g) for g, name in enumerate(answers.groups)]
    truth = {
        (row, name): float(answers.scores[i, items].astype(float).mean())
        for name, items in parts
        for i, row in enumerate(answers.rows)
        if items.any() and answers.seen[i, items].all()
    }
    return answers.take(i for i, row in enumerate(answers.rows) if row in rerun), truth


@renamed(ask="of", pool="among")
def choose(
    fit: FitResult[RefreshParams],
    *,
    k: int | None = None,
    of: str = WHOLE,
    budget: float | None = None,
    price: Mapping[str, float] | None = None,
    force: Sequence[str] = (),
    among: Sequence[str] | None = None,
    items: Mapping[str, int] | None = None,
) -> Choice:
    """The models to run on the next version, so that the scores of all the others are predicted best.

    What counts is the variance that is left, all models together, given the answers of those that are run: a model is
    worth running when others move as it does, when it moves more than others, or when it has drifted before. The set is
    chosen as a whole; its order is no ranking, and its first models need not be the best of fewer.

    Args:
        fit: from `fit`.
        k: how many models of `fit`; those of `force` come on top.
        of: what is to be known. "all": the scores on the whole version; a domain's name: those on it; "ranking": the
            order of the models.
        budget: instead of `k`: what the models of `fit` may cost in all.
        price: of each model, by its name; None: all cost the same.
        force: models that are run in any case, such as new ones.
        among: models that can be run; all of `fit` otherwise. Those not in it are still to be known.
        items: of the next version, by domain; as many as in the newest version otherwise.

    Raises:
        BadInput: more models than there are, an unknown name, a model without a price or one that is not positive,
            or neither `k` nor budget.
    """
    require((k is None) != (budget is None), "say either k, how many models, or budget, what they may cost")
    forced = [fit.rows.index(row) for row in force if row in fit.rows]
    before = functools.reduce(conditioned, forced, _next(fit, items))
    members = [_place(fit, row) for row in (fit.rows if among is None else among) if row not in force]
    cost = np.ones(len(fit.rows))
    if price is not None:
        cost[members] = prices_of(price, [fit.rows[j] for j in members], "models")
    if k is not None:
        require(0 < k <= len(members), f"k is {k}; there are {len(members)} models to choose from")
        cost, budget = np.ones(len(fit.rows)), k
    require(bool(np.any(cost[members] <= budget)), f"no model costs {budget:g} or less")  # pyright: ignore
    loss = choice.disorder if of == "ranking" else _variance_of(before, of)
    chosen, losses = choice.search(before, loss, among=members, price=cost, budget=float(budget))  # pyright: ignore
    why = [_why(of, *pair, len(fit.rows)) for pair in itertools.pairwise(losses)]
    rows = (*force, *(fit.rows[j] for j in chosen))
    summary = f"chosen together, as a set: {_why(of, losses[0], losses[-1], len(fit.rows))}"
    why = (*("run in any case" for _ in force), *why)
    return Choice(rows, ((),) * len(rows), why, fit.source, whole=True, summary=summary)


def ranks(
    fit: FitResult[RefreshParams],
    *,
    answers: Responses | None = None,
    version: str | None = None,
    draws: int = 10_000,
    seed: int = 0,
    strict: bool = False,
    precision: Precision = "float64",
    level: float = 0.95,
) -> Standing:
    """The order of all models on a version, with intervals of ranks and the chance that each rank holds.

    Scores are drawn together, so that models which move together keep their order. A rank by score that the draws do
    not bear out, as of a model that is known well below many that are not, has a status that says so.

    Args:
        fit: from `fit`.
        answers: as in `estimate`.
        version: as in `estimate`.
        draws: of the scores of all models.
        seed: of the draws.
        strict: raise `NotConverged` rather than warn.
        precision: as in `estimate`.
        level: of the intervals.

    Raises:
        BadInput: as `estimate`.
        NotConverged: with `strict`, the search stopped early.
    """
    require_level(level)
    scores, fit = _of_version(fit, answers, version, strict, precision)
    words = {"method": fit.method, "status": fit.status, "source": fit.source, "level": level}
    return standing(fit.rows, scores.mean[:, 0], scores.drawn(draws, seed), scores.asked[:, :1], **words)


def _variance_of(scores: Outlook, of: str) -> choice.Loss:
    domains = scores.groups[1:]
    require(of in scores.groups, f"there is no domain {of!r}; there are {', '.join(domains)}, all and ranking")
    return functools.partial(choice.variance, target=scores.groups.index(of))


def _why(of: str, before: float, after: float, models: int) -> str:
    """What one more model brings."""
    if of == "ranking":
        return f"expected pairs in the wrong order fall from {before:.1f} to {after:.1f}"
    where = "" if of == WHOLE else f" on {of}"
    first, then = (100 * np.sqrt(loss / models) for loss in (before, after))
    return f"the expected error{where} falls from {first:.2f} to {then:.2f} points, all models together"


def _place(fit: FitResult[RefreshParams], row: str) -> int:
    if row not in fit.rows:
        few = f", such as {list(fit.rows[:3])}"
        raise BadInput(f"there is no model {row!r} among the {len(fit.rows)} of the fit{nearest(row, fit.rows) or few}")
    return fit.rows.index(row)


def _next(fit: FitResult[RefreshParams], items: Mapping[str, int] | None) -> Outlook:
    """Scores on a next version of which nothing is answered."""
    named = named_of(fit)
    chain = named.chain
    last = chain.version == chain.version.max()
    if items is None:
        items = {named.domains[d]: int(n) for d, n in zip(chain.domain[last], chain.total[last], strict=True)}
    require(len(items) > 0 and min(items.values()) > 0, "each domain of the next version must have at least one item")
    return _outlook(grow(named, (), items, "next"), fit, len(named.versions))


def _of_version(
    fit: FitResult[RefreshParams],
    answers: Responses | None,
    version: str | None,
    strict: bool,
    precision: Precision,
) -> tuple[Outlook, FitResult[RefreshParams]]:
    """Scores on a version, and the law by which they are predicted: that of all answers, the new ones included."""
    named = named_of(fit)
    if answers is None:
        version = named.versions[-1] if version is None else version
        require(version in named.versions, f"there is no version {version!r}; there are {', '.join(named.versions)}")
        return _outlook(named, fit, named.versions.index(version)), fit
    named = append(named, answers, version or f"v{len(named.versions) + 1}")
    source = fit.source.merge(answers.source)
    fit, observed = _fitted(named, fit.settings["dims"], source, strict, precision)
    with precise("float64"):
        return outlook(named, jax.tree.map(_doubles, observed), fit.params, len(named.versions) - 1), fit


def _outlook(named: Named, fit: FitResult[RefreshParams], version: int) -> Outlook:
    """Scores on a version of a chain, by the law of a fit."""
    with precise("float64"):
        return outlook(named, lay_out(named)[0].panel, fit.params, version)


def _fitted(
    named: Named, dims: int, source: Source, strict: bool, precision: Precision, plan: Plan = HERE
) -> tuple[FitResult[RefreshParams], Panel]:
    """The law of most evidence, and the panel that it was found from."""
    dims = fewer(dims, len(named.models))
    with precise(precision):
        data, axes = lay_out(named, precision)
        how: dict[str, Any] = {"facts": {"answers": named, "dims": dims, "precision": precision}}
        found = planned.solve(Search(dims), data, jax.random.key(0), plan=plan, name="refresh.fit", **how)
    return _result(jax.tree.map(_doubles, found), named, axes, source, strict), data.panel


def _doubles(numbers: Array) -> np.ndarray:
    """On the host, floating numbers in float64."""
    return np.asarray(numbers, float if numbers.dtype.kind == "f" else None)


def _result(
    found: Found, named: Named, axes: Mapping[str, tuple[str, ...]], source: Source, strict: bool
) -> FitResult[RefreshParams]:
    """The names back on, and how the search ended."""
    dims = found.loading.shape[1]
    how = ended(
        "the law of the versions",
        Status(int(found.status)),
        int(found.steps),
        advice="fewer dims may help",
        strict=strict,
        value=float(found.value),
        unit="log evidence",
        error=float(found.error),
    )
    law = map(np.asarray, (found.loading, *found.sizes, found.model_var, found.shift_var))
    return FitResult(
        params=RefreshParams(named.chain, *law),
        axes=axes,
        ended=how,
        method=f"refresh d={dims}",
        settings={"dims": dims},
        source=source,
    )


def _estimate(scores: Outlook, fit: FitResult[RefreshParams], level: float) -> Estimate:
    """Means, and intervals symmetric on the arcsine scale: sampling errors are alike there, and 0 can be reached."""
    require_level(level)
    mean, spread = scores.mean, scores.std_error
    slope = 2 * np.sqrt(np.maximum(mean * (1 - mean), 1e-9))
    far, middle = stats.t.ppf(0.5 + level / 2, scores.tails) * spread / slope, np.arcsin(np.sqrt(mean))
    ends = (np.sin(np.clip(middle + side * far, 0, np.pi / 2)) ** 2 for side in (-1, 1))
    low, high = (np.where(spread == 0, mean, end) for end in ends)  # about the mean but for rounding, put right below
    keep = slice(0, 1) if scores.groups[1:] == (WHOLE,) else slice(None)
    return Estimate.crossed(
        fit.rows,
        scores.groups[keep],
        [part[:, keep] for part in (mean, np.minimum(low, mean), np.maximum(high, mean), spread)],
        n_seen=scores.asked[:, keep],
        status=fit.status,
        target="accuracy",
        method=fit.method,
        level=level,
        source=fit.source,
    )
