"""Whether answers and a fit can be trusted, as a page of text and as the JSON of `lleval check`."""

from typing import Any

import numpy as np

from lleval_jax.report.text import Table
from lleval_jax.values.results import FitResult
from lleval_jax.values.trust import Examination, Guard, ItemReport, Recovery, Rotation, Shuffled

SCHEMA = "lleval/check/1"
ITEMS = 12  # on the page
SUSPECTS = 100  # in the JSON
PAIRS = 5
MANY = {"slope": "slopes", "intercept": "intercepts", "ability": "abilities"}


def guard(found: Guard) -> Table:
    """What was found before the fit."""
    lines = [(one.severity, one.name, one.found) for one in found.findings]
    advice = [f"{one.name}: {one.advice}" for one in found.findings if one.advice]
    clusters = [f"near-copies: {_few(cluster)}" for cluster in found.clusters[:PAIRS]]
    what = f"{found.models:,} models ({found.distinct:,} distinct) x {found.items:,} items, {found.asked} requested"
    if found.ok:
        verdict = "it can be fitted"
    else:
        verdict = (
            f"only {_title(found.safe)} is identifiable from these data"
            if found.safe != found.asked
            else "it can be, with the warnings below"
        )
    lines = lines or [("-", "-", "nothing")]
    return Table(
        f"before the fit: {what}: {verdict}", ("", "what", "found"), tuple(lines), (*advice, *clusters), left=3
    )


def _title(model: str) -> str:
    """A model as a sentence names it."""
    return "a Rasch model" if model == "rasch" else f"a {model.upper()} model"


def summary(
    fit: FitResult,
    found: Examination,
    *,
    dims: int | None = None,
    rotation: Rotation | None = None,
    shuffled: Shuffled | None = None,
    recovery: Recovery | None = None,
) -> Table:
    """What was found of the fit as a whole."""
    depend, count = found.dependence, found.items.count()
    lines = [("fit", f"{fit.method}: {fit.status} after {fit.steps} steps")]
    lines.append(("reliability of abilities", ", ".join(f"{r:z.2f}" for r in found.reliability)))
    lines.append(("reliability by split halves", f"{found.split_half:z.2f}"))
    if dims is not None:
        lines.append(("dimensions (by held-out likelihood)", str(dims)))
    if rotation is not None:
        lines.append((f"dimensions ({rotation.by})", "; ".join(rotation.names)))
    if depend.compared:
        said = f"{depend.beyond:,} of {depend.compared:,} pairs flagged (Yen's Q3)"
        lines.append(("local dependence", f"{said}; spread {depend.spread:z.3f}, by chance {depend.chance:z.3f}"))
    bad = sum(map(bool, found.items.flags))
    words = ", ".join(f"{n:,} {name}" for name, n in count.items() if n)
    lines.append(("items with something wrong", f"{bad:,} of {len(found.items.items):,}" + (f": {words}" * bool(bad))))
    if shuffled is not None:
        lines.append(("negative control (shuffled answers)", _control(shuffled)))
    if recovery is not None:
        lines += _recovered(recovery)
    pairs = [f"dependent: {a}, {b} ({r:z.2f})" for a, b, r in depend.pairs[:PAIRS]]
    return Table("after the fit", ("what", "found"), tuple(lines), tuple(pairs), left=2)


def items(found: Examination, most: int = ITEMS) -> Table:
    """The most serious items: what is wrong with these questions."""
    report = found.items
    flagged = report.flagged
    lines = []
    for i in flagged[:most]:
        slope = f"{report.slope[i]:z.2f} +- {report.error[i]:z.2f}" if 0 < report.right[i] < 1 else "-"
        what = [_said(name, report, i) for name in report.flags[i]]
        lines.append((report.items[i], f"{report.answers[i]:,}", f"{report.right[i]:z.2f}", slope, "; ".join(what)))
    if not lines:
        return Table("items: none flagged", (), ())
    rest = len(flagged) - len(lines)
    remarks = (f"and {rest:,} more; --json lists them all",) if rest else ()
    head = ("item", "answers", "right", "slope", "what is wrong")
    widest = max(len(line[4]) for line in lines)
    lines = [(*line[:4], line[4].ljust(widest)) for line in lines]
    return Table(f"what is wrong with these {len(lines)} items", head, tuple(lines), remarks)


