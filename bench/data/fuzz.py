"""Any bytes give a result or `BadInput`: a coverage-guided fuzzer on every reader.

    pip install atheris && python -m bench run data.fuzz --cases 100000        # Python 3.12 or 3.13

Starts from the fixtures and the corpus of what was found before (tests/data/corpus, replayed by test_fuzz.py there).
Each case is read by the reader of its format, and each fourth also by `read`, which chooses one. What escapes is kept
in the corpus. Half of the cases are bytes changed by the fuzzer, half are texts with one value changed for an odd one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

from bench.kit.results import Record
from bench.kit.settings import setting

HERE = pathlib.Path(__file__).parent
TESTS = HERE.parents[1] / "tests"
CORPUS = TESTS / "data" / "corpus"
LONGEST, SECONDS, MEGABYTES = 40_000, 30, 3000  # of a case: bytes, time, memory
VALUE = re.compile(rb'"(?:[^"\\\n]|\\.){0,200}"|-?\d[\d.eE+-]*|true|false|null|NaN')
ODD = (  # what stands for a value of a text
    b'null NaN -Infinity 1e999 -1 0 1 2 0.5 true false "" "x" [] {} [[]] [null] [1,"a"] {"a":{}} {"value":"C"} "N" "C" '
    b'"NaN" 99999999999999999999999 "\\ud800" "\\u0000" "1" "-5" "task/x" {"score":1} 1e-320 -0.0 "\\n" "none" "acc"'
).split()


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    cases: int = setting(100_000, "for each reader")
    seconds: int = setting(600, "at most, for each reader")
    only: str = setting("", "readers, with commas between them; all if empty")


def study(settings: Settings, record: Record) -> None:
    """Readers one after the other; counts are added to those of earlier runs."""
    for reader in settings.only.split(",") if settings.only else readers():
        found = one(reader, settings.cases, settings.seconds)
        known = record.content.get("readers", {})
        known = known | {reader: [*known.get(reader, []), found]}
        runs = [run for each in known.values() for run in each]
        counts = {name: sum(run[name] for run in runs) for name in ("cases", "escaped")}
        limits = {"longest": LONGEST, "seconds": SECONDS, "megabytes": MEGABYTES}
        record.keep({"readers": known, "limits": limits} | counts)


def readers() -> list[str]:
    """The reader of each format there is, by the name of its module."""
    from lleval_jax.data import FORMATS

    return [format.read.__module__.rpartition(".")[2] for format in FORMATS]


def one(reader: str, cases: int, seconds: int) -> dict:
    """Fuzz one reader in a process of its own; what it counted."""
    with tempfile.TemporaryDirectory() as folder:
        count = pathlib.Path(folder) / "count.json"
        words = [reader, str(cases), str(seconds), str(count)]
        around = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])}
        log = pathlib.Path(folder) / "log"
        with log.open("w") as stream:
            done = subprocess.run(
                [sys.executable, __file__, *words], stdout=stream, stderr=stream, cwd=folder, env=around, check=False
            )
        found = json.loads(count.read_text()) if count.is_file() else {"cases": 0, "escaped": 0}
        for crash in pathlib.Path(folder).glob("*-*"):
            if crash.name.split("-")[0] in ("crash", "timeout", "oom"):
                keep(reader, crash.read_bytes(), crash.name.split("-")[0])
                found["escaped"] += 1
        print(reader, found, "exit", done.returncode, log.read_text()[-500:] if found["escaped"] else "", flush=True)
        return found | {"exit": done.returncode}


def keep(reader: str, content: bytes, why: str) -> None:
    """Put a case into the corpus."""
    place = CORPUS / reader
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{why}-{hashlib.sha256(content).hexdigest()[:16]}").write_bytes(content)


def fuzz(reader: str, cases: int, seconds: int, count: pathlib.Path) -> None:
    """Run cases until there are enough, in this process. Does not return."""
    import atheris

    os.environ["LLEVAL_CACHE"] = "off"
    with atheris.instrument_imports(include=["lleval_jax.data", "lleval_jax.values"], enable_loader_override=False):  # pyright: ignore[reportAttributeAccessIssue]
        from lleval_jax import data
        from lleval_jax.data import files
        from lleval_jax.data.answers import Options
        from lleval_jax.data.formats import registry
    from lleval_jax.errors import BadInput

    sys.path.insert(0, str(TESTS))
    import originals

    warnings.simplefilter("ignore")
    known = next(format for format in registry.FORMATS if format.read.__module__.endswith(f".{reader}"))
    shelf = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    seeds = shelf / "seeds"
    seeds.mkdir()
    folder = shelf / "originals"
    folder.mkdir()
    old = [path for path in (CORPUS / reader).glob("*")] if (CORPUS / reader).is_dir() else []
    mine = [path for path in originals.make(folder) if registry.of(files.head(path), path) is known]
    for place, path in enumerate([*mine, *old]):
        content = path.read_bytes()
        with contextlib.suppress(OSError):
            if len(content) <= LONGEST:
                (seeds / str(place)).write_bytes(content)
    case = shelf / mine[0].name  # as the program names its files
    counted = {"cases": 0, "escaped": 0, "read": 0, "refused": 0}
    seen: set[str] = set()
    began = time.monotonic()

    def write() -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        count.write_text(json.dumps(counted | {"seconds": round(time.monotonic() - began), "peak_megabytes": peak}))

    def attempt(act, content: bytes) -> None:
        try:
            act()
            counted["read"] += 1
        except BadInput:
            counted["refused"] += 1
        except Exception as error:
            frames = [f"{each.filename}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
            where = f"{type(error).__name__} {frames[-3:]}"
            if where not in seen:
                seen.add(where)
                counted["escaped"] += 1
                traceback.print_exc()
                keep(reader, content, "escaped")

    def direct() -> None:
        with files.damage(case.name):
            known.read(case, Options()).scaled(None)

    def test(content: bytes) -> None:
        case.write_bytes(content)
        attempt(direct, content)
        if counted["cases"] % 4 == 0:
            attempt(lambda: data.read(case), content)
        counted["cases"] += 1
        if counted["cases"] % 500 == 0:
            write()
            if time.monotonic() - began > seconds or counted["cases"] >= cases:
                os._exit(0)

    def mutate(content: bytes, longest: int, seed: int) -> bytes:
        draw = random.Random(seed)
        places = [found.span() for found in VALUE.finditer(content[:LONGEST])] if draw.random() < 0.5 else []
        if not places or content.startswith((b"PK", b"PAR1")):
            return atheris.Mutate(content, longest)
        for _ in range(draw.choice((1, 1, 2, 4))):
            low, high = draw.choice(places)
            content = content[:low] + draw.choice(ODD) + content[high:]
            places = [found.span() for found in VALUE.finditer(content)] or [(0, 0)]
        return content[:longest]

    limits = [f"-max_len={LONGEST}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *limits, str(seeds)], test, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4]))
