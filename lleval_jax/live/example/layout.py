"""A made paper as PDF: one column or two, captions below figures and above tables, long tables split."""

from lleval_jax.live.example import charts
from lleval_jax.live.example.canvas import LETTER, Page, pdf, width, wrapped
from lleval_jax.live.example.contents import Content, Figure, Table, Text

SIDE, TOP, BOTTOM, BETWEEN = 72.0, 72.0, 720.0, 22.0
LEADING, SIZE, CAPTION = 12.0, 9.5, 8.5


class Flow:
    """Where the next line goes: down a column, then the next column, then the next page."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.room = (LETTER[0] - 2 * SIDE - (columns - 1) * BETWEEN) / columns
        self.pages, self.column, self.y = [Page()], 0, TOP

    @property
    def page(self) -> Page:
        """The page that is drawn on."""
        return self.pages[-1]

    @property
    def x(self) -> float:
        """The left edge of the column."""
        return SIDE + self.column * (self.room + BETWEEN)

    def need(self, high: float) -> bool:
        """Go on to the next column unless so many points are left in this one; whether it did."""
        if self.y + high <= BOTTOM:
            return False
        self.column, self.y = (self.column + 1) % self.columns, TOP
        if self.column == 0:
            self.page.middle(LETTER[0] / 2, 756, str(len(self.pages)), 8)
            self.pages.append(Page())
        return True

    def lines(self, text: str, size: float, *, bold: bool = False) -> None:
        """A paragraph."""
        for line in wrapped(text, size, self.room):
            self.need(LEADING)
            self.page.text(self.x, self.y + size, line, size, bold=bold)
            self.y += LEADING


def as_pdf(content: Content) -> bytes:
    """The file."""
    flow, numbers = Flow(content.columns), content.numbers()
    flow.page.middle(LETTER[0] / 2, 50, content.title, 15)
    flow.page.middle(LETTER[0] / 2, 64, ", ".join(content.authors), 9)
    flow.y = TOP + 8
    for block in content.blocks:
        if isinstance(block, Text):
            _text(flow, block, numbers)
        elif isinstance(block, Figure):
            _figure(flow, block)
        else:
            _table(flow, block)
    return pdf(flow.pages)


def cited(text: str, numbers: dict[str, int]) -> str:
    """The text with numbers in place of labels."""
    for label, number in numbers.items():
        text = text.replace(f"\\ref{{{label}}}", str(number))
    return text


def _text(flow: Flow, block: Text, numbers: dict[str, int]) -> None:
    if block.head:
        flow.need(3 * LEADING)
        flow.y += 4
        flow.lines(block.head, 11, bold=True)
    flow.lines(cited(block.text, numbers), SIZE)
    flow.y += 6


def _figure(flow: Flow, block: Figure) -> None:
    across = 2 if len(block.charts) > 1 else 1
    wide = min((flow.room - (across - 1) * charts.GAP) / across, 220)
    high, named = wide * 0.64, LEADING + 4 if block.parts else 0.0
    caption = f"Figure {block.number}: {block.caption}"
    size = charts.size(block.charts, wide, high)
    rows = (len(block.charts) + 1) // 2
    flow.need(size[1] + rows * named + LEADING * len(wrapped(caption, CAPTION, flow.room)) + 16)
    flow.y += 6
    left = flow.x + (flow.room - size[0]) / 2
    for number, chart in enumerate(block.charts):
        x = left + number % 2 * (wide + charts.GAP)
        y = flow.y + number // 2 * (high + charts.GAP + named)
        charts.draw(flow.page, chart, x, y, wide, high)
        if block.parts:
            flow.page.middle(x + wide / 2, y + high + LEADING, f"{chart.letter} {block.parts[number]}", 7.5)
    flow.y += size[1] + rows * named + 4
    flow.lines(caption, CAPTION)
    flow.y += 10


def _table(flow: Flow, block: Table) -> None:
    head, *rows = block.rows
    caption = f"Table {block.number}: {block.caption}"
    high = LEADING * (len(wrapped(caption, CAPTION, flow.room)) + (3 if block.long else len(block.rows))) + 20
    flow.need(high)
    flow.y += 4
    flow.lines(caption, CAPTION)
    _head(flow, head)
    for row in rows:
        if flow.need(LEADING + 4):
            flow.lines(f"Table {block.number} (continued)", CAPTION)
            _head(flow, head)
        _row(flow, row)
    _rule(flow)
    flow.y += 10


def _head(flow: Flow, head: tuple[str, ...]) -> None:
    _rule(flow)
    _row(flow, head)
    _rule(flow)


def _rule(flow: Flow) -> None:
    flow.page.path([(flow.x, flow.y + 3), (flow.x + flow.room, flow.y + 3)], thick=0.5)
    flow.y += 2


def _row(flow: Flow, row: tuple[str, ...]) -> None:
    """The first column to the left, numbers to the right of theirs."""
    first = 0.26 * flow.room
    step = (flow.room - first) / (len(row) - 1)
    flow.page.text(flow.x + 2, flow.y + 10, row[0], 7.5)
    for number, cell in enumerate(row[1:], 1):
        flow.page.text(flow.x + first + number * step - 2 - width(cell, 7.5), flow.y + 10, cell, 7.5)
    flow.y += LEADING
