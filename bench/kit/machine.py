"""The machine and the versions a figure was measured with, as a dict without host names or paths."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform


def describe(*packages: str) -> dict[str, object]:
    """Cores, memory, processor, Python and the versions of `packages` (those not installed are left out)."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "processor": processor(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
        **versions(*packages),
    }


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by package name."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's model name."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
