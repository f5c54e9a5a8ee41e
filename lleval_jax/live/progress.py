"""How far a run is, from its folder alone: what is done and how much there is."""

import pathlib
from typing import NamedTuple

from lleval_jax.live import recipe as recipes
from lleval_jax.live.recipe import Recipe
from lleval_jax.live.steps import Line, lines_of


class Step(NamedTuple):
    """Units of a step; `total` is None where it is not known yet."""

    step: str
    done: int
    total: int | None


class Far(NamedTuple):
    """How far a run is; `left` are seconds, None where they cannot be told."""

    recipe: Recipe
    steps: list[Step]
    left: float | None


def progress(folder: pathlib.Path) -> Far:
    """How far the run in a folder is; it may be at work. `BadInput` where its recipe cannot be read."""
    recipe = recipes.read(folder / "recipe.toml")
    path = folder / "manifest.jsonl"
    lines, _ = lines_of(path.read_bytes() if path.exists() else b"")
    done: dict[str, list[Line]] = {}
    for line in lines:
        done.setdefault(line.step.partition("/")[0], []).append(line)
    papers = _papers(folder, done.get("papers", []))
    totals = {"papers": 1, "read": papers}
    steps = [
        Step(name, len(done.get(name, [])), totals.get(name)) for name in ("papers", "read", "exact", "ask", "answer")
    ]
    return Far(recipe, steps, _left(done.get("read", []), papers))


def _papers(folder: pathlib.Path, lines: list[Line]) -> int | None:
    from lleval_jax.live import rows
    from lleval_jax.live.run import Chosen

    if not lines:
        return None
    path = folder / "parts" / lines[-1].step.replace("/", "-") / f"part-{lines[-1].key}.parquet"
    try:
        (chosen,) = rows.unpacked(path.read_bytes(), Chosen)
    except (OSError, ValueError):
        return None
    return len(chosen.papers)


def _left(read: list[Line], papers: int | None) -> float | None:
    """Seconds to read the papers that are left, at the pace of those that are done; None once all are."""
    if not read or papers is None or len(read) >= papers:
        return None
    return sum(each.seconds for each in read) / len(read) * (papers - len(read))
