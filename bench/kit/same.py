"""Does everything still say the same? What all public verbs answer at two checkouts, compared number by number."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

from bench.kit.problems import SHARED

VERBS = pathlib.Path(__file__).with_name("verbs.py")
PARTS = ("banks", "irt", "prompts", "sloth", "sloth_fit", "refresh", "pepr", "shell")
BOUND = 1e-6


def add_to(parser: argparse.ArgumentParser) -> None:
    """The words of the command line."""
    parser.add_argument("old", type=pathlib.Path, help="a checkout")
    parser.add_argument("new", type=pathlib.Path, help="another one")
    parser.add_argument("--only", choices=PARTS, help="one group of verbs; all if none")
    parser.add_argument("--bound", type=float, default=BOUND, help="differences up to it are none (%(default)s)")


def answers(checkout: pathlib.Path, part: str) -> dict:
    """Numbers and words by name, from a process of its own.

    Raises:
        RuntimeError: the process failed.
    """
    place = str(checkout.resolve())
    around = os.environ | {"PYTHONPATH": place}
    words = [sys.executable, "-P", str(VERBS), str(SHARED), part]
    done = subprocess.run(words, capture_output=True, text=True, env=around, cwd=place, check=False)
    if done.returncode:
        raise RuntimeError(f"{part} at {checkout} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def differences(old: dict, new: dict) -> dict[str, float]:
    """Name -> largest difference of its numbers; infinite where words, shapes or gaps differ or one side lacks it."""
    return {name: _gap(old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])}


def _gap(old: object, new: object) -> float:
    one, other = np.asarray(old), np.asarray(new)
    if one.shape != other.shape or old is None or new is None:
        return np.inf
    if one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(one, other) else np.inf
    one, other = one.astype(float), other.astype(float)
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return np.inf
    return float(np.nanmax(np.abs(one - other), initial=0.0))


def main(asked: argparse.Namespace) -> int:
    """Print a line a part, and each name that differs."""
    status = 0
    for part in [asked.only] if asked.only else PARTS:
        found = differences(answers(asked.old, part), answers(asked.new, part))
        apart = {name: gap for name, gap in found.items() if gap > asked.bound}
        alike = max((gap for gap in found.values() if gap <= asked.bound), default=0.0)
        print(f"{part}: {len(found)} results, {len(apart)} differ; the others by {alike:.1e} at most", flush=True)
        for name, gap in apart.items():
            print(f"  {name}: {gap:.1e}")
        status = max(status, int(bool(apart)))
    return status
