"""Which items to ask: the few whose answers tell most about the whole benchmark."""

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from lleval_jax.core.linalg import cluster
from lleval_jax.errors import BadInput, DataWarning, outside, require, require_known
from lleval_jax.estimators import irt
from lleval_jax.estimators.irt import kind_items
from lleval_jax.estimators.irt.guard import check as examine
from lleval_jax.estimators.irt.guard import require_models, verdict
from lleval_jax.estimators.irt.order import in_order
from lleval_jax.estimators.tiny import kriging, linear, plans
from lleval_jax.estimators.tiny import regression as head
from lleval_jax.estimators.tiny.method import FEWEST_MODELS
from lleval_jax.estimators.tiny.score import WIDEN_DF, methods
from lleval_jax.values.bank import Anchors, Calibration, ItemBank, Misfit
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses, as_dense
from lleval_jax.values.trust import Guard, Verdict

ENOUGH_TO_MIX = 40  # models: fewer cannot teach a regression on many answers, nor how much to trust it
FEW_MODELS = 300  # up to which their say in the choice of anchors would flatter a regression


class Problem(NamedTuple):
    """What a rule for choosing anchors may look at.

    weight  (items,)  shares of the benchmark; group (items,)
    scores  (models, items)  calibration answers, items' means where not seen; empty without calibration models
    """

    bank: ItemBank
    scores: np.ndarray
    k: int
    rng: np.random.Generator


def choose(
    fit: FitResult[irt.IrtParams],
    *,
    responses: Responses | SparseResponses | None = None,
    k: int | None = 100,
    by: str = "auto",
    full_scores: pd.DataFrame | None = None,
    balance: bool = False,
    name: str = "bench",
    version: str = "1",
    seed: int = 0,
    check: bool = True,
    guard: Guard | None = None,
    early: Callable[[ItemBank], object] | None = None,
    tell: Tell = silent,
) -> ItemBank:
    """A bank from a fit: its items, the k anchors to ask, and what the calibration models teach.

    Args:
        fit: from `irt.fit`.
        responses: the answers it was fitted to. Without them no estimator can learn from the models and intervals
            rest on the IRT model alone.
        k: how many anchors; None for a bank without.
        by: "auto" is "spread" with at least 8 complete calibration models, else "irt"; or one of `METHODS`.
        full_scores: columns model, score[, group] when the answers hold only part of the benchmark.
        balance: groups count alike whatever their number of items (tinyBenchmarks' balance weights).
        name: of the bank.
        version: of the bank.
        seed: of the random parts.
        check: refit without some models, and learn from these how wide the intervals must be. Without it they are as
            wide as each method says, which every estimate from the bank repeats.
        guard: from `estimable.check` of the answers, where that was made and told already.
        early: called with the bank as it is before the check, so that it can be saved.
        tell: called with a word before each longer part.

    Raises:
        BadInput: an unknown rule, more anchors than items, full scores that fit no model, or fewer than 5 models.

    Warns:
        DataWarning: so few models, or answers with so little in common, that estimates cannot be trusted; the bank's
            `verdict` says so, and each estimate repeats it. Not where a `guard` is given.
    """
    require_known(by, ("auto", *METHODS), "by")
    items = len(fit.items)
    require(k is None or 0 < k <= items, f"{k} anchors were asked for; the bank has {items} items")
    require_models(len(fit.rows))
    models = fit.rows if responses is None else responses.rows
    back = functools.partial(ItemBank.arranged, items=fit.items, models=models)
    found = _choose(
        in_order(fit),
        None if responses is None else responses.ordered(),
        k=k,
        by=by,
        full_scores=full_scores,
        balance=balance,
        name=name,
        version=version,
        seed=seed,
        check=check,
        guard=guard,
        early=None if early is None else lambda bank: early(back(bank)),
        tell=tell,
    )
    return back(found)


