"""What both sides' scripts of the decoding contest share: their command line, the clock, and the JSON they write.

`SCRIPT FOLDER OUT.json --rows 1 8 --prompt 32 --tokens 64 --repeats 5 --threads 2 --variant NAME`
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any


def asked(variants: Sequence[str]) -> argparse.Namespace:
    """The words of the command line; the process is held to so many cores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--variant", choices=list(variants), default=variants[0])
    found = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: found.threads])
    for name in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = str(found.threads)
    return found


def timed(read: Callable[[], Any], write: Callable[[Any], list[list[int]]], repeats: int) -> dict[str, Any]:
    """Seconds of reading the prompts, of writing the tokens after the first, and of the processor's cores meanwhile.

    The first time of all, which compiles, is apart.
    """
    reading, writing, processor, tokens = [], [], [], []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        state = read()
        middle, used = time.perf_counter(), time.process_time()
        tokens = write(state)
        writing.append(time.perf_counter() - middle)
        processor.append(time.process_time() - used)
        reading.append(middle - began)
    first = reading[0] + writing[0]
    return {
        "first": first,
        "reading": reading[1:],
        "writing": writing[1:],
        "processor": processor[1:],
        "tokens": tokens,
    }


def keep(out: pathlib.Path, rows: dict[str, Any], **about: Any) -> None:
    """The JSON, with the most memory that the process held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out.write_text(json.dumps({"status": "ok", "peak_mib": round(peak), "rows": rows, **about}))
