"""What the contestants' scripts share: read a problem, fit cold and warm, write figures and arrays.

`python bench/irt/rivals/NAME.py PROBLEM.npz OUT.json --threads 2 --variant best` writes the figures to OUT.json
and the fitted arrays to OUT.npz. A fit is a dict with any of: `slopes`, `intercepts`, `abilities` (logit =
slopes . ability + intercept), `converged`, `steps`, `log_likelihood`, `settings`; a fit that stops early
says so by `whole` = {"seconds", "cpu_seconds", "from"}, its estimate for the complete work.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable, Mapping

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3]))

from bench.kit.machine import versions  # noqa: E402
from bench.kit.measure import measure, without_paths  # noqa: E402

ARRAYS = ("slopes", "intercepts", "abilities")


def main(variants: Mapping[str, Callable[..., Callable[[], dict]]], *packages: str) -> None:
    """Run one variant: `variants[name](problem, threads)` imports and converts, its result fits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--variant", choices=list(variants), default=next(iter(variants)))
    wanted = parser.parse_args()
    limit(wanted.threads)

    import numpy as np

    with np.load(wanted.problem, allow_pickle=False) as stored:
        problem = {name: stored[name] for name in stored.files}
    record: dict[str, object] = {"variant": wanted.variant, "threads": wanted.threads}

    def report(figures: dict, fit: dict) -> None:
        figures = dict(figures)
        if whole := fit.get("whole"):
            figures["measured_seconds"] = figures["warm_seconds"] or figures["cold_seconds"]
            figures |= {
                "cold_seconds": whole["seconds"],
                "warm_seconds": whole["seconds"],
            }
            figures |= {
                "cpu_seconds": whole["cpu_seconds"],
                "extrapolated_from": whole["from"],
            }
        arrays = {name: np.asarray(fit[name], np.float64) for name in ARRAYS if fit.get(name) is not None}
        finite = all(np.isfinite(array).all() for array in arrays.values())
        np.savez(wanted.out.with_suffix(".npz"), **arrays)
        converged = fit.get("converged")
        status = "not finite" if not finite else "not converged" if converged is False else "ok"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        record.update(figures, status=status, peak_mib=peak, converged=converged)
        record.update({k: fit[k] for k in ("steps", "log_likelihood", "settings") if k in fit})
        write()

    def write() -> None:
        partial = wanted.out.with_suffix(".partial")
        partial.write_text(json.dumps(record))
        partial.replace(wanted.out)

    started = time.perf_counter()
    try:
        fit = variants[wanted.variant](problem, wanted.threads)
        record |= {
            "import_seconds": time.perf_counter() - started,
            "versions": versions(*packages),
        }
        measure(fit, report=report)
    except Exception as error:  # noqa: BLE001  (any failure, MemoryError too, is a row of the table)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        record |= {
            "status": "failed",
            "error": without_paths(f"{type(error).__name__}: {error}"),
        }
        record |= {
            "peak_mib": peak,
            "failed_after_seconds": time.perf_counter() - started,
        }
        write()


def faster_threads(trial: Callable[[], object], threads: int) -> int:
    """Leave torch at the number of threads, 1 or `threads`, with which a short trial is faster."""
    import torch

    seconds = {}
    for number in (1, 1, threads):  # once more at first: the first call of all is slow
        torch.set_num_threads(number)
        started = time.perf_counter()
        trial()
        seconds[number] = time.perf_counter() - started
    best = min(seconds, key=lambda name: seconds[name])
    torch.set_num_threads(best)
    return best


def limit(threads: int) -> None:
    """Hold this process to `threads` cores and to nine tenths of the machine's memory."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    for name in ("OMP", "OPENBLAS", "MKL", "RAYON"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_AS, (whole * 9 // 10, -1))
