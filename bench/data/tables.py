"""Tables of reading."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import markdown, number


def reading() -> str:
    """Seconds and memory of each log."""
    rows = []
    for r in read("data", "reading")["cases"]:
        cpu, second = r["plain"]["processor_seconds"], r["second"]["processor_seconds"]
        speeds = (number(r[k] / cpu, 0) for k in ("megabytes", "megabytes_inside"))
        sizes = (number(r[k], 0) for k in ("megabytes", "megabytes_inside"))
        times = number(r["second_read_times_less_processor"], 0)
        with_hash = number(r["first"]["processor_seconds"])
        rows.append(
            (
                r["path"],
                *sizes,
                number(cpu),
                *speeds,
                r["plain"]["resident_megabytes"],
                with_hash,
                number(second, 3),
                times,
            )
        )
    head = ("log", "MB on disk", "MB inside", "read, CPU s", "MB on disk a CPU s", "MB inside a CPU s")
    return markdown((*head, "resident MB", "first read with cache, CPU s", "second read, CPU s", "times less"), rows)


def fuzz() -> str:
    """Cases by reader, all runs together."""
    found = read("data", "fuzz")
    rows = [
        (reader, *(f"{sum(run.get(k, 0) for run in runs):,}" for k in ("cases", "read", "escaped")))
        for reader, runs in found["readers"].items()
    ]
    rows.append(("all", f"{found['cases']:,}", "", f"{found['escaped']:,}"))
    return markdown(("reader", "cases", "read to the end", "escaped"), rows)


def kills() -> str:
    """Kills by what is written."""
    found = read("data", "kills")
    of_savers: dict[str, list[int]] = {}
    for each in [*found["kills"], found["verb"] | {"saver": "eee, the verb itself"}]:
        row = of_savers.setdefault(f"{each['saver']}: {each['verbs']}", [0, 0, 0, 0])
        for at, name in enumerate(("killed", "half", "failed", "left")):
            row[at] += each[name]
    rows = [(name, *row) for name, row in of_savers.items()]
    rows.append(("all", *(sum(column) for column in zip(*of_savers.values(), strict=True))))
    return markdown(
        ("what is written", "kills", "read as neither old nor new", "next runs that fail", "left over"), rows
    )


def full() -> str:
    """Full disks by what is written."""
    rows = [
        tuple(each[name] for name in ("saver", "disks", "failed", "unnamed", "half", "left"))
        for each in read("data", "kills")["full"]
    ]
    head = ("what is written", "disks", "too small", "error names no file", "read as neither old nor new", "left over")
    return markdown(head, rows)


def two() -> str:
    """Two writers and two readers of one folder."""
    found = read("data", "kills")["two"]
    rows = [(name, each["times"], each["failed"]) for name, each in found.items() if name != "left"]
    return markdown(("at once", "times", "failed"), rows)


TABLES = {"reading": reading, "fuzz": fuzz, "kills": kills, "full": full, "two": two}