def _choose(
    fit: FitResult[irt.IrtParams],
    responses: Responses | SparseResponses | None,
    *,
    k: int | None,
    by: str,
    full_scores: pd.DataFrame | None,
    balance: bool,
    name: str,
    version: str,
    seed: int,
    check: bool,
    guard: Guard | None,
    early: Callable[[ItemBank], object] | None,
    tell: Tell,
) -> ItemBank:
    """`choose` of a fit and answers in the order of their names."""
    items = len(fit.items)
    answers = None if responses is None else _aligned(responses, fit)
    bank = _bank(fit, answers, full_scores, balance, name, version)
    if answers is not None:
        bank = dataclasses.replace(bank, verdict=_verdict(answers, fit, guard))
    known = bank.calibration
    complete = np.zeros(0, int) if known is None else np.flatnonzero(known.seen.all(1))
    learns = len(complete) >= FEWEST_MODELS and known is not None and not known.outside
    if k is None:
        return bank
    rule = by if by != "auto" else "spread" if learns else "irt"
    require(rule not in NEEDS_ANSWERS or known is not None, f"by={rule!r} looks at the models' answers; pass responses")
    rng = np.random.default_rng(seed)
    if known is not None and learns:
        tell(Progress(f"learning from {len(complete)} models"))
        kept, index, weight, left = kriging.fit(
            known.answers[complete].astype(float), bank.target_weight, known.full[complete], k, seed
        )
        kept = kept._replace(models=complete[kept.models])
        bank = dataclasses.replace(bank, learned=kept)
        if rule == "spread":
            bank = dataclasses.replace(bank, anchors=Anchors(index, weight, "spread"))
    if bank.anchors is None:
        scores = np.zeros((0, items)) if known is None else plans.filled(known.answers, known.seen)
        index, share = METHODS[rule](Problem(bank, scores, k, rng))
        bank = dataclasses.replace(bank, anchors=Anchors(index, share, rule))
    if early is not None:
        early(bank)
    if not check or answers is None or known is None or known.outside or len(complete) < FEWEST_MODELS:
        return bank
    misfit, head_error = _misfit(bank, fit, answers, complete, seed, tell)
    bank = dataclasses.replace(bank, misfit=misfit)
    if rule == "spread" and learns and len(complete) >= ENOUGH_TO_MIX:
        share = _mix(left[:, 0], head_error[np.searchsorted(complete, kept.models)])
        bank = dataclasses.replace(bank, anchors=Anchors(index, weight, "spread", share))
    return bank


