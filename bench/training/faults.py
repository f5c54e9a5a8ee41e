"""Runs that are killed, that meet a full disk, damaged checkpoints, changed data or other devices.

Each run is a process of its own (`faults_run`): a decoder of 170 thousand random weights, all of which learn by AOT,
with a checkpoint after each step. What must come out is what a run gives that was never stopped: losses, gradients'
norms and held-out losses of all steps as they are written, digit for digit, and the hash of all weights at the end.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.kit.forked import Ended, Forked
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.training import faults_run
from bench.training.faults_run import ENDED, STOPPED

UNFINISHED = "*orbax-checkpoint-tmp*"
KEPT = ("step", "loss", "norm", "held_out_loss")  # of a record: what must be the same
ROOM = (0, 256 << 10)  # bytes left on a full disk: not a line, and not a checkpoint
DISK = 256 << 20
OTHERS = ((1, 4), (1, 8), (8, 1))  # devices before and after
BOUND = 1e-4  # relative, of losses on other devices


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    kills: int = setting(20, "SIGKILLs, half of them while a checkpoint is being written")
    steps: int = setting(24, "of a run")
    parts: tuple[str, ...] = setting(("kills", "disk", "damage", "refused", "devices"), "what is tried")
    seed: int = setting(0, "of the moments")


def study(settings: Settings, record: Record) -> None:
    """All parts, each kept as it ends."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        child = Child(place / "compiled", settings.steps)
        ended = child.ended(place / "whole")
        whole = records(place / "whole")
        assert len(whole) == settings.steps, ended.stderr
        tried = {
            "kills": lambda: kills(child, place, whole, ended.stdout, settings, record),
            "disk": lambda: [full(child, place, room, whole) for room in ROOM],
            "damage": lambda: damage(child, place),
            "refused": lambda: refused(child, place),
            "devices": lambda: [devices(child, place, *pair, whole) for pair in OTHERS],
        }
        for part in settings.parts:
            found = tried[part]()
            print(part, json.dumps(found, indent=1), flush=True)
            record.part(part, {"found": found, "settings": dataclasses.asdict(settings)})


