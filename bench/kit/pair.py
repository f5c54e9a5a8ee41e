"""Seconds of the same calls at two checkouts, in turn: is the new one no slower?

Each turn is a process of its own with one checkout first on the path, A B A B; the figures are medians over all warm
calls of a checkout. On a busy machine go by the processor's seconds. Programs that are the same are compiled once, into
a folder that is thrown away.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from bench.kit.tables import markdown, number

KERNELS = pathlib.Path(__file__).with_name("kernels.py")
NAMES = ("engine", "prompts", "sloth", "refresh")
TURNS = 2
CLOCKS = ("wall", "cpu")


def add_to(parser: argparse.ArgumentParser) -> None:
    """The words of the command line."""
    parser.add_argument("old", type=pathlib.Path, help="a checkout")
    parser.add_argument("new", type=pathlib.Path, help="another one")
    parser.add_argument("--only", choices=NAMES, help="one group of calls; all if none")
    parser.add_argument("--turns", type=int, default=TURNS, help="of each checkout (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, help="the JSON; printed if none")


def turn(checkout: pathlib.Path, name: str, cache: str) -> dict[str, dict]:
    """Seconds by call, in a process of its own.

    Raises:
        RuntimeError: the process failed, or the checkout holds no package.
    """
    place = str(checkout.resolve())
    around = os.environ | {"PYTHONPATH": place, "JAX_COMPILATION_CACHE_DIR": cache}
    around["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    words = [sys.executable, "-P", str(KERNELS), name, place]
    done = subprocess.run(words, capture_output=True, text=True, env=around, cwd=cache, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} at {checkout} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compared(old: pathlib.Path, new: pathlib.Path, name: str, turns: int) -> list[dict]:
    """A row a call."""
    sides: dict[str, list[dict]] = {"old": [], "new": []}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(turns):
            for side, checkout in (("old", old), ("new", new)):
                sides[side].append(turn(checkout, name, cache))
    return [
        row(name, call, {side: [one[call] for one in found] for side, found in sides.items()})
        for call in sides["old"][0]
    ]


def row(group: str, call: str, sides: dict[str, list[dict]]) -> dict:
    """Medians of one call over all turns, and their ratios, by the clock and by the processor."""
    made: dict = {"group": group, "call": call}
    for clock in CLOCKS:
        middle = {side: statistics.median(sum((one[clock] for one in turns), [])) for side, turns in sides.items()}
        made[clock] = middle | {"ratio": middle["new"] / middle["old"]}
    medians = {side: [statistics.median(one["wall"]) for one in turns] for side, turns in sides.items()}
    return made | {"turns": medians, "cold": {side: [one["cold"] for one in turns] for side, turns in sides.items()}}


def main(asked: argparse.Namespace) -> int:
    """Print the table and the JSON."""
    rows = []
    for name in [asked.only] if asked.only else NAMES:
        rows += compared(asked.old, asked.new, name, asked.turns)
        print(f"{name}: done", file=sys.stderr, flush=True)
    names = ("old", "new", "ratio")
    cells = [(r["group"], r["call"], *(number(r[clock][k], 4) for clock in CLOCKS for k in names)) for r in rows]
    head = ("group", "call", "old, warm s", "new, warm s", "new / old", "old, CPU s", "new, CPU s", "new / old")
    print(markdown(head, cells))
    text = json.dumps({"turns": asked.turns, "rows": rows}, indent=1)
    print(text) if asked.out is None else asked.out.write_text(text + "\n")
    return 0
