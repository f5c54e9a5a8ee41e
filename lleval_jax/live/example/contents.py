"""What the made papers say: paragraphs, figures of known data, tables of numbers. All follows from a paper's number."""

import dataclasses
import random
from collections.abc import Iterator

from lleval_jax.live.example.charts import Chart

COUNT = 14  # papers of the archive as it ships
METHODS: tuple[str, ...] = (
    "Baseline",
    "Ridge",
    "Forest",
    "Boosted",
    "Kernel",
    "Shallow Net",
    "Deep Net",
    "Ensemble",
    "Distilled",
)
TASKS: tuple[str, ...] = ("Vowels", "Soils", "Clouds", "Rivers", "Leaves", "Stars")
TOPICS = (
    "soil moisture maps",
    "river gauges",
    "bird songs",
    "leaf shapes",
    "cloud heights",
    "street noise",
    "harbour tides",
)
SENTENCES = (
    "The data were split by site, so that no site is in two parts.",
    "We repeat each run with five seeds and report the mean.",
    "All models see the same inputs in the same order.",
    "Training stops when the held-out loss has not fallen for ten rounds.",
    "Errors are largest in winter, when few stations report.",
    "A smaller step gave the same result at twice the cost.",
    "No setting was chosen on the test part.",
    "The simplest model is hard to beat on short records.",
    "Missing values are filled with the mean of the two neighbours.",
    "Inputs are scaled to mean zero and variance one.",
    "Memory was never the limit; time was.",
    "The order of the methods is the same on all parts.",
)


@dataclasses.dataclass(frozen=True)
class Figure:
    """`caption` names the panels "(a) ..." if there are several; `parts` are captions of panels in own files."""

    number: int
    label: str
    caption: str
    charts: tuple[Chart, ...]
    parts: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Table:
    """`rows[0]` heads the columns. A `long` one goes on over pages."""

    number: int
    label: str
    caption: str
    rows: tuple[tuple[str, ...], ...]
    long: bool = False


@dataclasses.dataclass(frozen=True)
class Text:
    r"""A paragraph; `\ref{fig:a}` cites an element by its label. `head` begins a section."""

    text: str
    head: str = ""


@dataclasses.dataclass(frozen=True)
class Content:
    """A made paper."""

    title: str
    authors: tuple[str, ...]
    blocks: tuple[Text | Figure | Table, ...]
    columns: int

    @property
    def figures(self) -> tuple[Figure, ...]:
        """In order."""
        return tuple(block for block in self.blocks if isinstance(block, Figure))

    @property
    def tables(self) -> tuple[Table, ...]:
        """In order."""
        return tuple(block for block in self.blocks if isinstance(block, Table))

    def numbers(self) -> dict[str, int]:
        """Label -> the number that a citation prints."""
        return {block.label: block.number for block in (*self.figures, *self.tables)}


def content(number: int) -> Content:
    """Made paper `number`, from 0. Even ones have two columns; each third one has a table over pages."""
    draw = random.Random(1_000 + number)
    topic = TOPICS[number % len(TOPICS)]
    tasks = draw.sample(TASKS, 5)
    methods = draw.sample(METHODS, 7)
    long = number % 3 == 1
    blocks = (
        Text(_paragraph(draw, 4), "Introduction"),
        Text(f"Our question is how well {topic} can be predicted. {_paragraph(draw, 3)}"),
        Text(f"Table \\ref{{tab:scores}} compares the methods. {_paragraph(draw, 3)}", "Results"),
        Table(
            1,
            "tab:scores",
            f"Accuracy in percent on five parts of {topic}. Higher is better.",
            _scores(draw, methods, tasks),
        ),
        Text(f"How error falls with size is in Figure \\ref{{fig:curve}}. {_paragraph(draw, 3)}"),
        _curve(draw, topic, methods[:3]),
        Text(_paragraph(draw, 4)),
        _compound(draw, topic, tasks, 2 + number % 3, apart=number % 2 == 0),
        Text(f"Figure 3 shows the effect of noise, which Figure \\ref{{fig:parts}} leaves out. {_paragraph(draw, 3)}"),
        _bars(draw, topic, methods[:2]),
        Text(f"What each run costs is in Table \\ref{{tab:cost}}. {_paragraph(draw, 2)}", "Cost"),
        _cost(draw, 44 if long else 8, long),
        Text(f"Table 2 lists medians only, not means. {_paragraph(draw, 3)}", "Discussion"),
    )
    return Content(
        title=(f"On the prediction of {topic}", f"A second look at {topic}", f"{topic.capitalize()}, part {number}")[
            min(number // len(TOPICS), 2)
        ],
        authors=(f"A. Maker{number}", "B. Writer"),
        blocks=blocks,
        columns=2 - number % 2,
    )


def all_contents() -> Iterator[Content]:
    """All made papers."""
    return map(content, range(COUNT))


def _paragraph(draw: random.Random, sentences: int) -> str:
    return " ".join(draw.sample(SENTENCES, sentences))


def _scores(draw: random.Random, methods: list[str], tasks: list[str]) -> tuple[tuple[str, ...], ...]:
    rows = [(method, *(f"{draw.uniform(40, 95):.1f}" for _ in tasks)) for method in methods]
    return (("Method", *tasks), *rows)


def _cost(draw: random.Random, rows: int, long: bool) -> Table:
    head = ("Run", "Hours", "Memory", "Steps", "Error")
    made = tuple(
        (
            f"R{i + 1:02d}",
            f"{draw.uniform(1, 60):.1f}",
            str(draw.randint(2, 80)),
            str(draw.randint(100, 9000)),
            f"{draw.uniform(0.05, 0.9):.3f}",
        )
        for i in range(rows)
    )
    return Table(
        2,
        "tab:cost",
        "Time, memory in GB and error of each run. Hours are medians over five seeds.",
        (head, *made),
        long,
    )


def _curve(draw: random.Random, topic: str, names: list[str]) -> Figure:
    x = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0)
    series = {name: tuple(draw.uniform(30, 60) / (1 + 0.2 * place) for place in x) for name in names}
    chart = Chart("line", x, series, "records (thousands)", "error (%)")
    return Figure(1, "fig:curve", f"Error on {topic} against the number of records, for three methods.", (chart,))


def _compound(draw: random.Random, topic: str, tasks: list[str], panels: int, *, apart: bool) -> Figure:
    x = (1.0, 2.0, 3.0, 4.0, 5.0)
    forms = ("line", "bar", "scatter", "line")
    charts = tuple(
        Chart(
            forms[i], x, {"mean": tuple(draw.uniform(5, 50) for _ in x)}, "fold", f"{tasks[i]} error", f"({'abcd'[i]})"
        )
        for i in range(panels)
    )
    if apart:
        parts = tuple(f"{tasks[i]} by fold" for i in range(panels))
        return Figure(2, "fig:parts", f"Error by fold for {panels} parts of {topic}.", charts, parts)
    named = ", ".join(f"({'abcd'[i]}) {tasks[i]}" for i in range(panels))
    return Figure(2, "fig:parts", f"Error by fold on {topic}: {named}.", charts)


def _bars(draw: random.Random, topic: str, names: list[str]) -> Figure:
    x = (0.0, 1.0, 2.0, 3.0)
    series = {name: tuple(draw.uniform(10, 90) for _ in x) for name in names}
    return Figure(
        3, "fig:noise", f"Score on {topic} at four levels of noise.", (Chart("bar", x, series, "noise", "score"),)
    )