class Child:
    """Starts runs; they share compiled programs, so that most of their time is training."""

    def __init__(self, compiled: pathlib.Path, steps: int) -> None:
        self.steps, self.kept, self.compiled = steps, compiled.with_name("stopped"), compiled
        faults_run.prepared()

    def begun(self, out: pathlib.Path, before: Callable[[], None] | None = None, **asked: Any) -> Forked:
        """A run in a process of its own; `before` is called there first."""
        about = {"out": str(out), "steps": self.steps, "compiled": str(self.compiled)} | asked

        def call() -> None:
            if before is not None:
                before()
            faults_run.main(about)

        return Forked(call)

    def ended(self, out: pathlib.Path, before: Callable[[], None] | None = None, **asked: Any) -> Ended:
        """A run to its end."""
        return self.begun(out, before, **asked).ended()

    def stopped(self, out: pathlib.Path, devices: int = 1) -> pathlib.Path:
        """A run stopped in its middle; the same one again where it was made before."""
        made = self.kept / str(devices)
        if not made.exists():
            ended = self.ended(made, stop=self.steps // 2, devices=devices)
            if not ended.stdout.endswith(f"{STOPPED}\n"):
                raise RuntimeError(f"a run that was to stop in its middle did not: {ended.stdout}{ended.stderr}")
        shutil.copytree(made, out)
        return out

    def killed(self, out: pathlib.Path, lines: int, wait: float, writing: bool) -> bool:
        """A run that is killed after so many steps and seconds, or then when the next checkpoint is begun.

        Whether it was; it may have ended before.
        """
        run = self.begun(out)
        for line in run.lines:
            lines -= line.startswith("training")
            if lines <= 0:
                break
        if writing:
            while run.alive() and not list((out / "last").glob(UNFINISHED)):
                time.sleep(0.0002)
        time.sleep(wait)
        run.kill()
        return run.ended().status == -signal.SIGKILL


def records(out: pathlib.Path) -> list[dict]:
    """What was written of each step; a line that a kill cut short is left out."""
    found = []
    for line in (out / "metrics.jsonl").read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            each = json.loads(line)
            found.append({name: each[name] for name in KEPT if name in each})
    return found


def kills(
    child: Child, place: pathlib.Path, whole: list[dict], said: str, settings: Settings, record: Record
) -> dict[str, Any]:
    """Runs killed again and again; a new one is begun where one has ended before enough kills."""
    draw, cases, ends, out = random.Random(settings.seed), [], [], place / "killed"
    while len(cases) < settings.kills:
        writing = len(cases) % 2 == 1
        wait = draw.uniform(0, 0.03 if writing else 0.2)
        if child.killed(out, draw.randint(1, 4), wait, writing):
            found = records(out)
            unfinished = bool(list(out.glob(f"*/{UNFINISHED}")))
            cases.append({"steps": len(found), "same": found == whole[: len(found)], "in_checkpoint": unfinished})
            print("killed", cases[-1], flush=True)
        else:
            ends.append(end(child, out, whole, said))
            shutil.rmtree(out)
        about = {"settings": dataclasses.asdict(settings)}
        record.part("kills", {"found": {"cases": cases, "ends": ends}} | about)  # a study that is stopped has these
    ends.append(end(child, out, whole, said))
    return {"cases": cases, "ends": ends}


def end(child: Child, out: pathlib.Path, whole: list[dict], said: str) -> dict[str, bool]:
    """A killed run taken to its end: whether all is as of the run that was never stopped."""
    last = child.ended(out).stdout.splitlines()[-1]
    left = len(list(out.glob(f"*/{UNFINISHED}")))
    return {"records": records(out) == whole, "weights": last == said.splitlines()[-1], "left": left}


def full(child: Child, place: pathlib.Path, room: int, whole: list[dict]) -> dict[str, Any]:
    """A run stopped in its middle, gone on on a disk without room, and once more with room."""
    with disk(place / f"disk{room}") as (out, fill):
        child.stopped(out)
        with fill(room) as limit:
            failed = child.ended(out, before=limit)
        kept = [int(each.name) for each in (out / "last").iterdir() if each.name.isdigit()]
        done = child.ended(out)
        lines = [line for line in failed.stderr.splitlines() if line]
        return {
            "room": room,
            "status": failed.status,
            "lines": len(lines),
            "said": lines[-1].replace(str(place), "") if lines else "",
            "checkpoint": max(kept, default=None),
            "same": records(out) == whole and done.stdout.splitlines()[-1].startswith(ENDED),
        }


@contextlib.contextmanager
def disk(place: pathlib.Path) -> Iterator[tuple[pathlib.Path, Any]]:
    """(a folder, what leaves so little room in it): a small disk for root, else a limit of each file of a process."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(place)]
    mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0

    @contextlib.contextmanager
    def fill(room: int) -> Iterator[Any]:
        if not mounted:
            yield lambda: _limit(room)
            return
        rest = place / "rest"
        rest.write_bytes(bytes(max(0, shutil.disk_usage(place).free - room)))
        yield None
        rest.unlink()

    try:
        yield place / "run", fill
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


def _limit(room: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))


def damage(child: Child, place: pathlib.Path) -> dict[str, Any]:
    """Each file of a checkpoint damaged: what a run that goes on makes of it, with and without a best one."""
    out = child.stopped(place / "whole one")
    best = max(int(each.name) for each in (out / "best").iterdir())
    lines = [json.loads(line) for line in child.ended(out, damage=True).stdout.splitlines()]
    counted: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for each in lines:
        counted[f"{each['kind']}, {'a best one' if each['best'] else 'no other'}"][outcome(each, best)] += 1
    said = sorted({each["said"].split(" (")[0] for each in lines if each["said"]})
    return {"counts": counted, "said": [line.replace(str(place), "") for line in said], "best": best}


def outcome(case: dict, best: int) -> str:
    """In a word."""
    if case["step"] is None:
        return "refused"
    if case["step"] == best and case["said"]:
        return "from the best, and said"
    return "whole" if case["same"] else "wrong"


def refused(child: Child, place: pathlib.Path) -> dict[str, str]:
    """Data of which one answer has changed, and a rate that is far too high."""
    changed = child.ended(child.stopped(place / "asked"), changed=True)
    wild = child.ended(place / "wild", rate=1e30)
    found = {"changed data": changed, "not finite": wild}
    return {name: each.stderr.strip().replace(str(place), "") for name, each in found.items()}


def devices(child: Child, place: pathlib.Path, before: int, after: int, whole: list[dict]) -> dict[str, Any]:
    """A run stopped on so many devices, gone on on others: how far its losses are from those on one."""
    out = child.stopped(place / f"{before}to{after}", before)
    ended = child.ended(out, devices=after)
    found, told = ([each["loss"] for each in each_of] for each_of in (records(out), whole))
    far = float(np.max(np.abs(np.array(found) / np.array(told) - 1))) if len(found) == len(told) else None
    return {"before": before, "after": after, "far": far, "ended": ended.status == 0, "bound": BOUND}
