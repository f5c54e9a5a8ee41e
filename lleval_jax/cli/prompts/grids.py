"""Grids of prompts and examples for `lleval prompts`: answers, the names of all there are, and covariates."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import typer
from scipy.special import expit

import lleval_jax as ll
from lleval_jax.cli.shell.options import Reading
from lleval_jax.errors import BadInput, require

if TYPE_CHECKING:
    import pandas as pd

DEMO = "demo:prompts"  # a simulated grid, a part of it answered; as --truth all of it
SIMULATED = (40, 100, 300)  # prompts, examples, answers given
SEED = 1
SPREAD, HARD = 0.45, 1.3  # standard deviations of its prompts and examples, in logits

Prompts = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="FILE", help="All prompts there are, one a line, where some have no answer yet."),
]
Items = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="FILE", help="All examples there are, one a line, where some have no answer yet."),
]
Features = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="PATH", help="Covariates of the prompts: a table, column prompt and others; texts are categories."
    ),
]
Templates = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="PATH", help="Texts of the prompts, columns prompt, template: their counts are covariates."),
]


class Grid(NamedTuple):
    """Answers of prompts to examples, and which model and prompt each row is where there are several models."""

    answers: "ll.Responses"
    models: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None
    simulated: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """(rows,) the prompt of each row."""
        return self.answers.rows if self.prompts is None else self.prompts


def listed(words: str) -> list[str]:
    """Words with commas between."""
    return [word.strip() for word in words.split(",") if word.strip()]


def share(word: str) -> float:
    """A share of the prompts from a percent."""
    try:
        percent = float(word.removesuffix("%"))
    except ValueError:
        raise BadInput(f"quantile {word!r} is not a number; quantiles are percents, such as 5,50,95") from None
    hint = f"; did you mean {100 * percent:g}?" if 0 < percent < 1 else ""
    require(0 <= percent <= 100 and not hint, f"quantile {word} is not a percent: 0, or from 1 to 100{hint}")
    return percent / 100


def read(
    inputs: Sequence[str],
    reading: Reading,
    *,
    strict: bool,
    report: Callable[[int, int], None] | None = None,
    whole: bool = False,
) -> Grid:
    """All that `inputs` name as one grid; `whole`: of `DEMO` every answer."""
    if DEMO in inputs:
        require(len(inputs) == 1, f"{DEMO} is simulated and stands alone; it cannot be mixed with other inputs")
        return Grid(_simulated(whole), simulated=True)
    words = dataclasses.asdict(reading)
    found = ll.read(list(inputs), rows="prompt", strict=strict, report=report, **words)
    answers = found.dense() if isinstance(found, ll.SparseResponses) else found
    return Grid(answers, *_models(answers, inputs, words))


def empty(prompts: Sequence[str], items: Sequence[str]) -> Grid:
    """A grid without any answer."""
    return Grid(ll.Responses.build(np.full((len(prompts), len(items)), np.nan, np.float32), rows=prompts, items=items))


def completed(grid: Grid, prompts: Sequence[str] | None, items: Sequence[str] | None) -> Grid:
    """With those prompts and examples too that have no answer yet; each list names all there are."""
    for what, names, have in (("prompts", prompts, grid.names), ("items", items, grid.answers.items)):
        unknown = [name for name in have if name not in set(names)] if names is not None else []
        require(not unknown, f"--{what} does not name {unknown[:1]}, which the answers have ({len(unknown)} such)")
    answers, models = grid.answers, grid.models
    wanted = list(dict.fromkeys(grid.names)) if prompts is None else list(prompts)
    if models is None:
        rows = {name: ("", name) for name in wanted}
    else:
        rows = {f"{model}/{name}": (model, name) for model in dict.fromkeys(models) for name in wanted}
        rows |= dict(zip(answers.rows, zip(models, grid.names, strict=True), strict=True))
    answers = answers.merge(empty(list(rows), answers.items if items is None else items).answers)
    if models is None:
        return grid._replace(answers=answers)
    model, prompt = zip(*(rows[name] for name in answers.rows), strict=True)
    return grid._replace(answers=answers, models=model, prompts=prompt)


def names_in(path: pathlib.Path | None) -> list[str] | None:
    """The names in a file, one a line."""
    if path is None:
        return None
    require(path.is_file(), f"there is no file {path}")
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not a text file of names, one a line") from error
    require(bool(found), f"{path} names nothing; it needs one name a line")
    twice = [name for name in dict.fromkeys(found) if found.count(name) > 1]
    require(not twice, f"{path} names {twice[:1]} twice; each name stands once")
    return found


def covariates(path: pathlib.Path, key: str, names: Sequence[str]) -> "pd.DataFrame":
    """(names, features) from a table with a column `key`: numbers as they are, texts as one 0/1 column a value."""
    import pandas as pd  # not needed for --help

    from lleval_jax.estimators.prompts.covariates import one_hot

    table = _table(path, key, names)
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    for name in texts:
        number = pd.to_numeric(table[name], errors="coerce").notna().to_numpy()
        bare = table.index[int(number.argmin())]
        mixed = f"{path}: column {name!r} holds numbers, but none for {key} {bare!r}"
        require(not number.any(), f"{mixed}; fill it in, or leave the column out")
    numbers = table.drop(columns=texts).astype(float)
    if not texts:
        return numbers
    values, labels = one_hot({str(name): table[name].astype(str).tolist() for name in texts})
    return pd.concat([numbers, pd.DataFrame(values, table.index, list(labels))], axis=1)


def of_texts(path: pathlib.Path, names: Sequence[str]) -> "pd.DataFrame":
    """(names, features) counted in the texts of the prompts: a table with columns prompt, template."""
    import pandas as pd  # not needed for --help

    table = _table(path, "prompt", names)
    column = next((name for name in ("template", "text") if name in table), None)
    require(column is not None, f"{path} has columns {['prompt', *map(str, table)]}; it needs prompt and template")
    counts, labels = ll.prompts.features(table[column].astype(str).tolist())
    return pd.DataFrame(counts, table.index, list(labels))


def row_features(grid: Grid, features: pathlib.Path | None, templates: pathlib.Path | None) -> "pd.DataFrame | None":
    """(rows, features) of both tables, by the names of the rows; None without any."""
    import pandas as pd  # not needed for --help

    parts = [] if features is None else [covariates(features, "prompt", grid.names)]
    parts += [] if templates is None else [of_texts(templates, grid.names)]
    return pd.concat(parts, axis=1).set_axis(list(grid.answers.rows)) if parts else None


def _table(path: pathlib.Path, key: str, names: Sequence[str]) -> "pd.DataFrame":
    """A line for each of `names`, in that order; `BadInput` for one that the table lacks or has twice."""
    import pandas as pd  # not needed for --help

    require(path.is_file(), f"there is no file {path}")
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        elif path.suffix == ".jsonl":
            table = pd.read_json(path, lines=True, dtype={key: str})  # pyright: ignore[reportArgumentType]
        else:
            table = pd.read_csv(path, dtype={key: str}, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise BadInput(f"{path} is not a table: {error}") from error
    require(key in table, f"{path} has no column {key!r}; it has {list(map(str, table))[:12]}")
    table = table.set_axis(table[key].astype(str)).drop(columns=key)
    twice = table.index[table.index.duplicated()]
    require(not len(twice), f"{path} has {key} {str(twice[0]) if len(twice) else ''!r} twice; give one line each")
    missing = [name for name in names if name not in table.index]
    require(not missing, f"{path} has no line for {key} {missing and missing[0]!r} ({len(missing)} are missing)")
    return table.loc[list(names)]


def _models(
    answers: "ll.Responses", inputs: Sequence[str], words: dict[str, Any]
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """The model and the prompt of each row; None, None where there is one model."""
    if not all("/" in row for row in answers.rows):  # of several models they are "model/prompt"
        return None, None
    from lleval_jax.data import prompt_rows  # not needed for --help
    from lleval_jax.data.answers import Options

    pairs = prompt_rows.prompt_rows(list(inputs), Options(rows="prompt", **words))
    models, prompts = zip(*(pairs[row] for row in answers.rows), strict=True)
    return (models, prompts) if len(set(models)) > 1 else (None, None)


def _simulated(whole: bool) -> "ll.Responses":
    """One model under 40 prompts; nothing real is behind it."""
    from lleval_jax.estimators.prompts import balanced

    rng = np.random.default_rng(SEED)
    prompts, examples, given = SIMULATED
    logit = SPREAD * rng.standard_normal((prompts, 1)) + HARD * rng.standard_normal(examples) + 0.3
    right = rng.random(logit.shape) < expit(logit)
    seen = np.full(right.shape, whole)
    if not whole:
        seen[balanced.plan(seen, given, seed=SEED)] = True
    rows, items = [f"prompt-{i:02}" for i in range(prompts)], [f"example-{j:03}" for j in range(examples)]
    return ll.Responses.build(right.astype(np.float32), seen=seen, rows=rows, items=items)
