"""The data behind the made pictures, so that scripted models can answer questions about them."""

import dataclasses
import functools

from lleval_jax.live.example import contents
from lleval_jax.live.example.charts import Chart
from lleval_jax.live.example.corpus import corpus
from lleval_jax.live.values import Element


def behind(element: Element) -> Element:
    """An element of a made paper with the data behind its picture as cells; any other as it is."""
    if element.cells or element.kind != "figure":
        return element
    charts = _charts().get((element.paper.rpartition("v")[0], element.number))
    return dataclasses.replace(element, cells=_cells(charts)) if charts else element


@functools.cache
def _charts() -> dict[tuple[str, str], tuple[Chart, ...]]:
    """(id of a paper, number of a figure) -> what is drawn."""
    papers = {record.id: record.content for record in corpus() if record.content is not None}
    figures = ((id, figure) for id, number in papers.items() for figure in contents.content(number).figures)
    return {(id, str(figure.number)): figure.charts for id, figure in figures}


def _cells(charts: tuple[Chart, ...]) -> tuple[tuple[str, ...], ...]:
    """Places as rows, series, or panels, as columns."""
    first = charts[0]
    columns = {_head(chart, name): values for chart in charts for name, values in chart.series.items()}
    lines = [
        (f"{first.x_label} = {x:g}", *(f"{values[i]:.1f}" for values in columns.values()))
        for i, x in enumerate(first.x)
    ]
    return ((first.x_label, *columns), *lines)


def _head(chart: Chart, series: str) -> str:
    return f"{series} {chart.y_label} {chart.letter}".strip()
