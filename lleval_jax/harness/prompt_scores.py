"""Scores of texts under the elements of a prompt, from a language model: the table that `lleval pepr` reads (PEPR).

A row is a text under one combination: the log-probability of its answer, in nats, summed over its tokens. Texts go in
blocks, and in a block one combination after another, so that prompts of one call begin alike and a table that was
stopped holds whole texts but for the last block.
"""

import pathlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from lleval_jax.errors import BadInput, require
from lleval_jax.harness import made
from lleval_jax.harness.library import Library, Path, read_library
from lleval_jax.harness.local import scorer_of
from lleval_jax.harness.model import Ids, Scorer, require_fits
from lleval_jax.harness.scored_texts import Table, Text, TextTable, read_texts
from lleval_jax.values.progress import Progress, Tell, silent

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

BATCH = 32  # texts of a block


class Call(NamedTuple):
    """What one call of the model scores: these texts under this combination."""

    name: str
    texts: tuple[Text, ...]


class Found(NamedTuple):
    """What a run found.

    frame    the whole table, as `read_logprobs` takes it
    new      rows that this run added
    tokens   that it read for them, of prompts and answers
    seconds  that it took
    cut      a line of the table that a kill had cut short, and that was scored again; ""
    """

    frame: pd.DataFrame
    new: int
    tokens: int
    seconds: float
    cut: str = ""


def score_texts(
    model: "Scorer | LanguageModel",
    texts: TextTable | Table,
    library: Library | Path,
    *,
    out: pathlib.Path | None = None,
    subsets: Sequence[str] = (),
    bare: bool = False,
    batch: int = BATCH,
    tell: Tell = silent,
) -> Found:
    """Score every text under each element alone, all together, and these subsets.

    Args:
        model: what `lm.load` gives, or another `Scorer`.
        texts: a table with columns text, input, answer, as `read_texts` takes it; or what that gives.
        library: the elements, as `read_library` takes them; or a `Library`.
        out: a CSV that grows as the scores come, with a hidden record of what they depend on next to it; a run that
            was stopped goes on with it. None: only in memory.
        subsets: combinations such as "role+rule" that are scored too.
        bare: also score the prompt without any element, as "bare".
        batch: texts of a call of the model; the rows of a call are written at once.
        tell: is told how far the work is, in tokens.

    Raises:
        BadInput: a subset names what is no element, a text does not fit into the model's context, the model lacks a
            chat template, or `out` was begun with another model, library or text.

    Example:
        ```python
        found = harness.score_texts(lm.load("tiny-lm"), "texts.csv", "elements.toml", out=pathlib.Path("scores.csv"))
        fit = ll.pepr.fit(ll.read_logprobs(found.frame))
        ```
    """
    require(batch > 0, f"batch is {batch}; it must be positive")
    model = scorer_of(model)
    texts = texts if isinstance(texts, TextTable) else read_texts(texts)
    library = library if isinstance(library, Library) else read_library(library)
    names = library.combinations(subsets, bare=bare)
    if library.chat:
        model.require_chat()
    began, new = time.monotonic(), []
    ours = out is None or made.place(out).exists() or not out.exists() or out.stat().st_size == 0
    require(ours, f"{out} is there, and 'lleval pepr score' did not write it. Name another file.")
    with made.table(out, texts.columns) as table:
        done = {(row["text"], row["element"]) for row in table.rows}
        asked = _Asked(model, library, texts, names)
        calls = _calls(texts.texts, list(names), batch, done)
        sizes = [asked.require_fit(call) for call in calls]
        if out is not None:
            inputs = {text.name: text.digest for text in texts.texts}
            now = made.Made({"model": model.known, "library": library.digest}, {"text": inputs})
            made.agree(out, now, fresh=not table.rows)
        pace = _Pace(sum(sizes), tell)
        for call, size in zip(calls, sizes, strict=True):
            rows = asked.rows(call, pace.part(size))
            table.add(rows)
            new += rows
        return Found(
            _framed([*table.rows, *new], texts, out), len(new), sum(sizes), time.monotonic() - began, table.cut
        )


