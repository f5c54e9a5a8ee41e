"""Tables of the speed of writing."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent

RIVAL = "transformers, float32"


def decoding() -> str:
    """Tokens a second of both sides; ours bold where the best of the rival in float32 is faster."""
    found, rows = read("lm", "decoding"), []
    for name in (each for each in ("5M", "135M") if each in found):
        sides = found[name]["sides"]
        copied = next(side["gigabytes_a_second"] for side in sides.values() if "gigabytes_a_second" in side)
        for count in ("1", "8"):
            made = {who: side["rows"][count] for who, side in sides.items() if count in side["rows"]}
            theirs = max(times["tokens_a_second"] for who, times in made.items() if who.startswith(RIVAL))
            for who, times in made.items():
                loads = " to ".join(number(load, 0) for load in sorted({*sides[who]["load_before"]}))
                rows.append((name, count, who, *cells(who, times, theirs, copied), loads))
        lost = ((who, side["status"]) for who, side in sides.items() if side["status"] != "ok")
        rows += [(name, "", who, status, *[""] * 7) for who, status in lost]
    head = ("model", "rows", "who", "tokens/s", "of the rival's best float32", "CPU ms a step", "prompt, ms")
    return markdown((*head, "first call, s", "weights read, GB/s", "of a copy's speed", "load"), rows)


def cells(who: str, times: dict, theirs: float, copied: float) -> tuple[str, ...]:
    """Of one side at one number of rows."""
    speed = times["tokens_a_second"]
    lost = who.startswith("lleval_jax") and speed < theirs
    return (
        bold(number(speed, 1), lost),
        bold(f"{number(speed / theirs)}x", lost),
        number(1000 * times["cpu_seconds"] / 64, 1),
        number(1000 * times["prompt_seconds"], 0),
        number(times["first_seconds"], 1),
        number(times["gigabytes_a_second"], 1),
        percent(times["gigabytes_a_second"] / copied),
    )


TABLES = {"decoding": decoding}
