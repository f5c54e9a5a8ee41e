"""Time a callable cold and warm, and run a contestant's script with a time limit and its peak memory."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import re
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Task = TypeVar("Task")
Found = TypeVar("Found")


def measure(
    call: Callable[[], object],
    repeats: int = 5,
    patience: float = 20.0,
    report: Callable[[dict, object], None] = lambda figures, result: None,
) -> tuple[dict[str, object], object]:
    """Time one cold call (compilation included) and `repeats` warm ones.

    A call that takes longer than `patience` seconds is repeated once only. `report` gets the figures so
    far after every call, so that nothing is lost when a time limit ends the process.
    """
    seconds, processor = [], []
    while True:
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        seconds.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
        figures = {
            "cold_seconds": seconds[0],
            "warm_seconds": statistics.median(seconds[1:]) if seconds[1:] else None,
            "warm_spread": [min(seconds[1:]), max(seconds[1:])] if seconds[1:] else None,
            "cpu_seconds": statistics.median(processor[1:] or processor),
            "repeats": len(seconds) - 1,
        }
        report(figures, result)
        if len(seconds) > (repeats if seconds[-1] < patience else 1):
            return figures, result


def run_script(command: Sequence[str], out: pathlib.Path, timeout: float) -> dict[str, object]:
    """Run a script that writes JSON to `out`; whatever goes wrong becomes a record too."""
    started, late = time.monotonic(), False
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if late := time.monotonic() - started > timeout:
                os.killpg(process.pid, signal.SIGKILL)
                _, status, usage = os.wait4(process.pid, 0)
                break
            time.sleep(0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()
    record = json.loads(out.read_text()) if out.exists() else {}
    if late and "cold_seconds" not in record:
        record |= {"status": "timed out", "error": f"no result within {timeout:.0f} s"}
    elif late:
        record["note"] = f"stopped after {timeout:.0f} s, {record['repeats']} warm repeats"
    elif process.returncode and record.get("status") != "failed":
        last = said[-1] if said else ""
        record |= {
            "status": "failed",
            "error": without_paths(f"exit {process.returncode}: {last}"),
        }
    record["whole_run"] = {
        "seconds": time.monotonic() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    return record


def without_paths(text: str) -> str:
    """An error message short enough for a table and free of file names."""
    return re.sub(r"(/[\w.+-]+){2,}", "...", " ".join(text.split()))[:300]


def each(call: Callable[[Task], Found], tasks: Sequence[Task], workers: int) -> Iterator[Found]:
    """What `call` finds for each task, in order; by so many processes, or by this one if none."""
    if not workers:
        yield from map(call, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(call, tasks)
