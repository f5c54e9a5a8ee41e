"""Tables of how fast adapters get into shared bases."""

from __future__ import annotations

from typing import Any

from bench.compress.speed import slope
from bench.kit.results import read
from bench.kit.tables import markdown, number


def _parts(what: str) -> dict[str, dict[str, Any]]:
    """Those of a kind, by the rest of their names."""
    found = read("compress", "speed").items()
    return {name.split(", ", 1)[1]: part for name, part in found if name.startswith(f"{what}, ")}


def race() -> str:
    """Ours and the authors' program on one problem; ours is the whole search, of eight starts, where theirs has one."""
    parts = _parts("race")
    ours = parts.get("lleval_jax", {}).get("median")
    head = (
        "",
        "seconds, median",
        "from",
        "to",
        "first call, s",
        "energy kept",
        "peak MiB",
        "times ours",
    )
    rows = []
    for name, part in parts.items():
        if part["status"] != "ok" or "median" not in part:
            rows.append((name, part.get("error", part["status"]), *[None] * 6))
            continue
        times = sorted(part["seconds"])
        cells = [number(x, 2) for x in (part["median"], times[0], times[-1], part["cold_seconds"])]
        peak = number(part["whole_run"]["peak_mib"], 0)
        ratio = number(part["median"] / ours, 2) if ours else None
        rows.append((name, *cells, f"{part['kept']:.4%}", peak, ratio))
    return markdown(head, rows)


def adapters() -> str:
    """Seconds against the number of adapters."""
    parts = _parts("adapters")
    head, rows = ("adapters", "search", "seconds, median", "energy kept", "peak MiB"), []
    for name, part in parts.items():
        if "median" in part:
            n, variant = name.split(", ")
            cells = (number(part["median"], 2), f"{part['kept']:.4%}", number(part["whole_run"]["peak_mib"], 0))
            rows.append((n, variant, *cells))
    return markdown(head, rows)


def slopes() -> str:
    """The power of the number of adapters by which seconds grow."""
    parts, rows = _parts("adapters"), []
    for variant in ("12 sweeps", "8 starts"):
        done = {
            int(name.split(", ")[0]): part["median"]
            for name, part in parts.items()
            if name.endswith(variant) and "median" in part
        }
        if len(done) > 1:
            rows.append((variant, f"{min(done):,} to {max(done):,}", number(slope(list(done), list(done.values())), 2)))
    return markdown(("search", "adapters", "power"), rows)


def plan() -> str:
    """What one module's seconds promise for several, and what these took; and 96 modules of 1,000 adapters."""
    one = {int(name.split(", ")[0]): part["median"] for name, part in _parts("adapters").items() if "8 starts" in name}
    head, rows = ("modules x adapters", "promised, s", "took, s", "promised / took"), []
    for name, part in _parts("plan").items():
        if "median" in part:
            promised = one[part["adapters"]] * part["modules"]
            cells = (number(promised, 1), number(part["median"], 1), number(promised / part["median"], 2))
            rows.append((name.replace("x", " x "), *cells))
    if 1000 in one:
        rows.append(("96 x 1000", number(one[1000] * 96, 0), None, None))
    return markdown(head, rows)


TABLES = {"compress-race": race, "compress-adapters": adapters, "compress-slopes": slopes, "compress-plan": plan}
