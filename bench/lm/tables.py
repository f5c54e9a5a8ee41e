"""Tables of language models' results."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent
from bench.lm import embedding_tables, scoring_tables, sharding_tables


def decoding() -> str:
    """Tokens a second of both sides; ours bold where the best of the rival in float32 is faster."""
    found = read("lm", "decoding")
    rows = []
    for name in ("5M", "135M"):
        sides = found[name]["sides"]
        copied = next(side["gigabytes_a_second"] for side in sides.values() if "gigabytes_a_second" in side)
        for who, side in sides.items():
            for count, times in side.get("rows", {}).items():
                rows.append((name, count, *cells(who, side, times, best(sides, count), copied)))
            if side["status"] != "ok":
                rows.append((name, "", who, bold(side["status"]), *[""] * 6))
    head = ("model", "rows", "who", "tokens/s", "of the rival's best float32", "prompt, ms", "first call, s")
    return markdown((*head, "weights read, GB/s", "of a copy's speed", "load before"), rows)


def best(sides: dict, count: str) -> float:
    """Tokens a second of transformers in float32."""
    theirs = [side for who, side in sides.items() if who.startswith("transformers, float32")]
    return max((side["rows"][count]["tokens_a_second"] for side in theirs if side.get("rows")), default=float("nan"))


def cells(who: str, side: dict, times: dict, theirs: float, copied: float) -> tuple[str, ...]:
    """Of one side at one number of rows."""
    speed = times["tokens_a_second"]
    lost = who.startswith("lleval_jax") and speed < theirs
    return (
        who,
        bold(number(speed, 1), lost),
        bold(f"{number(speed / theirs)}x", lost),
        number(1000 * times["prompt_seconds"], 0),
        number(times["first_seconds"], 1),
        number(times["gigabytes_a_second"], 1),
        percent(times["gigabytes_a_second"] / copied),
        number(side["load_before"], 1),
    )


def damaged() -> str:
    """What came of damaged files."""
    found = read("lm", "damaged")
    kinds = ("loaded", "refused", "escaped", "unclear", "slow")
    rows = [
        (f"`{name}`", f"{sum(each[kind] for kind in kinds):,}", *(_count(kind, each[kind]) for kind in kinds))
        for name, each in found["files"].items()
    ]
    return markdown(("file", "cases", "loaded", "refused in one line", "another error", "unclear", "slow"), rows)


def _count(kind: str, count: int) -> str:
    return bold(f"{count:,}", kind not in ("loaded", "refused") and count > 0)


TABLES = {
    "decoding": decoding,
    "damaged": damaged,
    **embedding_tables.TABLES,
    **sharding_tables.TABLES,
    **scoring_tables.TABLES,
}
