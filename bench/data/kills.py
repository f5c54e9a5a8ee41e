"""Writers killed by the system at each call that writes and at random times, two at once, and on disks that are full.

Each case is a process of its own, forked, so that nothing of a dead writer lives on. What is counted: places that read
as anything but old or new (or nothing, where nothing was), next runs that fail, and files left over after them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from bench.kit.results import Record
from bench.kit.settings import setting

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data"
VERBS = {  # what a saver of tests/data/test_writing.py stands for
    "bank": "calibrate, refresh link",
    "fit": "sloth, pepr, prompts, refresh choose, refresh estimate",
    "estimate": "estimate --out",
    "parquet": "convert",
    "eee": "convert --format eee",
    "json": "--json of every verb; ask --out, prompts plan --out",
    "picture": "--plot of every verb that draws",
    "cache": "every verb that reads answers",
}
CALLS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir")
NOTHING, BROKEN = 0, 9  # what a process that reads ends with; else the mark that it read


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    random: int = setting(10, "kills at random times of each saver, new and over an old value")
    verbs: int = setting(12, "kills of the verb `convert --format eee` at random times")
    seconds: float = setting(10.0, "two writers and two readers at one folder")
    seed: int = setting(0, "of the times")


def study(settings: Settings, record: Record) -> None:
    """All four parts."""
    draw = random.Random(settings.seed)
    with tempfile.TemporaryDirectory() as folder:
        shelf = pathlib.Path(folder)
        found = [of_saver(name, old, shelf, settings.random, draw) for name, old in cases()]
        record.keep({"kills": found})
        record.keep({"verb": of_verb(shelf, settings.verbs, draw)})
        record.keep({"two": two_at_once(shelf / "two", settings.seconds)})
        record.keep({"full": [full(name, shelf) for name in VERBS]})
    record.keep({"killed": sum(each["killed"] for each in found) + record.content["verb"]["killed"]})


def savers() -> dict[str, tuple[Callable, Callable, bool]]:
    """Those of the tests: name -> (save a mark at a place, the mark read there, whether another may stand there)."""
    if os.fspath(TESTS) not in sys.path:
        sys.path.insert(0, os.fspath(TESTS))
    import test_writing

    from lleval_jax import data

    of_fit = (lambda mark, place: data.save(test_writing.fit(mark), place), lambda place: data.load(place).steps, True)  # pyright: ignore[reportAttributeAccessIssue]
    return test_writing.SAVERS | {"fit": of_fit}


def cases() -> list[tuple[str, bool]]:
    """(saver, whether an old value stands there)."""
    return [(name, old) for name in VERBS for old in ((False, True) if savers()[name][2] else (False,))]


def of_saver(name: str, old: bool, shelf: pathlib.Path, times: int, draw: random.Random) -> dict:
    """One saver, killed before each of its calls that write, then at random times."""
    save = savers()[name][0]
    counted = {"saver": name, "verbs": VERBS[name], "old": old} | dict.fromkeys(("killed", "half", "failed", "left"), 0)
    whole = shelf / "whole" / name
    began = time.perf_counter()
    ended(lambda: save(2, whole / "out"), whole)
    took = time.perf_counter() - began
    folder = shelf / "killed" / name

    def case(last: int | None) -> int:
        """Killed before that call, or some time; how it ended."""
        if old:
            ended(lambda: save(1, folder / "out"), folder)
        if last is None:
            status = ended(lambda: save(2, folder / "out"), folder, after=draw.uniform(0, took))
        else:
            status = ended(lambda: (dying(last), save(2, folder / "out")), folder)
        counted["killed"] += status == -signal.SIGKILL
        judge(counted, name, folder, whole, {1, 2} if old else {NOTHING, 2})
        shutil.rmtree(folder)
        return status

    last = 1
    while case(last) == -signal.SIGKILL:
        last += 1
    for _ in range(times):
        case(None)
    shutil.rmtree(whole)
    print(counted, flush=True)
    return counted


def judge(counted: dict, name: str, folder: pathlib.Path, whole: pathlib.Path, good: set[int]) -> None:
    """What is read after a kill, how the next run ends, and what it leaves."""
    save, load, _ = savers()[name]
    counted["half"] += ended(lambda: sys.exit(marked(load, folder / "out")), folder) not in good
    counted["failed"] += ended(lambda: save(2, folder / "out"), folder) != 0
    counted["failed"] += ended(lambda: sys.exit(marked(load, folder / "out")), folder) != 2
    counted["left"] += len(inside(folder) ^ inside(whole))


def marked(load: Callable, place: pathlib.Path) -> int:
    """The mark that is read."""
    from lleval_jax.errors import BadInput

    try:
        return load(place) or NOTHING
    except FileNotFoundError:
        return NOTHING
    except BadInput as error:
        nothing = any(word in str(error) for word in ("no such file", "no file in", "there is no", "holds no"))
        return NOTHING if nothing else BROKEN


def inside(folder: pathlib.Path) -> set[str]:
    """All files and folders below a folder."""
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*")}


def ended(act: Callable, folder: pathlib.Path, after: float | None = None) -> int:
    """How a process of its own ends that does this, killed `after` so many seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except SystemExit as error:
            status = int(error.code or 0)
        finally:
            os._exit(status)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying(last: int) -> None:
    """From here on the process is killed before the `last` call that writes; in the middle of it where it can be."""
    count = 0

    def counts(name: str, real: Callable) -> Callable:
        def call(*args, **more):
            nonlocal count
            if name != "io.open" or "w" in (args[1] if len(args) > 1 else more.get("mode", "r")):
                count += 1
                if count == last:
                    if name == "write":
                        real(args[0], bytes(args[1])[: len(args[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **more)

        return call

    for name in CALLS:
        setattr(os, name, counts(name, getattr(os, name)))
    io.open = counts("io.open", io.open)


def of_verb(shelf: pathlib.Path, times: int, draw: random.Random) -> dict:
    """`lleval convert --format eee`, killed at random times of its run."""
    table, out = shelf / "answers.csv", shelf / "verb" / "out"
    table.write_text("model,item,score\n" + "".join(f"m{m},i{i},{(m + i) % 2}\n" for m in range(40) for i in range(50)))
    words = [sys.executable, "-c", "from lleval_jax.cli.main import main; main()", "convert"]
    words += [str(table), "--format", "eee", "--out", str(out)]
    counted = {"verbs": "convert --format eee"} | dict.fromkeys(("killed", "half", "failed", "left"), 0)
    out.parent.mkdir()
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    took, whole = time.perf_counter() - began, inside(out.parent)
    for _ in range(times):
        shutil.rmtree(out)
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(draw.uniform(0.6 * took, took))
            process.kill()
        counted["killed"] += process.returncode == -signal.SIGKILL
        counted["half"] += out.exists() and inside(out.parent) & whole != whole
        counted["failed"] += subprocess.run(words, capture_output=True, check=False).returncode != 0
        counted["left"] += len(inside(out.parent) ^ whole)
    print(counted, flush=True)
    return counted


def two_at_once(place: pathlib.Path, seconds: float) -> dict:
    """Two processes save banks in one folder again and again, one reads and one verifies it."""
    from lleval_jax import data
    from lleval_jax.errors import BadInput

    save, load, _ = savers()["bank"]
    ended(lambda: save(1, place), place)
    until = time.monotonic() + seconds

    def again(act: Callable, log: pathlib.Path) -> None:
        count, wrong = 0, 0
        while time.monotonic() < until:
            count += 1
            try:
                act()
            except (BadInput, OSError):
                wrong += 1
        log.write_text(json.dumps((count, wrong)))

    acts = {
        "saved by one": lambda: save(1, place),
        "saved by the other": lambda: save(2, place),
        "read": lambda: load(place),
        "verified": lambda: data.verify(place),
    }
    children = []
    for name, act in acts.items():
        child = os.fork()
        if child == 0:
            try:
                again(act, place.parent / f"{name}.json")
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    found = {name: json.loads((place.parent / f"{name}.json").read_text()) for name in acts}
    left = inside(place) - {"bank.json", "bank.safetensors"}
    result = {name: {"times": times, "failed": failed} for name, (times, failed) in found.items()} | {"left": len(left)}
    print(result, flush=True)
    return result


def full(name: str, shelf: pathlib.Path) -> dict:
    """A saver on disks with little room: what fails names a file of its own, keeps the old value and leaves nothing."""
    save, load, _ = savers()[name]
    counted = {"saver": name} | dict.fromkeys(("disks", "failed", "unnamed", "half", "left"), 0)
    said, place = shelf / "said", shelf / "disk"
    for pages in range(6):
        with disk(place, pages) as folder:
            said.unlink(missing_ok=True)
            before = inside(folder)

            def act(folder: pathlib.Path = folder) -> None:
                try:
                    save(2, folder / "out")
                except OSError as error:
                    said.write_text(str(error.filename))
                    sys.exit(3)

            status = ended(act, folder)
            counted["disks"] += 1
            counted["failed"] += status != 0
            counted["unnamed"] += status != 0 and not (
                said.exists() and said.read_text().startswith(str(folder / "out"))
            )
            read = ended(lambda folder=folder: sys.exit(marked(load, folder / "out")), folder)
            counted["half"] += read not in ({NOTHING} if status else {NOTHING, 2} if name == "cache" else {2})
            own = {"out", "out/answers"} if name == "cache" else set()
            counted["left"] += len(inside(folder) - before - own) if status else 0
    print(counted, flush=True)
    return counted


@contextlib.contextmanager
def disk(place: pathlib.Path, pages: int) -> Iterator[pathlib.Path]:
    """A small disk (for root) with so many pages of room, or a limit of each file to a part of one."""
    place.mkdir(exist_ok=True)
    size = resource.getpagesize()
    words = ["mount", "-t", "tmpfs", "-o", f"size={64 * size}", "none", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode == 0:
        try:
            (place / "rest").write_bytes(bytes((64 - pages) * size))
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)
        return
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (pages << 8, hard))
    try:
        yield place
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        shutil.rmtree(place)
