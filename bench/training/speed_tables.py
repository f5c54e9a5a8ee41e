"""Tables of how fast models learn: ours and TRL's, one half of an adapter and both, and what --dry-run promised."""

from __future__ import annotations

from typing import Any

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number


def _parts() -> list[dict[str, Any]]:
    return [part for part in read("training", "speed").values() if isinstance(part, dict) and "sides" in part]


def _what(part: dict[str, Any]) -> str:
    return f"{part['model']}, {part['adapter']}, {part['loss']}"


def speed() -> str:
    """All sides of all tasks."""
    head = ("task", "side", "tokens a second", "with the reference", "compiling, s", "CPU s a step", "MiB", "load")
    rows = []
    for part in _parts():
        for who, one in part["sides"].items():
            if one["status"] != "ok":
                rows.append((_what(part), who, one["error"], *[None] * 5))
                continue
            loads = "-".join(f"{load:.1f}" for load in sorted({min(one["load_before"]), max(one["load_before"])}))
            cells = (number(one[key], 0) for key in ("tokens_a_second", "with_reference"))
            cells = (*cells, number(one["compiling"], 0), number(one["cpu_seconds"], 2), number(one["peak_mib"], 0))
            rows.append((_what(part), who, *cells, loads))
    return markdown(head, rows)


def race() -> str:
    """Ours by the fastest of theirs; below 1 is bold."""
    head = ("task", "times as fast", "than", "times, with the reference", "than", "losses differ by")
    rows = []
    for part in _parts():
        if "times_as_fast" not in part:
            continue
        cells: list[str] = []
        for key in ("times_as_fast", "times_as_fast_with_reference"):
            cells += [bold(number(part[key], 2), part[key] < 1), part[f"{key}_than"]]
        rows.append((_what(part), *cells, f"{part['losses_differ']:.1e}"))
    return markdown(head, rows)


def halves() -> str:
    """Ours: all weights, both factors of an adapter, and B alone."""
    head = ("task", "parameters that learn", "tokens a second", "CPU s a step", "peak MiB", "memory by --dry-run, MB")
    rows = []
    for part in _parts():
        one = part["sides"].get("lleval_jax", {})
        if one.get("status") != "ok":
            continue
        promised = one["promised"]
        cells = (f"{promised['learned']:,}", number(one["tokens_a_second"], 0), number(one["cpu_seconds"], 2))
        rows.append((_what(part), *cells, number(one["peak_mib"], 0), number(promised["memory"] / 1e6, 0)))
    return markdown(head, rows)


def promises() -> str:
    """Seconds of whole runs, and what --dry-run said."""
    head = ("run", "steps", "promised, s", "took, s", "promised / took")
    rows = []
    for part in _parts():
        for who, one in part["sides"].items():
            if one.get("status") == "ok" and "promised_seconds" in one:
                promised, took = one["promised_seconds"], one["took_seconds"]
                cells = (part["steps"], number(promised, 1), number(took, 1), number(promised / took, 2))
                rows.append((f"{_what(part)}, {who}", *cells))
    return markdown(head, rows)


TABLES = {"speed": speed, "race": race, "halves": halves, "promises": promises}
