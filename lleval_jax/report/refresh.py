"""A new version of a benchmark from a few models run again: tables, and what the JSON says."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lleval_jax.errors import require
from lleval_jax.report import style
from lleval_jax.report.text import Table, inside
from lleval_jax.report.truth import Known, Truth, known
from lleval_jax.values.findings import Linked, RowCheck, RowFinding, Skipped, Suspicion
from lleval_jax.values.ranks import Standing
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Choice, Estimate, FitResult

FEW = 5  # entries of a suspicion that are shown in any case
GAIN = "points beyond what the other families predict; most suspicious first, p adjusted for all entries"
SURE = "Predicted models were not run on this version; intervals are for the score on all its items"
TOGETHER = "chosen together, as a set: the order is no ranking; each line says what its model adds to those above it"


class Cost(NamedTuple):
    """What running some models costs.

    chosen  price of those that are run
    all     price of every model
    items   of the next version
    """

    chosen: float
    all: float
    items: int

    @property
    def saved(self) -> float:
        """Share of the price of all that need not be paid."""
        return 1 - self.chosen / self.all


def facts(fit: FitResult) -> dict[str, Any]:
    """What was learned from and how that ended, for the JSON."""
    return {
        "method": fit.method,
        "status": fit.status,
        "steps": fit.steps,
        "models": len(fit.rows),
        "versions": list(fit.axes["versions"]),
        "domains": list(fit.axes["domains"]),
    }


def state(estimate: Estimate, i: int) -> str:
    """How an entry is known: "measured", "partly measured" or "predicted"."""
    if estimate.n_seen[i] == 0:
        return "predicted"
    return "measured" if estimate.std_error[i] == 0 else "partly measured"


def error(estimate: Estimate, group: str = WHOLE) -> float:
    """Expected error of a score: the root mean square of its standard errors over models.

    Raises:
        BadInput: no entry of that group.
    """
    here = entries_of(estimate, group)
    require(len(here) > 0, f"there is no score of {group!r}; there are {', '.join(dict.fromkeys(estimate.group))}")
    return float(np.sqrt(np.mean(estimate.std_error[here] ** 2)))


def tables(
    estimate: Estimate,
    version: str,
    *,
    standing: Standing | None = None,
    truth: Truth | None = None,
) -> list[Table]:
    """A line a model, best first; then, where there are domains, a line a domain and model.

    Args:
        estimate: from `refresh.estimate`.
        version: name of the version.
        standing: from `refresh.ranks`: ranks, their intervals, and the chance that each is the true one.
        truth: (model, domain) -> the score, where it is known although it was hidden.
    """
    truth = known(truth)
    title = (
        f"estimated {estimate.target} on {version}, {100 * estimate.level:.4g}% intervals (method: {estimate.method})"
    )
    here = best_first(estimate, WHOLE)
    columns = {"model": [estimate.rows[i] for i in here]}
    if standing is not None:
        ranks, holds = standing.ranks, standing.holds
        place = {row: k for k, row in enumerate(ranks.rows)}
        order = [place[estimate.rows[i]] for i in here]
        columns["rank"] = [f"{ranks.value[k]:z.0f}" for k in order]
        columns["ranks"] = [f"{ranks.low[k]:z.0f}-{ranks.high[k]:z.0f}" for k in order]
        columns["rank holds"] = [f"{100 * holds[k]:z.0f}%" for k in order]
    columns |= _columns(estimate, here, truth)
    remarks = [] if truth is None else [_score_card(estimate, here, truth)]
    if any(estimate.n_seen[i] == 0 for i in here):
        remarks.append(SURE)
    found = [Table(title, tuple(columns), tuple(zip(*columns.values(), strict=True)), tuple(remarks))]
    domains = [group for group in dict.fromkeys(estimate.group) if group != WHOLE]
    if domains:
        each = [i for domain in domains for i in best_first(estimate, domain)]
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
    cost: Cost,
    *,
    ask: str = WHOLE,
    price: dict[str, float] | None = None,
) -> Table:
    """Who is run and why; below, the expected error before and after, and what is saved.

    Args:
        chosen: from `refresh.choose`.
        fit: from `refresh.fit`.
        outlooks: from `refresh.preview`, first with no model run and last with all that are chosen.
        cost: what it saves.
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
        f"expected RMSE{where} over {models} models: {first:z.2f} points without re-running any, {last:z.2f} with these"
    )
    count, items = len(chosen.rows), cost.items
    every = len({*fit.rows, *chosen.rows})
    paid = "" if price is None else f", {cost.chosen:g} instead of {cost.all:g}"
    spared = (
        f"saved: {100 * cost.saved:z.0f}% of the cost of all{paid}; {count} of {every} models are run, "
        f"{count * items:,} answers instead of {every * items:,} on a version of {items:,} items"
    )
    versions = ", ".join(fit.axes["versions"])
    law = f"learned from {versions}: {models} models, {fit.method}, {fit.status} after {fit.steps} steps"
    what = {WHOLE: "the scores of all models", "ranking": "the order of all models"}
    title = f"to run on the next version, for {what.get(ask, f'the scores of all models on {ask}')}"
    return Table(title, head, tuple(lines), (*([TOGETHER] if count > 1 else []), sure, spared, law), 2)


