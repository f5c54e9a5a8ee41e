"""Tables of studies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.kit.results import path_of, read
from bench.kit.tables import bold, markdown, number


def _parts(name: str) -> dict[str, dict]:
    if not path_of("scale", name).exists():  # not measured yet
        return {}
    return {key: part for key, part in read("scale", name).items() if isinstance(part, dict) and "machine" in part}


def abilities() -> str:
    """Seconds and memory by models and processes, and the slope of seconds from one size to the next."""
    rows, before = [], dict[int, tuple[int, float]]()
    for part in _parts("abilities").values():
        models, workers, whole = part["models"], part["workers"], part["whole_run"]
        small, seconds = before.get(workers, (0, 0.0))
        slope = np.log(whole["seconds"] / seconds) / np.log(models / small) if small else None
        before[workers] = (models, whole["seconds"])
        peak = whole["peak_mib"] / 1024
        cells = (number(whole["seconds"], 0), number(1e6 * whole["seconds"] / models, 0), number(peak), number(slope))
        rows.append((f"{models:,}", workers, *cells, part.get("failed", part.get("error"))))
    head = ("models", "processes", "seconds", "seconds a million", "largest process, GiB", "slope", "failed")
    return markdown(head, rows)


def faults() -> str:
    """Of each fault whether the table was the undisturbed one."""
    rows = []
    for name, part in _parts("faults").items():
        if "same" in part:
            bad = not part["same"] or part["twice"] or part["missing"]
            about = {key: value for key, value in part.items() if key in WORDS}
            told = ", ".join(f"{WORDS[key]} {value}" for key, value in about.items())
            rows.append((name, told, bold("no" if bad else "yes", bool(bad)), part["twice"], part["missing"]))
    return markdown(("fault", "", "table as undisturbed", "lines twice", "lines missing"), rows)


def cost() -> str:
    """What chunks cost."""
    found, rows = _parts("faults"), []
    if "recognised" in found:
        part = found["recognised"]
        rows.append((f"a finished study of {part['chunks']:,} chunks recognised", f"{part['seconds']:.2f} s"))
    if "cost" in found:
        part = found["cost"]
        more = part["in chunks"] / part["alone"] - 1
        each = 1000 * part["alone"] / part["chunks"]
        rows.append((f"chunks, receipts and leases, more than tasks of {each:.0f} ms alone", f"{100 * more:.0f}%"))
    if "other data" in found:
        rows.append(("other data in the same folder", "refused" if found["other data"]["refused"] else "**taken**"))
    return markdown(("", ""), rows)


def large() -> str:
    """Seconds, memory and bytes an answer of each fit."""
    rows = []
    for part in _parts("large").values():
        if "cells" not in part:
            rows.append((part["size"], part["model"], *["-"] * 5, part.get("error", part.get("status"))))
            continue
        whole, cells, steps = part["whole_run"], part["cells"], part["steps"]
        numbers = (
            number(part["seconds of the fit"], 0),
            number(whole["cpu_seconds"], 0),
            steps,
            number(whole["peak_mib"] / 1024),
        )
        rows.append(
            (part["size"], part["model"], f"{cells:,}", *numbers, number(1048576 * whole["peak_mib"] / cells, 0))
        )
    head = (
        "models x items",
        "model",
        "answers",
        "seconds",
        "processor seconds",
        "steps",
        "peak GiB",
        "bytes an answer",
    )
    return markdown(head, rows)


def many() -> str:
    """Seconds a fit in a loop, side by side and in turns; what turns gain where some fits take long."""
    rows, parts = [], _parts("many")
    for name, part in parts.items():
        if "a fit in a loop" in part:
            times = (part["a fit in a loop"], part["side by side"], part["in turns"])
            rows.append((name, part["fits"], *(number(1000 * each) for each in times), number(part["times faster"])))
    head = ("batch", "fits", "ms a fit in a loop", "ms side by side", "ms in turns", "times faster than the loop")
    found = markdown(head, rows)
    if "skewed" in parts:
        part = parts["skewed"]
        steps = f"{part['median steps']} steps in the median, {part['most steps']} at most"
        pace = f"{part['waiting']:.1f} s in batches that wait, {part['in turns']:.1f} s in turns"
        found += f"\n\nSkewed: {part['fits']} fits in {part['chunk']} lanes, {steps}: {pace}."
    return found


WORDS = {
    "preempted": "preempted:",
    "processes": "processes:",
    "kills": "kills:",
    "studies": "studies:",
    "status": "status",
    "leases": "leases left:",
    "damaged": "files damaged:",
    "found": "found:",
    "statuses": "statuses",
}
TABLES: dict[str, Callable[[], str]] = {
    "abilities": abilities,
    "faults": faults,
    "cost": cost,
    "large": large,
    "many": many,
}
