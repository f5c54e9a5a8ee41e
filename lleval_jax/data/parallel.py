"""Many files parsed by several processes, each a fresh Python that runs this module.

They are started by their command, not by `multiprocessing`: a script without `if __name__ == "__main__"` is not run
again, JAX and its threads are never forked, and nothing is unpickled; answers come back as `cache.packed` writes them.
"""

import dataclasses
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import IO

from lleval_jax.data import cache
from lleval_jax.data.answers import Answers, Options
from lleval_jax.data.formats import registry
from lleval_jax.data.formats.format import Format
from lleval_jax.errors import BadFile, BadInput

WORTH = 1 << 28  # bytes of all files from which more processes pay for their start
Job = tuple[pathlib.Path, Format]  # a file, and how it is written
Parsed = tuple[Answers, str] | BadFile  # its answers and the hash of its content


def count(asked: int | None, sizes: Sequence[int]) -> int:
    """How many processes to use for files of these sizes."""
    if not sys.executable or len(sizes) < 2:
        return 1
    if asked is not None:
        return max(1, min(asked, len(sizes)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, len(sizes)) if sum(sizes) >= WORTH else 1


def parse(
    jobs: Sequence[Job],
    options: Options,
    place: pathlib.Path | None,
    workers: int,
    done: Callable[[int], None],
) -> list[Parsed]:
    """What `registry.tried` says of each file, in their order; `done` is told of each. `BadInput` of one."""
    results: dict[int, Parsed | BadInput] = {}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for at in sorted(range(len(jobs)), key=lambda at: -jobs[at][0].stat().st_size):
        waiting.put(at)
    processes = [_start() for _ in range(workers)]
    turn = (jobs, options, place, waiting, results, done)
    threads = [threading.Thread(target=_feed, args=(each, *turn), daemon=True) for each in processes]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for process in processes:
            process.kill()
        said = [process.communicate()[1].decode("utf-8", "replace").strip() for process in processes]
    left = [at for at in range(len(jobs)) if at not in results]
    if left:
        why = next((text.splitlines()[-1] for text in said if text), "no reason given")
        text = f"{len(left)} files were read by one process: the others did not answer ({why[:200]})"
        warnings.warn(text, RuntimeWarning, stacklevel=4)
    found = []
    for at, (path, format) in enumerate(jobs):
        result = registry.tried(path, format, options, place) if at in left else results[at]
        if isinstance(result, BadInput) and not isinstance(result, BadFile):
            raise result
        found.append(result)
    return found


def _start() -> subprocess.Popen[bytes]:
    """A process that waits for files; it finds the package where this one has it, not in the current folder.

    Other packages, which may bring formats, it finds where this one does, but after all of its own.
    """
    home = os.fspath(pathlib.Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()", *filter(None, sys.path)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=os.environ | {"PYTHONPATH": path})


def _feed(
    process: subprocess.Popen[bytes],
    jobs: Sequence[Job],
    options: Options,
    place: pathlib.Path | None,
    waiting: "queue.SimpleQueue[int]",
    results: dict[int, Parsed | BadInput],
    done: Callable[[int], None],
) -> None:
    """Give one process files until there are none, or it does not answer."""
    more = {"options": dataclasses.asdict(options), "place": None if place is None else os.fspath(place)}
    while process.stdin is not None and process.stdout is not None:
        try:
            at = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            path, format = jobs[at]
            process.stdin.write(json.dumps({"path": os.fspath(path), "format": format.name, **more}).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            content = process.stdout.read(answer["size"])
        except (OSError, ValueError):  # it is gone; what it had is left for the parent
            return
        found = cache.unpacked(content)
        if "error" in answer:
            kind = BadFile if answer["whole"] else BadInput
            results[at] = kind(answer["error"], python=answer["python"], shell=answer["shell"])
        elif found is None:
            return
        else:
            results[at] = found, answer["hash"]
        done(at)


def work(lines: IO[bytes], answers: IO[bytes]) -> None:
    """Parse the file that each line names, until there are no more lines; answer with a line and that many bytes."""
    for line in lines:
        job = json.loads(line)
        format = registry.named(job["format"])
        if format is None:
            raise LookupError(f"a new process does not know the format {job['format']!r}")
        scale = job["options"]["scale"]
        options = Options(**(job["options"] | {"scale": None if scale is None else tuple(scale)}))
        place = None if job["place"] is None else pathlib.Path(job["place"])
        content = b""
        try:
            found, known = registry.parse(pathlib.Path(job["path"]), format, options, place)
            content = cache.packed(found)
            answer = {"hash": known}
        except BadInput as error:
            answer = {"error": error.what, "python": error.python, "shell": error.shell}
            answer |= {"whole": isinstance(error, BadFile)}
        answers.write(json.dumps(answer | {"size": len(content)}).encode() + b"\n" + content)
        answers.flush()


def main() -> None:
    """What a process runs; its arguments are the folders where the other process finds packages."""
    sys.path.extend(folder for folder in sys.argv[1:] if folder not in sys.path)
    try:
        work(sys.stdin.buffer, sys.stdout.buffer)
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(1)
