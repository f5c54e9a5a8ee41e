"""Tables of serving many adapters."""

from __future__ import annotations

from typing import Any

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent
from bench.serving import ways_tables
from lleval_jax.training.serve.load import SERVERS

ALONE, ROTATING, COMPRESSED = SERVERS
OF_ALONE, OF_ROTATING = 0.8, 1.5  # bars at `AT` adapters
AT = 1024


def throughput() -> str:
    """Tokens a second by model and number of adapters; the compressed server's bold where a bar is missed."""
    rows = []
    for name, found in read("serving", "throughput").items():
        if isinstance(found, dict) and "rows" in found:
            rows += [_line(name, count, found["rows"][count]) for count in sorted(found["rows"], key=int)]
    head = ("model", "adapters", "merged", "rotating (on the device)", "compressed", "of merged", "of rotating")
    return markdown((*head, "loads a request", "p50, s: merged", "rotating", "compressed", "p99, s: compressed"), rows)


def _line(model: str, count: str, servers: list[dict[str, Any]]) -> tuple[str, ...]:
    found = {each["server"]: each for each in servers}
    alone, rotating, ours = (found[server] for server in SERVERS)
    bars = int(count) == AT
    of_alone, of_rotating = ours["speed"] / alone["speed"], ours["speed"] / rotating["speed"]
    return (
        model,
        f"{int(count):,}",
        _speed(alone),
        f"{_speed(rotating)} ({rotating['resident']})",
        _speed(ours),
        bold(number(of_alone), bars and of_alone < OF_ALONE),
        bold(number(of_rotating), bars and of_rotating < OF_ROTATING),
        number(rotating["loads"]),
        *(number(each["middle"]) for each in (alone, rotating, ours)),
        number(ours["slowest"]),
    )


def _speed(each: dict[str, Any]) -> str:
    return f"{each['speed']:,.0f} [{each['least']:,.0f}, {each['most']:,.0f}]"


def endpoint() -> str:
    """What became of all requests, part by part."""
    found, rows = read("serving", "endpoint"), []
    for name, part in found.items():
        answers = part.get("answers", part.get("meanwhile")) if isinstance(part, dict) else None
        if answers:
            bad = answers.get("wrong", 0)
            asked = sum(answers.values())
            others = ", ".join(f"{count} {kind}" for kind, count in answers.items() if kind not in ("right", "wrong"))
            rows.append((name, asked, answers.get("right", 0), bold(str(bad), bad > 0), others, _remark(name, part)))
    return markdown(("part", "requests", "right", "wrong", "others", "remark"), rows)


def refused() -> str:
    """Status of each mistake; bold where it is another than it must be."""
    found = read("serving", "endpoint")["mistakes"]["refused"]
    rows = [(name, bold(str(each["status"]), each["status"] != each["must"])) for name, each in found.items()]
    return markdown(("request", "status"), rows)


def _remark(name: str, part: dict[str, Any]) -> str:
    if name == "load":
        least, most = min(part["memory"]), max(part["memory"])
        rate = sum(part["answers"].values()) / part["seconds"]
        middle, _, slowest = part["latency"]
        speed = f"{rate:.0f} requests/s, p50 {middle:.2f} s, p99 {slowest:.2f} s"
        return f"{speed}; {least:.0f} to {most:.0f} MB resident ({percent(most / least - 1, 1)} more)"
    if name == "killed":
        return f"rows still written after it: {part['still_written']:.0f}"
    if name == "stopped":
        return f"SIGTERM: ended after {part['seconds']:.1f} s with status {part['status']}"
    if name == "removed":
        return f"{part['removed']} adapters taken away; rows left: {part['rows_left']}"
    return ""


TABLES = {"throughput": throughput, "endpoint": endpoint, "refused": refused, **ways_tables.TABLES}
