"""A study's JSON: written after every part with machine, versions, commit, date and seconds, and read again."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
from typing import Any

from bench.kit.machine import describe

BENCH = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = ("jax", "jaxlib", "numpy", "scipy")


def commit() -> str | None:
    """The checkout's commit, with a plus sign where files differ from it; None outside of git."""
    words = ["git", "-C", str(BENCH), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def path_of(method: str, name: str) -> pathlib.Path:
    """Where the results `name` of a method are."""
    return BENCH / method / "results" / f"{name}.json"


def read(method: str, name: str) -> Any:
    """Results as stored."""
    return json.loads(path_of(method, name).read_text())


class Record:
    """The results of one run, written whole after each part, so that nothing is lost when it is ended.

    What the file holds of other parts, of an earlier run, stays.
    """

    def __init__(self, path: pathlib.Path) -> None:
        """Take up what is stored at `path`."""
        self.path = path
        self.content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.began = time.perf_counter(), time.process_time()

    def keep(self, content: dict[str, Any]) -> None:
        """Put `content` into the file, with what it was measured on."""
        self.content |= content | self.about()
        self._write()

    def part(self, name: str, content: dict[str, Any]) -> None:
        """Put a part that has a machine and a date of its own into the file."""
        self.content[name] = content | self.about()
        self._write()

    def about(self) -> dict[str, Any]:
        """Machine and versions, commit, date, command and seconds so far."""
        wall, cpu = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
        return {
            "machine": describe(*PACKAGES) | {"threads": os.environ.get("OMP_NUM_THREADS", "default")},
            "commit": commit(),
            "date": datetime.date.today().isoformat(),
            "command": shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
            "took": {"seconds": round(wall, 1), "cpu": round(cpu, 1)},
        }

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.content, indent=1) + "\n")
        partial.replace(self.path)