def _framed(rows: list[dict[str, str]], texts: TextTable, out: pathlib.Path | None) -> pd.DataFrame:
    """The table with its numbers as numbers."""
    try:
        return pd.DataFrame(rows, columns=list(texts.columns)).astype(texts.types)
    except ValueError as error:
        raise BadInput(f"{out} has a cell that is no number: {error}. Begin again with another file.") from error


def _calls(texts: Sequence[Text], names: Sequence[str], batch: int, done: set[tuple[str, str]]) -> list[Call]:
    """All calls, in order; a call is never empty."""
    found = []
    for start in range(0, len(texts), batch):
        block = texts[start : start + batch]
        each = (Call(name, tuple(text for text in block if (text.name, name) not in done)) for name in names)
        found += [call for call in each if call.texts]
    return found


class _Pace:
    """How far all calls are, told as each says how far it is."""

    def __init__(self, total: int, tell: Tell) -> None:
        self.began, self.done, self.total, self.tell = time.monotonic(), 0, total, tell

    def part(self, size: int) -> Tell:
        """The `tell` of the next call, of so many tokens."""
        before, self.done = self.done, self.done + size

        def told(progress: Progress) -> None:
            done = before + int((progress.share or 0) * size)
            rate = done / max(time.monotonic() - self.began, 1e-9)
            self.tell(Progress("scoring", done, self.total, unit="tokens", rate=rate or None))

        return told


class _Asked:
    """Texts and combinations as a model takes them. An answer is the same tokens under every prompt."""

    def __init__(self, model: Scorer, library: Library, texts: TextTable, names: dict[str, tuple[str, ...]]) -> None:
        self.model, self.library, self.names, self.columns = model, library, names, texts.columns
        self.sides = len(texts.texts[0].answers)
        flat = [answer for text in texts.texts for answer in text.answers]
        tokens = model.after([library.end] * len(flat), flat)
        each = [tokens[start : start + self.sides] for start in range(0, len(flat), self.sides)]
        self.answers = {text.name: found for text, found in zip(texts.texts, each, strict=True)}

    def prompts(self, call: Call) -> list[Ids]:
        """Tokens of the prompts of a call."""
        return self.model.read([self.library.prompt(self.names[call.name], text.input) for text in call.texts])

    def require_fit(self, call: Call) -> int:
        """Tokens of a call. `BadInput` for a text that does not fit, or of which nothing is left to score."""
        total = 0
        for text, prompt in zip(call.texts, self.prompts(call), strict=True):
            what = f"{text.place}: text {text.name!r} under {call.name!r}"
            for answer in self.answers[text.name]:
                require(len(answer) > 0, f"{what} has an answer without tokens; there is nothing to score")
                require_fits(prompt, len(answer), self.model.context, what)
                total += len(prompt) + len(answer)
        return total

    def rows(self, call: Call, tell: Tell) -> list[dict[str, str]]:
        """Score a call: a row a text."""
        read = self.prompts(call)
        answers = [answer for text in call.texts for answer in self.answers[text.name]]
        found = self.model.score([one for one in read for _ in range(self.sides)], answers, tell=tell)
        each = zip(call.texts, np.reshape(found, (-1, self.sides)), read, strict=True)
        return [self._row(call.name, text, values, len(prompt)) for text, values, prompt in each]

    def _row(self, name: str, text: Text, values: np.ndarray, size: int) -> dict[str, str]:
        what = f"{text.place}: the model gives text {text.name!r} under {name!r} the log-probability {values.tolist()}"
        require(bool(np.isfinite(values).all()), f"{what}; it must be finite")
        counts = [str(len(answer)) for answer in self.answers[text.name]]
        desired = [text.desired] if "desired" in self.columns else []
        cells = [text.name, name, *(f"{min(value, 0.0):.6f}" for value in values), *counts, *desired, str(size)]
        return dict(zip(self.columns, cells, strict=True))
