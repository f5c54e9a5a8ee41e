"""The one door: `python -m bench list | run NAME [--small] | table [--check] | pair OLD NEW | same OLD NEW`."""

from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence

from bench.kit import front, pair, same
from bench.kit.entries import ENTRIES, Entry, lacking
from bench.kit.results import Record, path_of
from bench.kit.settings import add_to, made

# Smoke runs compile more than they compute: what makes a program fast is left out.
QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

TURNS = 3  # days over which the long smoke runs are spread


def show() -> None:
    """A line for each entry."""
    for entry in ENTRIES.values():
        needs = f"; needs {', '.join(entry.needs)}" if entry.needs else ""
        print(f"{entry.name:<22} {entry.shows} ({entry.minutes:g} min{needs})")


def run(entry: Entry, words: Sequence[str]) -> int:
    """The whole study, with the settings of the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m bench run {entry.name}", description=entry.shows)
    parser.add_argument("--out", type=pathlib.Path, default=path_of(entry.method, entry.results), help="the JSON")
    module = entry.module()
    add_to(parser, module.Settings)
    found = parser.parse_args(words)
    module.study(made(module.Settings, found), Record(found.out))
    return 0


def smoke(entry: Entry) -> int:
    """A small run, whose results are thrown away."""
    if absent := lacking(entry.small_needs):
        print(f"{entry.name}: skipped, {' and '.join(absent)} not there", flush=True)
        return 0
    import jax  # not needed for lists and tables

    began, used = time.perf_counter(), cpu()
    with tempfile.TemporaryDirectory() as folder:
        try:
            module = entry.module()
            module.study(module.Settings(**entry.small), Record(pathlib.Path(folder) / "small.json"))
            done = bool(list(pathlib.Path(folder).glob("*.json")))
        except Exception:  # noqa: BLE001  (the other studies are run all the same)
            traceback.print_exc()
            done = False
    jax.clear_caches()  # a process may hold only so many programs: each takes some of its memory maps
    word = "ok" if done else "FAILED"
    print(f"{entry.name}: {word}, {time.perf_counter() - began:.1f} s, {cpu() - used:.1f} CPU s", flush=True)
    return int(not done)


def of_today(entries: Sequence[Entry], day: int) -> list[Entry]:
    """All but two thirds of those whose smoke runs take long, which take turns by the day."""
    long = [entry.name for entry in entries if entry.long]
    return [entry for entry in entries if not entry.long or long.index(entry.name) % TURNS == day % TURNS]


def smoke_alone(entry: Entry) -> int:
    """The same in a process of its own."""
    return subprocess.run([sys.executable, "-m", "bench", "run", entry.name, "--small"], check=False).returncode


def cpu() -> float:
    """Processor seconds of this process and of those it waited for."""
    return sum(os.times()[:4])


def main(words: Sequence[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    does = parser.add_subparsers(dest="what", required=True)
    does.add_parser("list", help="every study: what it shows, minutes, needs")
    running = does.add_parser("run", help="one study, or small all of those that no test runs", add_help=False)
    running.add_argument("name", choices=[*ENTRIES, "all"])
    running.add_argument("--small", action="store_true")
    running.add_argument(
        "--every", action="store_true", help="of all small ones also those that are left for other days"
    )
    tables = does.add_parser("table", help="write bench/README.md and bench/METHOD/README.md from the JSON")
    tables.add_argument("--check", action="store_true", help="write nothing; fail if one is not up to date")
    pair.add_to(does.add_parser("pair", help="seconds of the same calls at two checkouts, in turn"))
    same.add_to(does.add_parser("same", help="what all public verbs say at two checkouts, compared"))
    asked, more = parser.parse_known_args(words)
    if more and (asked.what != "run" or asked.small):
        parser.error(f"not understood: {' '.join(more)}")
    if asked.what == "list":
        show()
    elif asked.what == "table":
        return front.write(check=asked.check)
    elif asked.what in ("pair", "same"):
        return {"pair": pair, "same": same}[asked.what].main(asked)
    elif asked.small:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK_TO_COMPILE}".strip()
        if asked.name != "all":
            return smoke(ENTRIES[asked.name])
        untested = [entry for entry in ENTRIES.values() if not entry.tested]  # the tests run the others
        today = untested if asked.every else of_today(untested, datetime.date.today().toordinal())
        if left := [entry.name for entry in untested if entry not in today]:
            print(f"left for other days, --every runs them: {', '.join(left)}", flush=True)
        return max(smoke_alone(entry) if entry.alone else smoke(entry) for entry in today)
    elif asked.name == "all":
        parser.error("all together are run with --small only")
    else:
        return run(ENTRIES[asked.name], more)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
