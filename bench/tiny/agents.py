"""SWE-bench Verified from 40, 60 and 100 instances: systems left out at random, and the strongest left out.

As `tiny.stronger`: the public defaults, AIPW and the plain mean, on the same random instances.
"""

from __future__ import annotations

import dataclasses

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.tiny import stronger


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    board: str = setting("swebench_verified", "a matrix of new_models, or 'simulated'")
    protocols: tuple[str, ...] = setting(("interp", "extrap"), "which systems are asked about")
    items: tuple[int, ...] = setting((40, 60, 100), "instances run")
    splits: int = setting(3, "random splits, and choices of instances")


def study(settings: Settings, record: Record) -> None:
    """Each protocol and number of instances."""
    rows = {}
    for protocol in settings.protocols:
        for items in settings.items:
            asked = stronger.Settings((settings.board,), (protocol,), settings.splits, items)
            rows[f"{protocol} {items}"] = stronger.summary(stronger.tried(settings.board, protocol, asked))
            found = {name: round(row["mae"], 2) for name, row in rows[f"{protocol} {items}"].items()}
            print(f"{protocol} {items}: {found}", flush=True)
            record.keep({"board": settings.board, "rows": rows})
