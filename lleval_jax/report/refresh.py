"""A new version of a benchmark from a few models run again: tables, facts for the JSON, and pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lleval_jax.report.text import Table, Truth, inside
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Choice, Estimate, FitResult

SURE = "foretold: not run on this version; an interval is for the score that all items will show"


def facts(fit: FitResult) -> dict[str, Any]:
    """What was learned from and how that ended, for the JSON."""
    return {
        "method": fit.method,
        "status": fit.status,
        "steps": fit.steps,
        "models": len(fit.rows),
        "versions": list(fit.settings["versions"]),
        "domains": list(fit.groups),
    }


def state(estimate: Estimate, i: int) -> str:
    """How an entry is known: "run", "partly run" or "foretold"."""
    if estimate.n_seen[i] == 0:
        return "foretold"
    return "run" if estimate.std_error[i] == 0 else "partly run"


def error(estimate: Estimate, group: str = WHOLE) -> float:
    """Expected error of a score: the root mean square of its standard errors over models."""
    return float(np.sqrt(np.mean(estimate.std_error[_at(estimate, group)] ** 2)))


def tables(
    estimate: Estimate,
    version: str,
    *,
    ranks: Estimate | None = None,
    holds: Sequence[float] | np.ndarray | None = None,
    truth: Truth | None = None,
) -> list[Table]:
    """A line a model, best first; then, where there are domains, a line a domain and model.

    Args:
        estimate: from `refresh.estimate`.
        version: name of the version.
        ranks: from `refresh.ranks`, with intervals.
        holds: (models,) chance that each of these ranks is the true one.
        truth: (model, domain) -> the score, where it is known although it was hidden.
    """
    title = f"{estimate.target} on {version} by {estimate.method}, {100 * estimate.level:.4g}% intervals"
    here = _best_first(estimate, WHOLE)
    columns = {"model": [estimate.rows[i] for i in here]}
    if ranks is not None and holds is not None:
        place = {row: k for k, row in enumerate(ranks.rows)}
        order = [place[estimate.rows[i]] for i in here]
        columns["rank"] = [f"{ranks.value[k]:.0f}" for k in order]
        columns["ranks"] = [f"{ranks.low[k]:.0f}-{ranks.high[k]:.0f}" for k in order]
        columns["rank holds"] = [f"{100 * holds[k]:.0f}%" for k in order]
    columns |= _columns(estimate, here, truth)
    remarks = [] if truth is None else [_score_card(estimate, here, truth)]
    if any(estimate.n_seen[i] == 0 for i in here):
        remarks.append(SURE)
    found = [Table(title, tuple(columns), tuple(zip(*columns.values(), strict=True)), tuple(remarks))]
    domains = [group for group in dict.fromkeys(estimate.group) if group != WHOLE]
    if domains:
        each = [i for domain in domains for i in _best_first(estimate, domain)]
        columns = {"domain": [estimate.group[i] for i in each], "model": [estimate.rows[i] for i in each]}
        columns |= _columns(estimate, each, truth)
        remarks = [] if truth is None else [_score_card(estimate, each, truth)]
        lines = tuple(zip(*columns.values(), strict=True))
        found.append(Table(f"{title}, by domain", tuple(columns), lines, tuple(remarks), 2))
    return found


def choice(
    chosen: Choice,
    fit: FitResult,
    outlooks: Sequence[Estimate],
    saved: dict[str, float],
    *,
    ask: str = WHOLE,
    price: dict[str, float] | None = None,
) -> Table:
    """Who is run, in which order and why; below, how sure scores are before and after, and what is saved.

    Args:
        chosen: from `refresh.choose`.
        fit: from `refresh.fit`.
        outlooks: from `refresh.foretell`, first with nobody run and last with all that are chosen.
        saved: "chosen" and "all": what it costs to run these, and all; "items" of the next version.
        ask: what was asked for.
        price: of each model.
    """
    lines = []
    for i, (row, why) in enumerate(zip(chosen.rows, chosen.why, strict=True)):
        lines.append((f"{i + 1}", row, *(() if price is None else (f"{price[row]:g}",)), why))
    widest = max(len(why) for why in chosen.why)
    lines = [(*line[:-1], line[-1].ljust(widest)) for line in lines]
    head = ("", "model", *(() if price is None else ("price",)), "why".ljust(widest))
    group = WHOLE if ask == "ranking" else ask
    first, last = (100 * error(told, group) for told in (outlooks[0], outlooks[-1]))
    where = "" if group == WHOLE else f" on {group}"
    models = len(fit.rows)
    sure = (
        f"expected error{where}, root mean square over {models} models: {first:.2f} points with nobody run, "
        f"{last:.2f} with these"
    )
    count, items = len(chosen.rows), int(saved["items"])
    every = len({*fit.rows, *chosen.rows})
    share = 1 - saved["chosen"] / saved["all"]
    cost = "" if price is None else f", {saved['chosen']:g} instead of {saved['all']:g}"
    spared = (
        f"saved: {100 * share:.0f}% of the cost of all{cost}; {count} of {every} models are run, {count * items:,} "
        f"answers instead of {every * items:,} on a version of {items:,} items"
    )
    versions = ", ".join(fit.settings["versions"])
    law = f"learned from {versions}: {models} models, {fit.method}, {fit.status} after {fit.steps} steps"
    what = {WHOLE: "the scores of all models", "ranking": "the order of all models"}
    title = f"to run on the next version, for {what.get(ask, f'the scores of all models on {ask}')}"
    return Table(title, head, tuple(lines), (sure, spared, law), 2)


def _columns(estimate: Estimate, here: Sequence[int], truth: Truth | None) -> dict[str, list[str]]:
    columns = {estimate.target: [f"{estimate.value[i]:.3f}" for i in here]}
    columns["interval"] = [f"[{estimate.low[i]:.3f}, {estimate.high[i]:.3f}]" for i in here]
    columns["answers"] = [f"{estimate.n_seen[i]:,}" for i in here]
    columns["known"] = [state(estimate, i) for i in here]
    if truth is not None:
        held, keys = inside(estimate, truth), [(estimate.rows[i], estimate.group[i]) for i in here]
        columns["truth"] = [f"{truth[key]:.3f}" if key in truth else "-" for key in keys]
        columns["inside"] = [("yes" if held[key] else "no") if key in held else "-" for key in keys]
    if any(estimate.status[i] != "ok" for i in here):
        columns["status"] = [estimate.status[i] for i in here]
    return columns


def _score_card(estimate: Estimate, here: Sequence[int], truth: Truth) -> str:
    """Of entries that are not known exactly."""
    known = [(i, truth[key]) for i in here if (key := (estimate.rows[i], estimate.group[i])) in truth]
    open_ = [(i, true) for i, true in known if estimate.std_error[i] > 0]
    if not open_:
        return "no score that was hidden is known"
    held = sum(estimate.low[i] <= true <= estimate.high[i] for i, true in open_)
    off = np.mean([abs(estimate.value[i] - true) for i, true in open_])
    return f"{held} of {len(open_)} intervals hold the score that was hidden; mean absolute error {off:.3f}"


def _at(estimate: Estimate, group: str) -> np.ndarray:
    """Entries of a group."""
    return np.array([i for i, found in enumerate(estimate.group) if found == group], int)


def _best_first(estimate: Estimate, group: str) -> list[int]:
    here = _at(estimate, group)
    return here[np.argsort(-estimate.value[here], kind="stable")].tolist()
