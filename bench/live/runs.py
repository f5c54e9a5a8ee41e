"""Runs of the shipped example: seconds and memory by step, processes killed at random times, money."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.live import recipe, requests, run
from lleval_jax.live.example.models import Scripted
from lleval_jax.live.example.truth import behind
from lleval_jax.live.steps import lines_of

CODE = "import sys, pathlib; from lleval_jax.live import run; run.run(pathlib.Path(sys.argv[1]))"
RECIPE = 'address = "example"'  # of the one that ships


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    papers: int = setting(42, "papers of the larger archive, all but two open")
    kills: int = setting(100, "processes that are killed")
    longest: float = setting(3.0, "seconds that one works on after it did something, until it is killed, at most")
    requests: int = setting(64, "slow requests under way together")


def larger(place: pathlib.Path, papers: int) -> str:
    """A recipe with so many papers and few questions of each: where it lies."""
    text = recipe.place_of("demo:live").read_text()
    for old, new in {"count = 5": "count = 1", "exact = 6": "exact = 2", RECIPE: f'{RECIPE[:-1]}-{papers}"'}.items():
        assert old in text
        text = text.replace(old, new)
    path = place / "larger.toml"
    path.write_text(text)
    return str(path)


def undisturbed(folder: pathlib.Path) -> tuple[dict[str, Any], run.Version]:
    """Seconds by step and of all, memory, and tokens and money against the models' own count."""
    clients: dict[str, Scripted] = {}

    def client_of(model, elements):
        clients[model.model] = Scripted(model.model, map(behind, elements), at_once=model.at_once)
        return clients[model.model]

    start = time.monotonic()
    version = run.run(folder, client_of=client_of)
    seconds = time.monotonic() - start
    lines, _ = lines_of((folder / "manifest.jsonl").read_bytes())
    by_step: dict[str, float] = {}
    for line in lines:
        by_step[line.step] = by_step.get(line.step, 0.0) + line.seconds
    spent = requests.spent(folder, version.recipe.models.values())
    told = {name: (each.asked, each.written) for name, each in spent.items()}
    return {
        "seconds": seconds,
        "seconds of reading papers": by_step[run.READ],
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "papers": len(version.papers),
        "elements": len(version.elements),
        "questions": len(version.questions),
        "kept": len(version.kept),
        "requests": sum(each.requests for each in spent.values()),
        "tokens as the models count": told == {name: (c.asked, c.written) for name, c in clients.items()},
        "money": sum(each.money for each in spent.values()),
    }, version


def tables(folder: pathlib.Path) -> dict[str, bytes]:
    """The tables of a run that is through."""
    return {path.name: path.read_bytes() for path in sorted((folder / "tables").iterdir())}


def killed(place: pathlib.Path, recipe: str, settings: Settings, whole: dict[str, bytes]) -> dict[str, Any]:
    """Runs that are killed at random times, each started again until it is through; then another."""
    rng = np.random.default_rng(0)
    kills, runs, equal, extra, worst = 0, 0, 0, 0, 0
    while kills < settings.kills:
        folder = run.new(recipe, f"killed-{runs}", place)
        before = kills
        while True:
            there = _done(folder)
            with subprocess.Popen([sys.executable, "-c", CODE, str(folder)], env=dict(os.environ)) as process:
                try:
                    _at_work(process, folder, there)
                    process.wait(rng.uniform(0.0, settings.longest) if kills < settings.kills else None)
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
        equal += tables(folder) == whole
        runs += 1
        models = run.load(folder).recipe.models.values()
        again = sum(each.extra for each in requests.spent(folder, models).values())
        extra += again
        worst = max(worst, again - (kills - before) * max(each.at_once for each in models))
        keys = [json.loads(line)["key"] for line in (folder / "manifest.jsonl").read_bytes().splitlines()]
        assert len(set(keys)) == len(keys)
    return {
        "kills": kills,
        "runs": runs,
        "equal": equal,
        "extra requests": extra,
        "extra beyond kills x workers": worst,
    }


def _at_work(process: subprocess.Popen, folder: pathlib.Path, there: int) -> None:
    """Wait until a process has done something that was not there: before that there is little to disturb."""
    while process.poll() is None and _done(folder) <= there:
        time.sleep(0.02)


def _done(folder: pathlib.Path) -> int:
    """Units and replies that are kept."""
    manifest = folder / "manifest.jsonl"
    units = manifest.read_bytes().count(b"\n") if manifest.exists() else 0
    return units + sum(len(os.listdir(each)) for each in (folder / "replies").glob("*") if each.is_dir())


def together(count: int) -> dict[str, float]:
    """Slow requests, all under way at once: seconds of all, and of one."""
    from lleval_jax.lm.asking import complete_all
    from lleval_jax.lm.client import Request

    client = Scripted("slow-0.5+yes-man", [], at_once=count)
    start = time.monotonic()
    list(complete_all(client, [Request.ask(f"{i}?\nA. a\nB. b") for i in range(count)]))
    return {"requests": count, "seconds": time.monotonic() - start, "one": 0.5}


def study(settings: Settings, record: Record) -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        record.part("run", undisturbed(run.new("demo:live", "whole", place))[0])
        text = larger(place, settings.papers)
        folder = run.new(text, "large", place)
        record.part("large", undisturbed(folder)[0])
        record.part("together", together(settings.requests))
        record.part("killed", killed(place, text, settings, tables(folder)))