def content(
    guard: Guard,
    fit: FitResult | None,
    found: Examination | None,
    *,
    dims: int | None = None,
    rotation: Rotation | None = None,
    shuffled: Shuffled | None = None,
    recovery: Recovery | None = None,
) -> dict[str, Any]:
    """The JSON, schema `lleval/check/1`, of what `guard` and `summary` show."""
    out: dict[str, Any] = {"schema": SCHEMA, "ok": guard.ok, "guard": guard.to_dict()}
    if fit is None or found is None:
        return out
    depend, report = found.dependence, found.items
    value = _number(fit.ended.value)
    out["fit"] = {"method": fit.method, "status": fit.status, "steps": fit.steps, "log_likelihood": value}
    out["reliability"] = [_number(r) for r in found.reliability]
    out["split_half"] = found.split_half
    out["dims"] = dims
    out["dependence"] = {
        "beyond": depend.beyond,
        "compared": depend.compared,
        "chance": depend.chance,
        "spread": depend.spread,
        "pairs": [list(pair) for pair in depend.pairs],
    }
    out["flags"] = report.count()
    out["items"] = [_item(report, i) for i in report.flagged]
    out["suspects"] = _suspects(report)
    if rotation is not None:
        out["rotation"] = {"by": rotation.by, "names": list(rotation.names), "turn": rotation.turn.tolist()}
        out["rotation"] |= {"correlation": rotation.correlation.tolist()}
    if shuffled is not None:
        out["shuffled"] = {**vars(shuffled), "passed": shuffled.passed}
    if recovery is not None:
        out["recovery"] = dict(vars(recovery))
    return out


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if np.isfinite(value) else None


def _suspects(report: ItemReport) -> list[dict[str, Any]]:
    """The keys most in doubt, flagged or not: few answers rank them well before they prove one wrong."""
    doubt = np.where(np.isfinite(report.wrong_key), report.wrong_key, 0.0)
    first = np.argsort(-doubt, kind="stable")[:SUSPECTS]
    return [{"item": report.items[i], "wrong_key": float(doubt[i])} for i in first if doubt[i] > 0]


def _item(report: ItemReport, i: int) -> dict[str, Any]:
    numbers = ("right", "slope", "error", "wrong_key", "misfit", "bent", "family", "shift")
    out = {"item": report.items[i], "flags": list(report.flags[i]), "answers": int(report.answers[i])}
    out |= {name: _number(getattr(report, name)[i]) for name in numbers}
    return out | {"family_name": report.family_name[i]}


def _said(name: str, report: ItemReport, i: int) -> str:
    """A flag with its number."""
    if name == "key likely wrong":
        return f"{name} ({report.wrong_key[i]:.0%})"
    if name == "differs between families":
        how = "easier" if report.shift[i] > 0 else "harder"
        return f"{report.family_name[i]} finds it {how} ({report.shift[i]:+z.1f})"
    if name == "curve does not fit":
        return f"{name} (off by {report.bent[i]:z.2f})"
    return name


def _control(found: Shuffled) -> str:
    verdict = "passed" if found.passed else "FAILED: the fit makes much of noise"
    gain = f"gain {found.gain_shuffled:z.4f} nats an answer, {found.gain:z.4f} before"
    return f"{verdict}; {gain}; slopes {found.slopes_shuffled:z.2f}, {found.slopes:z.2f} before"


def _recovered(found: Recovery) -> list[tuple[str, str]]:
    parts = [f"{MANY[name]} {found.correlation[name]:z.2f}" for name in found.correlation]
    inside = [f"{MANY[name]} {found.coverage[name]:.0%}" for name in found.coverage]
    return [
        ("recovery: correlation with the truth", ", ".join(parts)),
        (f"recovery: inside {found.level:.0%} intervals", ", ".join(inside)),
    ]


def _few(names: tuple[str, ...], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
