"""One process of `accelerator`: a problem on a device, or what the device reaches at best."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.irt.work import PROBLEMS
from bench.kit.measure import measure

PRODUCTS = {"float32": ("float32", None), "float32 highest": ("float32", "highest"), "float64": ("float64", None)}
STEPS = 20  # under way at once


def one(name: str, out: pathlib.Path, small: bool, repeats: int, variants: tuple[str, ...]) -> None:
    """Run a problem's variants; figures to `out`, arrays next to it, after each."""
    began = time.perf_counter()
    import jax

    import lleval_jax.estimators.irt  # noqa: F401  (names load when first used)

    device = jax.devices()[0]
    took = time.perf_counter() - began
    record: dict[str, Any] = {"device": device.device_kind, "start_seconds": took, "variants": {}}
    arrays: dict[str, np.ndarray] = {}
    for variant in variants:
        # set for the process: a context manager would not reach the threads of `prompts_many`
        jax.config.update("jax_enable_x64", variant == "float64" and name.startswith("prompts"))
        began = time.perf_counter()
        row: dict[str, Any] = {}
        try:
            work = PROBLEMS[name][0](variant, small)
            row["build_seconds"] = time.perf_counter() - began
            figures, found = measure(work.call, repeats)
            row |= {k: v for k, v in figures.items() if k != "repeats"} | {"repeats": figures["repeats"]}
            row["compile_seconds"] = figures["cold_seconds"] - (figures["warm_seconds"] or 0)  # type: ignore[operator]
            kept = {k: np.asarray(v) for k, v in found.items() if isinstance(v, np.ndarray)}  # type: ignore[attr-defined]
            row |= {k: v for k, v in found.items() if k not in kept}  # type: ignore[attr-defined]
            if work.step is not None:
                after, row["step"] = stepped(work.step)
                kept |= {f"step {k}": v for k, v in after.items()}
            row["finite"] = all(bool(np.isfinite(v).all()) for v in kept.values())
            arrays |= {f"{variant}|{k}": v for k, v in kept.items()}
            record["work"] = {"flops": work.flops, "of": "step" if work.step else "call"} | work.note
            row["bytes"] = work.bytes
        except Exception as error:  # noqa: BLE001  (any failure is a row)
            row["error"] = re.sub(r"(/[\w.+-]+){2,}", "...", f"{type(error).__name__}: {error}")[:600]
        row["peak_device_mib"] = peak(device)  # of the process so far: the first variant's is its own
        record["variants"][variant] = row
        print(f"{name} on {device.device_kind}, {variant}: {brief(row)}", flush=True)
        np.savez(out.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
        out.write_text(json.dumps(record))


def stepped(step: Callable[[], Any]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """What one step gives, and the seconds of a step when several are under way."""
    import jax

    began = time.perf_counter()
    first = jax.block_until_ready(step())
    cold, seconds = time.perf_counter() - began, []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(STEPS):
            last = step()
        jax.block_until_ready(last)
        seconds.append((time.perf_counter() - began) / STEPS)
        if sum(seconds) * STEPS > 20:
            break
    return {k: np.asarray(v) for k, v in first.items()}, {"cold": cold, "warm": statistics.median(seconds)}


def peak(device: Any) -> float | None:
    """MiB of device memory at the worst moment; None where the device does not say."""
    stats = device.memory_stats() or {}
    return stats["peak_bytes_in_use"] / 2**20 if "peak_bytes_in_use" in stats else None


def brief(row: dict[str, Any]) -> str:
    """A line of it."""
    if "error" in row:
        return row["error"]
    shown = {"cold": row["cold_seconds"], "warm": row["warm_seconds"], "step": row.get("step", {}).get("warm")}
    text = ", ".join(f"{k} {v:.4g} s" for k, v in shown.items() if v is not None)
    return f"{text}, steps {row.get('steps')}, {row.get('status')}, finite {row['finite']}"


def ceilings(out: pathlib.Path, small: bool) -> None:
    """Device, driver, and what a copy and matrix products reach."""
    import jax
    import jax.numpy as jnp

    device = jax.devices()[0]
    record: dict[str, Any] = {"kind": device.device_kind, "platform": device.platform, "driver": driver()}
    limit = (device.memory_stats() or {}).get("bytes_limit")
    record["memory_limit_gib"] = limit and round(limit / 2**30, 1)

    def rate(call: Callable[[], Any]) -> float:
        jax.block_until_ready(call())
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(5):
                last = call()
            jax.block_until_ready(last)
            seconds.append((time.perf_counter() - began) / 5)
        return statistics.median(seconds)

    large = device.platform != "cpu" and not small
    count = 2**29 if large else 2**22
    x = jax.random.normal(jax.random.key(0), (count,), jnp.float32)
    more, product, few = jax.jit(lambda x: x + 1), jax.jit(jnp.matmul), x[:8]
    record["copy_gb_s"] = 8 * count / rate(lambda: more(x)) / 1e9  # read and written
    record["launch_us"] = 1e6 * rate(lambda: more(few))
    host = np.ones(2**26 if large else 2**20, np.float32)
    record["to_device_gb_s"] = host.nbytes / rate(lambda: jax.device_put(host)) / 1e9
    side = 8192 if large else 512
    for variant, (precision, products) in PRODUCTS.items():
        with jax.enable_x64(precision == "float64"), jax.default_matmul_precision(products or "default"):
            a = jax.random.normal(jax.random.key(1), (side, side), precision)
            record[f"product_tflop_s {variant}"] = 2 * side**3 / rate(lambda a=a: product(a, a)) / 1e12
            exact = np.asarray(a[:8], float) @ np.asarray(a, float)
            got = np.asarray(jnp.matmul(a, a)[:8], float)
            record[f"product_error {variant}"] = float(np.linalg.norm(got - exact) / np.linalg.norm(exact))
    out.write_text(json.dumps(record))


def driver() -> str | None:
    """The GPU driver's version, where there is one."""
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def main() -> None:
    """What `accelerator` asks: `python -m bench.irt.device PROBLEM SIDE FILE`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=["ceilings", *PROBLEMS])
    parser.add_argument("side", choices=["accelerator", "cpu"])
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--quick", action="store_true")
    wanted = parser.parse_args()
    if wanted.side == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    if wanted.name == "ceilings":
        return ceilings(wanted.file, wanted.small)
    _, there, here = PROBLEMS[wanted.name]
    variants = (there if wanted.side == "accelerator" else here)[: 1 if wanted.quick else None]
    return one(wanted.name, wanted.file, wanted.small, wanted.repeats, variants)


if __name__ == "__main__":
    main()