def _columns(estimate: Estimate, here: Sequence[int], truth: Known | None) -> dict[str, list[str]]:
    columns = {estimate.target: [f"{estimate.value[i]:z.3f}" for i in here]}
    columns["interval"] = [style.interval(estimate, i) for i in here]
    columns["answers"] = [f"{estimate.n_seen[i]:,}" for i in here]
    columns["source"] = [state(estimate, i) for i in here]
    if truth is not None:
        held, keys = inside(estimate, truth), [(estimate.rows[i], estimate.group[i]) for i in here]
        columns["truth"] = [f"{truth[key]:z.3f}" if key in truth else "-" for key in keys]
        columns["inside"] = [("yes" if held[key] else "no") if key in held else "-" for key in keys]
    if any(estimate.status[i] != "ok" for i in here):
        columns["status"] = [estimate.status[i] for i in here]
    return columns


def _score_card(estimate: Estimate, here: Sequence[int], truth: Known) -> str:
    """Of entries that are not both exactly."""
    both = [(i, truth[key]) for i in here if (key := (estimate.rows[i], estimate.group[i])) in truth]
    open_ = [(i, true) for i, true in both if estimate.std_error[i] > 0]
    if not open_:
        return "no score that was hidden is both"
    held = sum(estimate.low[i] <= true <= estimate.high[i] for i, true in open_)
    off = np.mean([abs(estimate.value[i] - true) for i, true in open_])
    return f"{held} of {len(open_)} intervals contain the score that was hidden; mean absolute error {off:z.3f}"


def entries_of(estimate: Estimate, group: str) -> np.ndarray:
    """Entries of a group."""
    return np.array([i for i, found in enumerate(estimate.group) if found == group], int)


def best_first(estimate: Estimate, group: str) -> list[int]:
    """The same, by score."""
    here = entries_of(estimate, group)
    return here[np.argsort(-estimate.value[here], kind="stable")].tolist()


def choice_content(
    chosen: Choice, fit: FitResult, outlooks: Sequence[Estimate], cost: Cost, *, ask: str = WHOLE
) -> dict[str, Any]:
    """The JSON of `lleval refresh choose`: the choice, the error expected after each model, what is saved, the fit.

    Args: as in `choice`.
    """
    group = WHOLE if ask == "ranking" else ask
    run = [None, *(name for name in chosen.rows if name in fit.rows)]
    expected = [
        {"run": i, "row": row, "error": error(outlook, group)}
        for i, (row, outlook) in enumerate(zip(run, outlooks, strict=True))
    ]
    spent = {"chosen": cost.chosen, "all": cost.all, "saved": cost.saved}
    return chosen.to_dict() | {"ask": ask, "expected": expected, "cost": spent, "fit": facts(fit)}


def content(
    estimate: Estimate,
    fit: FitResult,
    version: str,
    *,
    checked: RowCheck,
    versions: Sequence[str],
    truth: Truth | None = None,
    standing: Standing | None = None,
) -> dict[str, Any]:
    """The JSON of `lleval refresh estimate`: scores, who was run, the fit, what the check of rows found, and ranks.

    Args:
        estimate: from `refresh.estimate`.
        fit: from `refresh.fit`.
        version: name of the version.
        checked: from `refresh.check`.
        versions: names of those that were checked.
        truth: (model, domain) -> the score, where it is known although it was hidden.
        standing: from `refresh.ranks`.
    """
    out, truth = estimate.to_dict(), known(truth)
    for i, entry in enumerate(out["estimates"]):
        entry["known"] = state(estimate, i)
        key = entry["row"], entry["group"]
        if truth is not None and key in truth:
            entry |= {"truth": truth[key], "inside": bool(entry["low"] <= truth[key] <= entry["high"])}
    out["version"] = version
    out["rerun"] = [estimate.rows[i] for i in entries_of(estimate, WHOLE) if estimate.n_seen[i] > 0]
    out["fit"] = facts(fit)
    out["check"] = check_content(checked, versions)
    if standing is not None:
        ranked = zip(standing.ranks.to_dict()["estimates"], standing.holds, standing.chance, strict=True)
        out["ranks"] = [
            entry | {"holds": float(holds), "chance": [float(part) for part in chance]}
            for entry, holds, chance in ranked
        ]
    return out