def random(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Stratified random: each group gets its share of the benchmark, items within it at random."""
    bank, k, rng = problem.bank, problem.k, problem.rng
    mass = np.bincount(bank.group, bank.weight, len(bank.groups))
    order = rng.permutation(len(bank.items))
    rank = np.empty(len(order))
    for g in range(len(bank.groups)):  # spread each group's items evenly over (0, 1), more densely the more it weighs
        mine = order[bank.group[order] == g]
        rank[mine] = (np.arange(len(mine)) + rng.random()) / max(mass[g], 1e-12)
    index = np.argsort(rank)[:k]
    taken = np.bincount(bank.group[index], minlength=len(bank.groups))
    share = np.where(taken > 0, mass / np.maximum(taken, 1), 0)[bank.group[index]]
    return index, share / share.sum()


def correctness(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Medoids of K-means on which models got the item right."""
    scores = problem.scores[:128].T
    return _clustered(scores / np.sqrt(scores.shape[1]), problem)


def irt_parameters(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Medoids of K-means on slopes and intercepts."""
    return _clustered(plans.parameters(problem.bank), problem)


def information(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The items with the most Fisher information, averaged over the calibration models' abilities."""
    bank = problem.bank
    theta = problem.rng.multivariate_normal(bank.prior_mean, bank.prior_cov, 256)
    if bank.answers is not None:
        return _best(kind_items.expected(bank, theta[:, 0]).worth.mean(0) * bank.slope[:, 0] ** 2, problem)
    s = expit(theta @ bank.slope.T + bank.intercept)
    span = bank.ceiling - bank.floor
    p = bank.floor + span * s
    worth = ((span * s * (1 - s)) ** 2 / np.maximum(p * (1 - p), 1e-9)).mean(0) * (bank.slope**2).sum(1)
    return _best(worth, problem)


def disagreement(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The items on which the calibration models differ most."""
    return _best(problem.scores.var(0), problem)


def spread(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Medoids of K-means on item curves and shrunken residuals (`kriging`)."""
    scores = problem.scores.astype(float)
    return _clustered(kriging.embedding(kriging.fit_curves(scores), scores), problem)


METHODS: dict[str, Callable[[Problem], tuple[np.ndarray, np.ndarray]]] = {
    "random": random,
    "correctness": correctness,
    "irt": irt_parameters,
    "information": information,
    "disagreement": disagreement,
    "spread": spread,
}
NEEDS_ANSWERS = ("correctness", "disagreement", "spread")


def _clustered(features: np.ndarray, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    near = cluster.untied(features, problem.rng)
    index = cluster.medoids(near, problem.bank.weight, problem.k, problem.rng)
    return index, cluster.shares(features, problem.bank.weight, index)


def _best(worth: np.ndarray, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The k best items; each stands for the items nearest to it in slope and intercept."""
    index = np.argsort(-worth, kind="stable")[: problem.k]
    return index, cluster.shares(plans.parameters(problem.bank), problem.bank.weight, index)


def _verdict(answers: Responses, fit: FitResult, guard: Guard | None) -> Verdict:
    """What speaks against a fit; said once, here or by whoever made the guard."""
    if guard is not None:
        return verdict(guard)
    found = verdict(examine(answers, model=fit.settings["model"], dims=fit.settings["dims"]))
    if found.warnings:
        warnings.warn(". ".join(found.warnings), DataWarning, stacklevel=outside())
    return found


def _aligned(responses: Responses | SparseResponses, fit: FitResult) -> Responses:
    part = responses.select(fit.items)
    return as_dense(part)


def _bank(
    fit: FitResult[irt.IrtParams],
    answers: Responses | None,
    full_scores: pd.DataFrame | None,
    balance: bool,
    name: str,
    version: str,
) -> ItemBank:
    """The bank without anchors. Abilities of the calibration models give the prior of a new one."""
    dims, items = fit.params.slope.shape[1], len(fit.items)
    weight = np.full(items, 1 / items)
    if balance:
        group = fit.params.group
        weight = 1 / np.bincount(group, minlength=len(fit.axes["groups"]))[group]
        weight = weight / weight.sum()
    mean = fit.params.ability.mean(0)
    gap = fit.params.ability - mean
    cov = gap.T @ gap / max(1, len(gap) - 1) + fit.params.ability_cov.mean(0)
    covariance = fit.params.covariance[:, : dims + 1, : dims + 1]
    bank = ItemBank(
        name=name,
        version=version,
        items=fit.items,
        slope=fit.params.slope,
        intercept=fit.params.intercept,
        floor=fit.params.floor,
        ceiling=fit.params.ceiling,
        weight=weight,
        group=fit.params.group,
        groups=fit.axes["groups"],
        covariance=covariance.astype(np.float32),
        prior_mean=mean,
        prior_cov=cov + 1e-3 * np.eye(dims),
        answers=fit.params.answers,
        source=fit.source,
    )
    return bank if answers is None else dataclasses.replace(bank, calibration=_calibration(bank, answers, full_scores))


def _calibration(bank: ItemBank, answers: Responses, full_scores: pd.DataFrame | None) -> Calibration:
    """Answers and full scores of the calibration models; from a table if there is one, else from complete answers."""
    if full_scores is None:
        full = answers.scores.astype(float) @ bank.target_weight.T
        return Calibration(answers.rows, answers.scores, answers.seen, full)
    full_scores = full_scores if "group" in full_scores else full_scores.assign(group="all")
    wide = full_scores.pivot_table(index="model", columns="group", values="score", aggfunc="first")
    rows = [i for i, row in enumerate(answers.rows) if row in wide.index]
    if not rows:
        raise BadInput(
            f"no model of the full scores is among the {len(answers.rows)} models that answered "
            f"(first: {[*map(str, wide.index[:1])]} and {answers.rows[0]!r})"
        )
    require("all" in wide.columns, "the full scores need a row with group 'all' (or no group column) for each model")
    known_groups = len(bank.groups) > 1 and set(bank.groups) <= set(wide.columns)  # all of them or none: by position
    columns = ["all", *bank.groups] if known_groups else ["all"]
    table = wide.loc[[answers.rows[i] for i in rows], columns].to_numpy(float)
    known = np.isfinite(table).all(1)
    rows, table = np.asarray(rows)[known], table[known]
    part = answers.take(rows)
    return Calibration(part.rows, part.scores, part.seen, table, outside=True)


def _mix(left: np.ndarray, head_error: np.ndarray) -> np.ndarray:
    """(1,) share of the regression head in the default estimate: what would have been best on left-out models.

    left, head_error  (models,)  errors of the kriged estimate and of the head on models left out of everything. The
    share shrinks to zero where few models teach it.
    """
    gap = left - head_error
    share = float(np.clip((left @ gap) / max(gap @ gap, 1e-12), 0, 1))
    return np.array([share * len(left) / (len(left) + 20)])


def _misfit(
    bank: ItemBank, fit: FitResult, answers: Responses, complete: np.ndarray, seed: int, tell: Tell, folds: int = 5
) -> tuple[Misfit, np.ndarray]:
    """Left-out errors of all estimators, and the head's error on each complete model.

    Refit the items without each fold of models, choose anchors again, and estimate the models left out from those.

    Anchors chosen with a model's own answers tell more of it than of a new model: the intervals would be too narrow.
    """
    chosen = bank.anchors
    if chosen is None:
        raise BadInput("a bank without anchors has no left-out errors")
    settings = irt.again(fit)
    fold = np.full(len(answers.rows), -1)
    fold[complete] = np.random.default_rng(seed).permutation(len(complete)) % min(folds, len(complete))
    weight, tried, regressions = bank.target_weight, [], []
    few = len(complete) <= FEW_MODELS
    for f in range(fold.max() + 1):
        tell(Progress("checking the fit on models left out of it", f, int(fold.max()) + 1, unit="folds"))
        out = np.flatnonzero(fold == f)
        known = answers.take(np.flatnonzero(fold != f))
        part = irt.fit(known, **settings)
        trial = dataclasses.replace(_bank(part, None, None, False, bank.name, bank.version), weight=bank.weight)
        teachers = answers.scores[complete[fold[complete] != f][: kriging.MOST_MODELS]].astype(float)
        problem = Problem(trial, teachers, len(chosen.index), np.random.default_rng((seed, f)))
        again = Anchors(*METHODS[chosen.by](problem), chosen.by)
        trial = dataclasses.replace(trial, anchors=again)
        asked = anchors_only(answers.take(out), bank=trial)
        truth = answers.take(out).scores.astype(float) @ weight.T
        found = _linear(asked, trial) | _others(asked, trial, known, seed)
        tried.append({name: (v.value - truth, v.variance) for name, v in found.items()})
        if few:
            taught = complete[fold[complete] != f]
            regressions.append(_head_errors(answers, weight, taught, out, again.index, seed))
    always = [name for name in tried[0] if all(name in each for each in tried)]
    error = {name: np.concatenate([each[name][0] for each in tried]) for name in always}
    variance = {name: np.concatenate([each[name][1] for each in tried]) + 1e-12 for name in always}
    n = len(complete)
    width = {name: np.sqrt((WIDEN_DF + (e**2 / variance[name]).sum(0)) / (WIDEN_DF + n)) for name, e in error.items()}
    wide, head_error = np.ones(len(weight)), np.zeros(len(complete))
    if few:
        scaled = np.concatenate([z for _, z in regressions])
        wide = np.sqrt((WIDEN_DF + (scaled**2).sum(0)) / (WIDEN_DF + n))
        order = np.argsort(np.concatenate([np.flatnonzero(fold == f) for f in range(fold.max() + 1)]))
        head_error = np.concatenate([e for e, _ in regressions])[order]
    elif len(complete) >= ENOUGH_TO_MIX:
        x = answers.scores[complete][:, chosen.index].astype(float)
        head_error = head.left_out_errors(x, answers.scores[complete].astype(float) @ weight[0], seed)
    width["head"] = np.maximum(wide, 1)
    return Misfit(error["pirt"].mean(0), width, np.asarray(WIDEN_DF + n)), head_error


def _linear(asked: Responses, trial: ItemBank) -> dict[str, linear.Value]:
    """The linear methods on models left out."""
    weight = trial.target_weight
    return {name: linear.apply(asked, trial, weight, *plan(asked, trial, weight)) for name, plan in plans.PLANS.items()}


def _others(asked: Responses, trial: ItemBank, known: Responses, seed: int) -> dict[str, linear.Value]:
    """The same of all other methods that are widened by their errors, but the regression (`_head_errors`)."""
    new = {name: method for name, method in methods().items() if method.widen and name != "head"}
    if not new:
        return {}
    trial = dataclasses.replace(trial, calibration=_calibration(trial, known, None))
    targets = np.arange(len(trial.targets))
    found = {n: m.call(asked, trial, targets, 0.95, seed) for n, m in new.items() if m.allowed(trial)}
    return {name: linear.Value(spread.value, spread.std_error**2) for name, spread in found.items()}


def _head_errors(
    answers: Responses, weight: np.ndarray, taught: np.ndarray, out: np.ndarray, index: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Error of the head on the whole, (out,), and errors of all targets over the scale of their intervals."""
    scores = answers.scores.astype(float)
    x, new, scaled, first = scores[taught][:, index], scores[out][:, index], [], np.zeros(len(out))
    for t, w in enumerate(weight):
        value, sd, _, _ = head.estimate(x, scores[taught] @ w, new, 0.95, seed)
        error = scores[out] @ w - value
        scaled.append(error / np.maximum(sd, 1e-9))
        first = error if t == 0 else first
    return first, np.stack(scaled, axis=1)


def anchors_only(answers: Responses, *, bank: ItemBank) -> Responses:
    """The same answers with all but the anchors hidden."""
    asked = np.zeros(len(bank.items), bool)
    if bank.anchors is not None:
        asked[bank.anchors.index] = True
    seen = answers.seen & asked
    return dataclasses.replace(answers, seen=seen, scores=np.where(seen, answers.scores, 0))
