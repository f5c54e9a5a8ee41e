"""Grids of prompts and examples for `lleval prompts`: answers, the names of all there are, and covariates."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import typer

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
    typer.Option(
        metavar="FILE",
        help="All prompts there are, one a line or as 'prompts run' takes them, where some have no answer yet.",
    ),
]
Items = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="FILE",
        help="All examples there are, one a line or as 'prompts run' takes them, where some have no answer yet.",
    ),
]
Features = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="PATH", help="Covariates of the prompts: a table, column prompt and others; texts are categories."
    ),
]
Templates = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="PATH", help="CSV of prompt texts (columns prompt, template); text statistics are used as covariates."
    ),
]


class Grid(NamedTuple):
    """Answers of prompts to examples; which model and prompt each row is stands in their parts."""

    answers: "ll.Responses"
    simulated: bool = False

    @property
    def models(self) -> tuple[str, ...] | None:
        """(rows,) the model of each row; None where there is one model."""
        found = self.answers.parts["model"]
        return found if len(set(found)) > 1 else None

    @property
    def prompts(self) -> tuple[str, ...] | None:
        """(rows,) the prompt of each row; None where there is one model, so that it is the row's name."""
        return None if self.models is None else self.answers.parts["prompt"]

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
    tell: "Callable[[ll.Progress], None]",
    whole: bool = False,
) -> Grid:
    """All that `inputs` name as one grid; `whole`: of `DEMO` every answer."""
    if DEMO in inputs:
        require(len(inputs) == 1, f"{DEMO} is simulated and stands alone; it cannot be mixed with other inputs")
        return Grid(_simulated(whole), simulated=True)
    found = ll.read(list(inputs), rows="prompt", strict=strict, tell=tell, **reading.keywords())
    return Grid(found.dense() if isinstance(found, ll.SparseResponses) else found)


def empty(prompts: Sequence[str], items: Sequence[str]) -> Grid:
    """A grid of one model without any answer."""
    return Grid(_empty({name: ("", name) for name in prompts}, items))


def completed(grid: Grid, prompts: Sequence[str] | None, items: Sequence[str] | None) -> Grid:
    """With those prompts and examples too that have no answer yet; each list names all there are."""
    answers = grid.answers
    for what, names, have in (("prompts", prompts, grid.names), ("items", items, answers.items)):
        unknown = [name for name in have if name not in set(names)] if names is not None else []
        require(not unknown, f"--{what} does not name {unknown[:1]}, which the answers have ({len(unknown)} such)")
    wanted = list(dict.fromkeys(grid.names)) if prompts is None else list(prompts)
    models = dict.fromkeys(answers.parts["model"])
    rows = {f"{model}/{name}" if len(models) > 1 else name: (model, name) for model in models for name in wanted}
    rows |= dict(zip(answers.rows, zip(answers.parts["model"], answers.parts["prompt"], strict=True), strict=True))
    return grid._replace(answers=answers.merge(_empty(rows, answers.items if items is None else items)))


def names_in(path: pathlib.Path | None, column: str) -> list[str] | None:
    """The names in a file, one a line; or in that column of a table, or of prompts in TOML, as `prompts run` takes."""
    if path is None:
        return None
    require(path.is_file(), f"there is no file {path}")
    found = _tabled(path, column)
    if found is not None:
        return found
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not a text file of names, one a line") from error
    require(bool(found), f"{path} names nothing; it needs one name a line")
    twice = [name for name in dict.fromkeys(found) if found.count(name) > 1]
    require(not twice, f"{path} names {twice[:1]} twice; each name stands once")
    return found


def _tabled(path: pathlib.Path, column: str) -> list[str] | None:
    """The names in a column of a table; None of another file."""
    from lleval_jax.data.tables.rows import read_rows  # not needed for --help
    from lleval_jax.harness.grid import read_prompts

    if path.suffix == ".toml" and column == "prompt":
        return list(read_prompts(path))
    if path.suffix in (".parquet", ".jsonl"):
        return list(read_rows(path, (column,), (column,)).named(column))
    with path.open("rb") as stream:
        first = stream.readline().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    head = [cell.strip().strip('"').lower() for cell in first.split(",")]
    return list(read_rows(path, (column,), (column,)).named(column)) if len(head) > 1 and column in head else None


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


def _empty(rows: Mapping[str, tuple[str, str]], items: Sequence[str]) -> "ll.Responses":
    """Rows, each with its model and prompt, that have not answered any item."""
    models, prompts = zip(*rows.values(), strict=True)
    scores = np.full((len(rows), len(items)), np.nan, np.float32)
    return ll.Responses.build(scores, rows=list(rows), items=items, parts={"model": models, "prompt": prompts})


def _simulated(whole: bool) -> "ll.Responses":
    """One model under 40 prompts; nothing real is behind it."""
    from scipy.special import expit  # not needed for --help

    from lleval_jax.estimators.prompts import balanced

    rng = np.random.default_rng(SEED)
    prompts, examples, given = SIMULATED
    logit = SPREAD * rng.standard_normal((prompts, 1)) + HARD * rng.standard_normal(examples) + 0.3
    right = rng.random(logit.shape) < expit(logit)
    seen = np.full(right.shape, whole)
    if not whole:
        seen[balanced.plan(seen, given, seed=SEED)] = True
    rows, items = [f"prompt-{i:02}" for i in range(prompts)], [f"example-{j:03}" for j in range(examples)]
    parts = {"model": [""] * prompts, "prompt": rows}
    return ll.Responses.build(right.astype(np.float32), seen=seen, rows=rows, items=items, parts=parts)
