"""What the next size will score (Sloth), as tables and as facts for the JSON; what a law's skills are."""

from typing import Any, NamedTuple

import numpy as np

from lleval_jax.errors import require
from lleval_jax.report import style
from lleval_jax.report.text import Table, inside
from lleval_jax.values.leaderboard import Leaderboard
from lleval_jax.values.results import Estimate, FitResult

NEW = "new"  # an unseen family
UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"))

COVERS = (
    "prediction intervals: for the score that will be observed; models: how many had a known score on the benchmark"
)
LEFT_OUT = (
    "5-fold cross-validation over families, keeping each family's smallest model; error: mean absolute, in points"
)
CLEAR = "*: the interval does not contain 0"


class Parts(NamedTuple):
    """A target as its row names it: "family:size:tokens"."""

    family: str
    size: float
    tokens: float


def parts(row: str) -> Parts:
    """The family, parameters and tokens of a row; a family may hold colons.

    Raises:
        BadInput: the row names no target.
    """
    words = row.rsplit(":", 2)
    try:
        return Parts(words[0], float(words[1]), float(words[2]))
    except (IndexError, ValueError):
        require(False, f"row {row!r} is not named family:size:tokens")
        raise


def short(count: float) -> str:
    """A count as people write it: 7B, 1.5T."""
    for unit, word in UNITS:
        if count >= 0.9995 * unit:
            return f"{count / unit:.3g}{word}"
    return f"{count:.3g}"


def tables(fit: FitResult, estimate: Estimate) -> list[Table]:
    """One a target, a line a benchmark; of one benchmark, one table with a line a target. The law stands below.

    Args:
        fit: from `sloth.fit`.
        estimate: from `sloth.estimate`; without entries, the law stands alone.
    """
    law = _law(fit)
    if not estimate.rows:
        return [Table(law, (), ())]
    title = style.summary(estimate)
    rows, columns = list(dict.fromkeys(estimate.rows)), list(dict.fromkeys(estimate.group))
    head = (estimate.target, "interval", "models")
    if len(columns) == 1:
        lines = [(estimate.rows[i], *_cells(estimate, i)) for i in range(len(estimate.rows))]
        about = dict.fromkeys(said for row in rows for said in _about(fit, parts(row)))
        return [Table(f"{title}: {columns[0]}", ("model", *head), tuple(lines), (*about, COVERS, law))]
    found = []
    for row in rows:
        here = [i for i, name in enumerate(estimate.rows) if name == row]
        lines = [(estimate.group[i], *_cells(estimate, i)) for i in here]
        last = (COVERS, law) if row == rows[-1] else ()
        remarks = (*_about(fit, parts(row)), *last)
        found.append(Table(f"{row}, {title}", ("benchmark", *head), tuple(lines), remarks))
    return found


def left_out(estimate: Estimate, board: Leaderboard) -> Table:
    """A line a benchmark, then all: how far predictions of models left out were off, and how many intervals held.

    Args:
        estimate: from `sloth.left_out`.
        board: the leaderboard, with their scores.
    """
    truth = truth_of(board)
    held, group = np.array([*inside(estimate, truth).values()]), np.array(estimate.group)
    known = np.array([truth[cell] for cell in zip(estimate.rows, estimate.group, strict=True)])
    off = 100 * np.abs(estimate.value - known)
    lines = []
    for name in [*dict.fromkeys(estimate.group), "all"]:
        here = (group == name) | (name == "all")
        lines.append((name, f"{here.sum():,}", f"{off[here].mean():z.2f}", f"{100 * held[here].mean():z.0f}%"))
    title = style.summary(estimate)
    return Table(title, ("benchmark", "scores", "error", "intervals held"), tuple(lines), (LEFT_OUT,))


def truth_of(board: Leaderboard) -> dict[tuple[str, str], float]:
    """(model, benchmark) -> the score, where it is known."""
    return {
        (model, name): float(board.scores[i, j])
        for i, model in enumerate(board.models)
        for j, name in enumerate(board.benchmarks)
        if board.seen[i, j]
    }


def facts(fit: FitResult) -> dict[str, Any]:
    """What the law was learned from and how that ended, for the JSON."""
    return {
        "method": fit.method,
        "status": fit.status,
        "steps": int(fit.steps),
        "skills": int(fit.settings["skills"]),
        "link": fit.settings["link"],
        "models": len(fit.rows),
        "families": len(fit.axes["families"]),
        "benchmarks": list(fit.items),
    }


def _law(fit: FitResult) -> str:
    said = facts(fit)
    known = len(fit.items)
    benchmarks = f"{known} benchmarks" if known > 1 else f"benchmark {fit.items[0]!r}"
    count = f"{said['models']:,} models of {said['families']:,} families on {benchmarks}"
    return f"the law, {fit.method}: {count}, {fit.status} after {fit.steps:,} steps"


def _cells(estimate: Estimate, i: int) -> tuple[str, ...]:
    return f"{estimate.value[i]:z.3f}", style.interval(estimate, i), f"{estimate.n_seen[i]:,}"


def _about(fit: FitResult, target: Parts) -> list[str]:
    """How much the leaderboard knows of a target's family and of models of its size."""
    size, tokens = np.asarray(fit.params.size), np.asarray(fit.params.tokens)
    own = size[[name == target.family for name in fit.names("families", fit.params.family)]]
    if target.family == NEW:
        said = ["new: unseen family"]
    elif len(own) == 1:
        said = [f"{target.family}: 1 model in the leaderboard, of {short(own[0])} parameters"]
    else:
        ends = " to ".join(dict.fromkeys(map(short, (own.min(), own.max()))))
        said = [f"{target.family}: {len(own)} models in the leaderboard, of {ends} parameters"]
    for count, known, word in ((target.size, size, "parameters"), (target.tokens, tokens, "tokens")):
        low, high = known.min(), known.max()
        if not 0.999 * low <= count <= 1.001 * high:
            said.append(f"{short(count)} {word} are outside of the leaderboard's {short(low)} to {short(high)}")
    return said


def skills(loading: Estimate, efficiency: Estimate) -> list[Table]:
    """A line a benchmark, then a line a family; a column a skill, with intervals.

    Args:
        loading: from `skills.estimate(law, "loading")`.
        efficiency: from `skills.estimate(law, "efficiency")`.
    """
    return [_skill_table("benchmark", loading), _skill_table("family", efficiency)]


def _skill_table(word: str, found: Estimate) -> Table:
    names = tuple(dict.fromkeys(found.group))
    cells = [_skill_cell(found, i) for i in range(len(found.rows))]
    lines = [(found.rows[i], *cells[i : i + len(names)]) for i in range(0, len(cells), len(names))]
    title = style.summary(found)
    wrong = dict.fromkeys(status for status in found.status if status != "ok")
    return Table(title, (word, *names), tuple(lines), (CLEAR, *(f"!: {status}" for status in wrong)))


def _skill_cell(found: Estimate, i: int) -> str:
    clear = found.low[i] > 0 or found.high[i] < 0
    mark = "!" if found.status[i] != "ok" else "*" if clear else " "
    return f"{found.value[i]:z.2f}{mark} [{found.low[i]:z.2f}, {found.high[i]:z.2f}]"
