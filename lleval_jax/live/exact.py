"""Questions about a table whose keys are computed from its cells: true by construction, so every filter can be tried.

Each kind is a function `(table, draw) -> (text, key, near misses, evidence)`. Distractors are near misses: the next row
or column, the right operation on the wrong column, a slip of rounding or sign. What is drawn follows from the
element's name and cells, so the same table gives the same questions on any machine.
"""

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from lleval_jax.live import options
from lleval_jax.live.numbers import Number, alike, number
from lleval_jax.live.values import Element, Question, question

MADE_BY = "exact"
LEAST_ROWS = 4  # below the heads: an option each
TRIES = 4  # of each kind, before its table is taken to have none left
COMPUTED = ("difference", "sum", "mean", "count")  # kinds whose key stands in no cell


class Asked(NamedTuple):
    """One question before its options are put together. `evidence` are the cells that the key follows from."""

    text: str
    key: str
    near: Sequence[str]
    evidence: str


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells as named rows and columns. `columns` are those of numbers, one unit each; `texts` all but the names."""

    noun: str
    names: tuple[str, ...]
    columns: dict[str, tuple[Number, ...]]
    texts: dict[str, tuple[str, ...]]

    def evidence(self, column: str, rows: Sequence[int]) -> str:
        """The cells of a column that a key follows from."""
        return f"{column}: " + "; ".join(
            f"{self.names[row]} \N{RIGHTWARDS ARROW} {self.texts[column][row]}" for row in rows
        )


def table_of(element: Element) -> Table | None:
    """The table of an element; None where no question can be asked: no names of rows or heads, or too few rows."""
    if len(element.cells) < LEAST_ROWS + 1 or len({len(row) for row in element.cells}) != 1:
        return None
    heads, *rows = ([cell.strip() for cell in row] for row in element.cells)
    names = [row[0] for row in rows]
    if len(heads) < 2 or not all(names) or _repeats(names) or not all(heads[1:]) or _repeats(heads[1:]):
        return None
    texts = {head: tuple(row[i] for row in rows) for i, head in enumerate(heads) if i}
    columns = {head: found for head, cells in texts.items() if (found := _numbers(cells))}
    return Table(heads[0].lower() if heads[0].istitle() else heads[0] or "row", tuple(names), columns, texts)


def questions(element: Element, *, most: int = 8) -> list[Question]:
    """Questions about a table, at most so many, the kinds in turn; none where its cells do not allow them.

    Example:
        >>> cells = (("Model", "Accuracy"), ("A", "71.2"), ("B", "69.0"), ("C", "75.9"), ("D", "70.1"))
        >>> made = questions(Element(paper="x", kind="table", number="1", caption="", reader="latex", cells=cells))
        >>> found = made[1]
        >>> found.kind, found.text, found.options[found.key]
        ('maximum', 'Which model has the highest Accuracy?', 'C')
    """
    table = table_of(element)
    if table is None:
        return []
    draw = random.Random(f"{element.name}\x1f{element.cells}")
    made: dict[str, Question] = {}
    for attempt in range(TRIES):
        for kind, ask in KINDS.items():
            found = _made(element, kind, ask(table, draw))
            if found is not None and found.text not in {each.text for each in made.values()}:
                made.setdefault(found.id, found)
            if len(made) >= most:
                return list(made.values())
        if attempt and not made:
            break
    return list(made.values())


def _made(element: Element, kind: str, asked: Asked | None) -> Question | None:
    """The question, where its options can be made."""
    wrong = None if asked is None else options.distractors(asked.key, asked.near)
    if asked is None or wrong is None:
        return None
    words = {"kind": kind, "text": asked.text, "made_by": MADE_BY, "evidence": asked.evidence}
    return question(element=element.name, options=(asked.key, *wrong), answer=asked.key, **words)


def _look_up(table: Table, draw: random.Random) -> Asked | None:
    column, row = _column(table, draw), draw.randrange(len(table.names))
    if column is None:
        return None
    key, cells = str(table.columns[column][row]), table.columns[column]
    near = [str(cells[i]) for i in _around(row, len(cells))]
    near[1:1] = [str(other[row]) for other in _others(table, column)]
    text = f"What is the {column} of {table.names[row]}?"
    return Asked(text, key, [*near, *_slips(cells[row])], table.evidence(column, [row]))


def _extreme(word: str, sign: int) -> Callable[[Table, random.Random], Asked | None]:
    def ask(table: Table, draw: random.Random) -> Asked | None:
        column = _column(table, draw)
        order = [] if column is None else _order(table.columns[column], sign)
        if column is None or _tied(table.columns[column], order[:2]):
            return None
        text = f"Which {table.noun} has the {word} {column}?"
        evidence = table.evidence(column, sorted(order))
        return Asked(text, table.names[order[0]], [table.names[i] for i in order[1:]], evidence)

    return ask


def _rank(table: Table, draw: random.Random) -> Asked | None:
    column = _column(table, draw)
    place = draw.choice((2, 3))
    order = [] if column is None else _order(table.columns[column], -1)
    if column is None or _tied(table.columns[column], order[: place + 1]):
        return None
    key, near = table.names[order[place - 1]], [table.names[i] for i in order if i != order[place - 1]]
    text = f"Which {table.noun} has the {'second' if place == 2 else 'third'} highest {column}?"
    return Asked(text, key, near, table.evidence(column, sorted(order)))


def _difference(table: Table, draw: random.Random) -> Asked | None:
    column = _column(table, draw)
    if column is None:
        return None
    cells = table.columns[column]
    high, low = draw.sample(range(len(cells)), 2)
    if cells[high].value < cells[low].value:
        high, low = low, high
    key = _like(cells, cells[high].value - cells[low].value)
    if key.value == 0:
        return None
    others = [each[high].value - each[low].value for each in _others(table, column)]
    rows = [cells[high].value - cells[i].value for i in _around(low, len(cells)) if i != high]
    near = [*rows[:1], *others, *rows[1:], cells[high].value + cells[low].value]
    text = f"How much higher is the {column} of {table.names[high]} than that of {table.names[low]}?"
    near = [str(_like(cells, abs(each))) for each in near if each]
    return Asked(text, str(key), [*near, *_slips(key)], table.evidence(column, [high, low]))


def _sum(table: Table, draw: random.Random) -> Asked | None:
    column = _column(table, draw)
    if column is None:
        return None
    cells = table.columns[column]
    rows = sorted(draw.sample(range(len(cells)), 2))
    key = _like(cells, sum((cells[i].value for i in rows), Decimal(0)))
    near = [cells[rows[0]].value + cells[i].value for i in _around(rows[1], len(cells)) if i != rows[0]]
    near[1:1] = [
        sum((each[i].value for i in rows), Decimal(0)) for name, each in table.columns.items() if name != column
    ]
    near.append(abs(cells[rows[0]].value - cells[rows[1]].value))
    text = f"What is the sum of the {column} of {table.names[rows[0]]} and of {table.names[rows[1]]}?"
    near_texts = [str(_like(cells, each)) for each in near]
    return Asked(text, str(key), [*near_texts, *_slips(key)], table.evidence(column, rows))


def _mean(table: Table, draw: random.Random) -> Asked | None:
    column = _column(table, draw)
    if column is None:
        return None
    cells = table.columns[column]
    places = max(each.places for each in cells) + 1
    values = [each.value for each in cells]
    key = _rounded(sum(values, Decimal(0)) / len(values), places, cells[0].unit)
    middle = sorted(values)[len(values) // 2]
    left_out = [sum((v for j, v in enumerate(values) if j != i), Decimal(0)) / (len(values) - 1) for i in (0, -1)]
    left_out = [left_out[0], (min(values) + max(values)) / 2, left_out[1], middle]
    near = [str(_rounded(each, places, cells[0].unit)) for each in left_out]
    text = f"What is the mean {column} over all {len(values)} rows, to {places} decimal{'s' * (places > 1)}?"
    return Asked(text, str(key), [*near, *_slips(key)], table.evidence(column, range(len(values))))


def _count(table: Table, draw: random.Random) -> Asked | None:
    column = _column(table, draw)
    if column is None:
        return None
    cells = table.columns[column]
    order = _order(cells, -1)
    many = draw.randrange(1, len(cells))
    above, below = cells[order[many - 1]], cells[order[many]]
    limit = _rounded((above.value + below.value) / 2, max(each.places for each in cells), above.unit)
    if not below.value < limit.value < above.value:
        return None
    near = [str(many + step) for step in draw.sample((1, -1, 2, -2, 3), 5) if 0 <= many + step <= len(cells)]
    text = f"In how many rows is the {column} above {limit}?"
    return Asked(text, str(many), near, table.evidence(column, sorted(order[:many])))


KINDS: dict[str, Callable[[Table, random.Random], Asked | None]] = {
    "look-up": _look_up,
    "maximum": _extreme("highest", -1),
    "difference": _difference,
    "count": _count,
    "rank": _rank,
    "sum": _sum,
    "minimum": _extreme("lowest", 1),
    "mean": _mean,
}


def _repeats(texts: Sequence[str]) -> bool:
    """Whether two of them cannot be distinguished."""
    return any(alike(one, other) for i, one in enumerate(texts) for other in texts[i + 1 :])


def _numbers(cells: Sequence[str]) -> tuple[Number, ...]:
    """A column of numbers of one unit; () where one is none."""
    found = [number(cell) for cell in cells]
    good = [each for each in found if each is not None]
    return tuple(good) if len(good) == len(cells) and len({each.unit for each in good}) == 1 else ()


def _column(table: Table, draw: random.Random) -> str | None:
    return draw.choice(list(table.columns)) if table.columns else None


def _others(table: Table, column: str) -> list[tuple[Number, ...]]:
    """The other columns of its unit."""
    unit = table.columns[column][0].unit
    return [each for name, each in table.columns.items() if name != column and each[0].unit == unit]


def _order(cells: Sequence[Number], sign: int) -> list[int]:
    """Rows from the one end to the other."""
    return sorted(range(len(cells)), key=lambda row: (sign * cells[row].value, row))


def _tied(cells: Sequence[Number], rows: Sequence[int]) -> bool:
    """Whether rows that follow each other have values that their rounding cannot distinguish."""
    return any(alike(str(cells[a]), str(cells[b])) for a, b in zip(rows, rows[1:], strict=False))


def _around(row: int, count: int) -> Iterator[int]:
    """The other rows, the next first."""
    yield from sorted((i for i in range(count) if i != row), key=lambda i: (abs(i - row), i < row))


def _like(cells: Sequence[Number], value: Decimal) -> Number:
    """A sum or difference of cells, with all the decimals that they have."""
    return Number(value, max(each.places for each in cells), cells[0].unit)


def _rounded(value: Decimal, places: int, unit: str) -> Number:
    return Number(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP), places, unit)


def _slips(key: Number) -> Iterator[str]:
    """What a slip of a digit makes of it; below and above in turn, by a digit of the key."""
    step = Decimal(1).scaleb(-key.places)
    for times in (1, 10, 2, 20) if key.value % (10 * step) < 5 * step else (10, 1, 20, 2):
        for sign in (1, -1) if int(key.value / step) % 2 else (-1, 1):
            value = key.value + sign * times * step
            if value * key.value >= 0:
                yield str(Number(value, key.places, key.unit))
