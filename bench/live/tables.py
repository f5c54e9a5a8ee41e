"""Tables of the living benchmark's studies."""

from __future__ import annotations

from typing import Any

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent


def blind() -> str:
    """The share that is answerable without the picture."""
    found = read("live", "filters")
    rows = [
        (
            percent(float(share)),
            bold(f"{each['inside']} of {found['seeds']}", each["inside"] < 0.93 * found["seeds"]),
            percent(each["mean"], 1),
            number(each["lost"], 1),
            bold(f"{each['most lost']} of {each['allowed']:.0f}", each["most lost"] > each["allowed"]),
            percent(each["LiveXiv removes"], 1),
        )
        for share, each in found["blind"].items()
    ]
    head = (
        "known",
        "intervals that contain it",
        "mean estimate",
        "lost by luck",
        "most, of allowed",
        "LiveXiv's rule removes",
    )
    return markdown(head, rows)


def keys() -> str:
    """Wrong keys and judges."""
    found = read("live", "filters")
    each, support = found["agreement"], found["support"]
    yes, wordy = each["no judges"]["yes-man"], each["no judges"]["wordy"]
    rows = [
        ("one judge, two orders: planted wrong keys caught", percent(each["caught"], 1), "90%"),
        ("right ones lost", percent(each["lost"], 1), "10%"),
        ("two judges: share of wrong keys, planted 10%", percent(each["share"], 1), ""),
        ("intervals of it that contain the planted one", each["inside"], ""),
        ("wrong keys suspected / right ones", f"{percent(each['suspected'], 1)} / {percent(each['falsely'], 2)}", ""),
        (
            "a judge that always says A: kappa, called a filter",
            f"{number(yes['kappa'])}, {_yes(yes['filter'])}",
            "0, no",
        ),
        ("a wordy judge: replies not read", f"{wordy['unread']} of {wordy['unread'] + wordy['read']}", ""),
        ("verdicts given to another question", f"{wordy['misassigned']}", "0"),
        ("the same, read by position, a stray word before one in ten", percent(found["by position"]), ""),
        ("support: false alarms on computed keys", percent(support["false alarms"], 1), "1%"),
        ("numbers that no cell has, caught", percent(support["caught"], 1), "95%"),
    ]
    return markdown(("", "reached", "bar"), rows)


def runs() -> str:
    """The shipped example."""
    found = read("live", "runs")
    run, killed, together, large = found["run"], found["killed"], found["together"], found.get("large")
    when = (
        "in the first six seconds of a process"
        if large is None
        else "up to three seconds after a process did something"
    )
    rows = [
        *_size(run, "two minutes" if large else "60 s, 1 GB"),
        *([] if large is None else _size(large, "60 s, 1 GB")),
        ("questions kept", f"{run['kept']}", "100"),
        ("tokens as the models count them", _yes(run["tokens as the models count"]), "within 2%"),
        (f"{together['requests']} requests of {together['one']} s together", f"{together['seconds']:.2f} s", ""),
        (
            f"{killed['kills']} kills, {when}: runs with tables equal byte by byte",
            f"{killed['equal']} of {killed['runs']}",
            "all",
        ),
        ("requests sent again", f"{killed['extra requests']}", "kills x workers"),
    ]
    return markdown(("", "reached", "bar"), rows)


def _size(run: dict[str, Any], bar: str) -> list[tuple[str, str, str]]:
    """What a run was, and what it took."""
    size = ", ".join(f"{run[name]:,} {name}" for name in ("papers", "elements", "questions", "requests"))
    reading = f"{run['seconds of reading papers']:.0f} s"
    took = f"{run['seconds']:.0f} s, {run['megabytes']:.0f} MB"
    return [(size, took, bar), ("of this, fetching and reading papers", reading, "")]


def loop() -> str:
    """From answers to suspects to review."""
    found = read("live", "loop")
    rows = [
        (
            name,
            bold(percent(each["found"], 1), each["found"] < 0.8),
            bold(percent(each["false"], 1), each["false"] > 0.02),
            bold(percent(each["found at 2% false"], 1), each["found at 2% false"] < 0.8),
            number(100 * each["error before"], 2),
            number(100 * each["error after"], 2),
        )
        for name, each in found.items()
        if name.endswith("models")
    ]
    return markdown(
        ("", "wrong keys found", "right ones named", "found, by rank at 2%", "error of scores, points", "after review"),
        rows,
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


TABLES = {"blind": blind, "keys": keys, "runs": runs, "loop": loop}
