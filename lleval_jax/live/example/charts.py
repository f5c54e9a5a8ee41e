"""Charts of known data, drawn into a box of a page: lines, bars, points."""

import dataclasses
from typing import Literal

from lleval_jax.live.example.canvas import Colour, Page, pdf

COLOURS: tuple[Colour, ...] = ((0.12, 0.47, 0.71), (0.84, 0.15, 0.16), (0.17, 0.63, 0.17), (0.58, 0.40, 0.74))
GAP = 18.0  # white points between panels
LEFT, BELOW, ABOVE = 34.0, 26.0, 8.0  # room for the axes
DPI = 150


@dataclasses.dataclass(frozen=True)
class Chart:
    """Series by name over the same places `x`."""

    form: Literal["line", "bar", "scatter"]
    x: tuple[float, ...]
    series: dict[str, tuple[float, ...]]
    x_label: str
    y_label: str
    letter: str = ""  # drawn in the corner, where the chart is a panel


def draw(page: Page, chart: Chart, x: float, y: float, wide: float, high: float) -> None:
    """Draw a chart in the box whose top left corner is (x, y)."""
    left, right, top, floor = x + LEFT, x + wide - 6, y + ABOVE, y + high - BELOW
    lows, highs = min(chart.x), max(chart.x)
    most = max(max(values) for values in chart.series.values()) * 1.15
    margin = 0.5 if chart.form == "bar" else 0.0

    def across(value: float) -> float:
        return left + (value - lows + margin) / (highs - lows + 2 * margin) * (right - left)

    def up(value: float) -> float:
        return floor - value / most * (floor - top)

    page.path([(left, top), (left, floor), (right, floor)])
    for step in range(5):
        value = most * step / 4
        page.path([(left - 3, up(value)), (left, up(value))])
        page.text(x + 10, up(value) + 2.5, f"{value:.0f}", 6.5)
    for value in chart.x:
        page.path([(across(value), floor), (across(value), floor + 3)])
        page.middle(across(value), floor + 10, f"{value:g}", 6.5)
    page.middle((left + right) / 2, floor + 20, chart.x_label, 7)
    page.text(left + 4, top + 4, f"{chart.letter} {chart.y_label}".strip(), 7)
    for number, (name, values) in enumerate(chart.series.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(across(a), up(b)) for a, b in zip(chart.x, values, strict=True)]
        if chart.form == "line":
            page.path(places, colour, 1.2)
        elif chart.form == "scatter":
            for a, b in places:
                page.box(a - 2, b - 2, 4, 4, colour)
        else:
            thick = (right - left) / len(chart.x) / (len(chart.series) + 1)
            for a, b in places:
                page.box(a + (number - len(chart.series) / 2) * thick, b, thick, floor - b, colour)
        if len(chart.series) > 1:
            page.box(right - 62, top + 2 + 9 * number, 6, 6, colour)
            page.text(right - 53, top + 8 + 9 * number, name, 6.5)


def size(charts: tuple[Chart, ...], wide: float, high: float) -> tuple[float, float]:
    """Points (wide, high) of panels in rows of two, with white between them; (wide, high) is one panel."""
    rows, columns = (len(charts) + 1) // 2, min(len(charts), 2)
    return columns * wide + (columns - 1) * GAP, rows * high + (rows - 1) * GAP


def draw_all(page: Page, charts: tuple[Chart, ...], x: float, y: float, wide: float, high: float) -> None:
    """Draw panels in rows of two, the first with its corner at (x, y); each `wide` and `high`."""
    for number, chart in enumerate(charts):
        draw(page, chart, x + number % 2 * (wide + GAP), y + number // 2 * (high + GAP), wide, high)


def as_pdf(charts: tuple[Chart, ...], wide: float = 220, high: float = 140) -> bytes:
    """A file of one page that the panels fill."""
    page = Page(size(charts, wide, high))
    draw_all(page, charts, 0, 0, wide, high)
    return pdf([page])


def as_png(charts: tuple[Chart, ...], wide: float = 220, high: float = 140) -> bytes:
    """The same as a bitmap of 150 dpi."""
    from lleval_jax.live.pictures import png, rendered

    return png(rendered(as_pdf(charts, wide, high), dpi=DPI))
