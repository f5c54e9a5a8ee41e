"""Which cells of a grid to ask: every row and every column about equally often (PromptEval, arXiv:2405.17202, Alg. 2).

The published rule is greedy. Of the rows with the fewest answers one is drawn; of the columns that it has not
answered, one with the fewest answers; and so on until the budget. Two facts make the same draws cheap. A row is
complete only when all are, so the order of rows does not depend on the columns: one random order after another. And
counts only grow, so columns sorted by count stay sorted by one swap a draw. The distribution is that of the rule.
"""

from collections.abc import Iterator

import numpy as np

from lleval_jax.errors import require


def plan(
    seen: np.ndarray, budget: int, *, seed: int, rows: np.ndarray | None = None, random_column: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The cells to ask next, until `budget` cells of the grid have been asked.

    A smaller budget with the same seed is the beginning of a larger one's plan. The published code stops where the
    drawn row is complete; then all are, and here that is an error, which says how many cells there are.

    Args:
        seen: (rows, items) bool, True where there is an answer already: any pattern.
        budget: answers in the whole grid after the plan, those of `seen` included; no plan where there are as many.
        seed: of the draws; the same seed after more answers draws again.
        rows: (rows,) bool, True where a row may be asked; None if all may.
        random_column: draw from all columns that the row has not answered, whatever their counts.

    Returns:
        Row and column of each new cell, (cells,) integers in the order drawn; `seen[plan(...)] = True` marks them.

    Raises:
        BadInput: the budget is more than the rows can give, or an argument has a wrong shape.
    """
    seen = np.asarray(seen)
    require(seen.ndim == 2 and seen.dtype == bool, f"seen is {seen.dtype} {seen.shape}; give bool (rows, items)")
    active = np.ones(len(seen), bool) if rows is None else np.asarray(rows)
    require(
        active.shape == (len(seen),) and active.dtype == bool,
        f"rows is {active.dtype} {active.shape}; give one bool for each of the {len(seen)} rows of seen",
    )
    have, free = int(seen.sum()), int((~seen[active]).sum())
    require(
        budget <= have + free,
        f"a budget of {budget} answers is more than the {have} asked and the {free} left to ask in "
        f"{int(active.sum())} rows; ask for at most {have + free}",
    )
    of_rows, of_columns = np.random.default_rng([seed, have]).spawn(2)
    order = _rows(seen.sum(1), active, max(budget - have, 0), of_rows)
    return order, (_any_columns if random_column else _rare_columns)(seen, order, of_columns)


def _rows(count: np.ndarray, active: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size,) rows, each drawn from the active ones with the fewest answers: `count` (rows,), kept up to date."""
    members, orders, left = np.flatnonzero(active), [np.zeros(0, int)], size
    level = int(count[members].min()) if size else 0
    while left > 0:
        orders.append(rng.permutation(members[count[members] <= level]))  # all of them have `level` answers by now
        left -= len(orders[-1])
        level += 1
    return np.concatenate(orders)[:size]


def _any_columns(seen: np.ndarray, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A column for each of `order` (cells,), equally likely any that the row has not answered."""
    columns = np.zeros(len(order), int)
    for row, taken in enumerate(seen):
        shuffled = rng.permutation(np.flatnonzero(~taken))
        cells = np.flatnonzero(order == row)
        columns[cells] = shuffled[: len(cells)]
    return columns


def _rare_columns(seen: np.ndarray, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A column for each of `order` (cells,), equally likely any of those with the fewest answers that the row can give.

    `columns` is sorted by count and those with c answers start at first[c]. What a row has not answered has `floor`
    answers or more: that never falls, so a row passes each count once.
    """
    count = seen.sum(0)
    columns = np.argsort(count, kind="stable").tolist()
    first = np.searchsorted(np.sort(count), np.arange(len(seen) + 2)).tolist()
    answered, floor = [bytearray(row.tobytes()) for row in seen], [0] * len(seen)
    uniform, drawn = _uniform(rng), []
    for row in order.tolist():
        taken, c = answered[row], floor[row]
        while (place := _free(columns, taken, first[c], first[c + 1], uniform)) < 0:
            c += 1
        floor[row] = c
        first[c + 1] = last = first[c + 1] - 1  # it goes to the end of its count, which becomes the next one's start
        column = columns[place]
        columns[place], columns[last] = columns[last], column
        taken[column] = True
        drawn.append(column)
    return np.array(drawn, int)


def _free(columns: list[int], taken: bytearray, start: int, stop: int, uniform: Iterator[float]) -> int:
    """A place in columns[start:stop], equally likely any whose column is not taken; -1 if all are.

    Draws until one is free; after as many as it takes to look at them all, looks at them all.
    """
    size = stop - start
    for _ in range(4 + size // 4 if size else 0):
        place = start + int(next(uniform) * size)
        if not taken[columns[place]]:
            return place
    free = [place for place in range(start, stop) if not taken[columns[place]]]
    return free[int(next(uniform) * len(free))] if free else -1


def _uniform(rng: np.random.Generator) -> Iterator[float]:
    """Uniform numbers in [0, 1) without end."""
    while True:
        yield from rng.random(512).tolist()
