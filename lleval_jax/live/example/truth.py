"""The data behind the made pictures, so that scripted models can answer questions about them."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Protocol

from lleval_jax.live import ask
from lleval_jax.live.example import contents, models
from lleval_jax.live.example.charts import Chart
from lleval_jax.live.example.corpus import MOST, corpus
from lleval_jax.live.values import Element, Question


class Made(Protocol):
    """A version: what is asked, and about what."""

    @property
    def elements(self) -> Sequence[Element]:
        """Figures and tables."""
        ...

    @property
    def questions(self) -> Sequence[Question]:
        """About them."""
        ...


def behind(element: Element) -> Element:
    """An element of a made paper with the data behind its picture as cells; any other as it is."""
    if element.cells or element.kind != "figure":
        return element
    charts = _charts().get((element.paper.rpartition("v")[0], element.number))
    return dataclasses.replace(element, cells=_cells(charts)) if charts else element


def right(version: Made) -> dict[str, int]:
    """Question id -> the place of what is true, by the data behind; of those that have it among their options."""
    elements = {each.name: behind(each) for each in version.elements}
    answers, found = models.known(tuple(elements.values())).answers, {}
    for each in version.questions:
        element = elements[each.element]
        true = answers.get((element.image or ask.markdown(element.cells), *models.asked(each.text, each.options)))
        found |= {each.id: each.options.index(true)} if true in each.options else {}
    return found


@functools.cache
def _charts() -> dict[tuple[str, str], tuple[Chart, ...]]:
    """(id of a paper, number of a figure) -> what is drawn."""
    papers = {record.id: record.content for record in corpus(papers=MOST) if record.content is not None}
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
