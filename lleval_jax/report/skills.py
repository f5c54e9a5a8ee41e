"""What a law's skills are, as tables: what benchmarks ask and what families have."""

from lleval_jax.report.text import Table
from lleval_jax.values.results import Estimate

CLEAR = "*: the interval does not hold 0"


def tables(loading: Estimate, efficiency: Estimate) -> list[Table]:
    """A line a benchmark, then a line a family; a column a skill, with intervals.

    Args:
        loading: from `skills.estimate(law, "loading")`.
        efficiency: from `skills.estimate(law, "efficiency")`.
    """
    return [_table("benchmark", loading), _table("family", efficiency)]


def _table(word: str, found: Estimate) -> Table:
    names = tuple(dict.fromkeys(found.group))
    cells = [_cell(found, i) for i in range(len(found.rows))]
    lines = [(found.rows[i], *cells[i : i + len(names)]) for i in range(0, len(cells), len(names))]
    title = f"{found.target} by {found.method}, {100 * found.level:.4g}% intervals"
    return Table(title, (word, *names), tuple(lines), (CLEAR,))


def _cell(found: Estimate, i: int) -> str:
    mark = "*" if found.low[i] > 0 or found.high[i] < 0 else " "
    return f"{found.value[i]:.2f}{mark} [{found.low[i]:.2f}, {found.high[i]:.2f}]"