def finding(found: RowFinding | Skipped, versions: Sequence[str]) -> str:
    """What was found of rows, with the versions' names in place of their numbers."""
    first, last = found.versions[0], found.versions[-1]
    text = found.found.replace(f"version {last}:", f"{versions[last]}:", 1)
    end = f" version {first}"
    return f"{text.removesuffix(end)} {versions[first]}" if text.endswith(end) else text


def check(found: RowCheck, versions: Sequence[str], left_out: Sequence[str] = (), fewest: int = 0) -> Table:
    """What is wrong with rows, a line a finding; below, what could not be compared.

    Args:
        found: from `refresh.check`.
        versions: names of those that were checked.
        left_out: names of others, which hold fewer than `fewest` models.
        fewest: see there.
    """
    remarks = (f"left out, with fewer than {fewest} models: {', '.join(left_out)}",) if left_out else ()
    remarks += tuple(finding(one, versions) for one in found.skipped)
    title = f"rows of {', '.join(versions)} (false-alarm rate {100 * found.alarm:.3g}%)"
    if not len(found):
        return Table(f"{title}: no swapped or mislabelled models found", (), (), remarks)
    said = [finding(one, versions) for one in found.findings]
    widest = max(map(len, said))
    lines = [
        (one.kind, text.ljust(widest), f"{one.p_value:.2g}") for one, text in zip(found.findings, said, strict=True)
    ]
    return Table(title, ("what", "found", "p"), tuple(lines), remarks, 2)


def check_content(found: RowCheck, versions: Sequence[str]) -> dict[str, Any]:
    """The JSON of a check, with the versions' names."""
    out = found.to_dict()
    entries = [*out["findings"], *out["skipped"]]
    for entry, one in zip(entries, [*found.findings, *found.skipped], strict=True):
        entry |= {"versions": [versions[t] for t in one.versions], "found": finding(one, versions)}
    return out | {"versions": list(versions)}


def suspects(found: Suspicion) -> Table:
    """Families and versions, most suspicious first: all that are flagged, and a few others."""
    excess = found.estimate
    order = sorted(range(len(excess.rows)), key=lambda i: (found.p_values[i], -excess.value[i]))
    lines = [
        (
            excess.rows[i],
            excess.group[i],
            f"{100 * excess.value[i]:+z.1f}",
            f"[{100 * excess.low[i]:z.1f}, {100 * excess.high[i]:z.1f}]",
            f"{found.p_values[i]:.2g}",
            f"{100 * found.detectable[i]:z.1f}",
        )
        for place, i in enumerate(order)
        if place < FEW or found.p_values[i] <= found.alarm
    ]
    who = ", ".join(found.flagged) or "none"
    title = f"families that {found.change} more than expected (family-wise error {100 * found.alarm:.3g}%): {who}"
    what = "change" if found.losses else "gain"
    return Table(
        title, ("family", "version", what, "interval", "p", f"detectable {what}"), tuple(lines), (f"{what}: {GAIN}",), 2
    )


def link(found: Linked, old: str, new: str) -> Table:
    """Scale and shift of the bank `new` on the scale of the bank `old`, and what they rest on."""
    line = found.estimate
    lines = [
        (row, f"{line.value[i]:z.3f}", style.interval(line, i), f"{line.std_error[i]:z.3f}")
        for i, row in enumerate(line.rows)
    ]
    title = f"{new} on the scale of {old}, by {found.method}, {100 * line.level:.4g}% intervals"
    unit = "logits" if found.kind == "items" else "units of the old ability"
    drift = f"{len(found.common):,} common {found.kind}, which drift by {found.drift:z.2f} {unit} beyond their errors"
    remarks = ("old ability = scale * new ability + shift", drift)
    return Table(title, ("", "value", "interval", "std. error"), tuple(lines), remarks)
