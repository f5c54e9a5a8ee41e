"""Answers of a language model to cells of a grid: the prompts and examples that `lleval prompts plan` names.

A multiple-choice question is answered by the option that the model gives the highest log-probability after the prompt;
any other by what the model writes, greedily, compared with the right answer as `matching` says.
"""

import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from lleval_jax.data.growing import Growing, Passing
from lleval_jax.errors import NoServer, require, require_known
from lleval_jax.harness import fields, grid, made
from lleval_jax.harness.grid import Cell, Question, Template
from lleval_jax.harness.local import scorer_of
from lleval_jax.harness.matching import MATCHES
from lleval_jax.harness.model import Ids, Prompt, Scorer, require_fits
from lleval_jax.lm.asking import complete_all
from lleval_jax.lm.client import Client, Failed, Message, Request
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.words import visible

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

BATCH = 16  # cells of a call
COLUMNS = ("prompt", "item", "score", "answer")
Per = Literal["text", "token", "character"]


@dataclasses.dataclass(frozen=True)
class Asking:
    """How a model is asked and its answers are judged.

    chat   prompts are the user's messages of the model's chat template
    match  of written answers: "exact", "normalised", "contains", "regex"
    per    of options: by the log-probability of the whole "text", or its mean per "token" or per "character"
    limit  tokens of a written answer, at most
    stop   strings that end a written answer; None: a line break, and of a chat nothing but the model itself
    """

    chat: bool = False
    match: str = "exact"
    per: Per = "text"
    limit: int = 32
    stop: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        require_known(self.match, MATCHES, "match")
        require(self.per in ("text", "token", "character"), f"per is {self.per!r}; it is text, token or character")
        require(self.limit > 0, f"limit is {self.limit}; it must be positive")

    @property
    def stops(self) -> tuple[str, ...]:
        """The strings that end an answer."""
        return (() if self.chat else ("\n",)) if self.stop is None else self.stop

    def known(self) -> dict[str, str]:
        """What answers depend on, for the record of a table."""
        said = {"chat": self.chat, "match": self.match, "per": self.per, "limit": self.limit, "stop": self.stops}
        return {word: str(value) for word, value in said.items()}

    def prompt(self, template: Template, question: Question) -> Prompt:
        """The prompt of a cell. `BadInput` for a system message without a chat."""
        text = fields.filled(template.text, question.cells)
        if not self.chat:
            return text
        system = fields.filled(template.system, question.cells)
        return ((("system", system),) if system else ()) + (("user", text),)


class Answered(NamedTuple):
    """What a run found.

    rows     that it added: prompt, item, score, answer
    before   cells that the table had already
    failed   cells that got no reply, and why
    tokens   read and written, where that is known
    seconds  that it took
    cut      a line of the table that a kill had cut short, and whose cell was run again; ""
    """

    rows: tuple[dict[str, str], ...]
    before: int
    failed: tuple[tuple[Cell, str], ...]
    tokens: int
    seconds: float
    cut: str = ""


def answer_cells(
    cells: Sequence[Cell],
    prompts: Mapping[str, Template],
    questions: Mapping[str, Question],
    *,
    model: "LanguageModel | Scorer | Client",
    asking: Asking = Asking(),  # noqa: B008  (frozen)
    out: pathlib.Path | None = None,
    name: str = "",
    batch: int = BATCH,
    tell: Tell = silent,
) -> Answered:
    """Run cells, and add the answers to a table that `lleval prompts` reads.

    Args:
        cells: from `grid.read_plan`, or any.
        prompts: from `grid.read_prompts`.
        questions: from `grid.read_examples`.
        model: what `lm.load` gives; or a client, such as `lm.OpenAIClient`, which writes answers and scores none.
        asking: how to ask and how to judge.
        out: a CSV with columns prompt, item, score, answer that grows; cells it has are not run again. A hidden record
            next to it says what its answers depend on. None: only in memory.
        name: of the model, for a column `model` of a grid of several models; "": there is no such column.
        batch: cells of a call of the model; rows of options are written a call at a time, others as they come.
        tell: is told how far the work is.

    Raises:
        BadInput: a template has a place that nothing fills, a prompt does not fit into the model's context, an example
            has options and a client is to answer, or `out` was begun with another model, prompt, example or `asking`.
        NoServer: the server is down, or refuses the key or the model. What came before is in `out`.
    """
    require(batch > 0, f"batch is {batch}; it must be positive")
    grid.require_places(prompts, questions, cells)
    scorer = None if hasattr(model, "complete") else scorer_of(model)  # type: ignore[arg-type]
    began = time.monotonic()
    columns = ("model", *COLUMNS) if name else COLUMNS
    with made.table(out, columns, columns[:-1]) as table:
        done = _done(table, name)
        todo = [cell for cell in dict.fromkeys(cells) if cell not in done]
        jobs = _able([_job(cell, prompts, questions, asking) for cell in todo], scorer, asking)
        if out is not None:
            made.agree(out, _made(jobs, prompts, asking, known_as(model)), run=name, fresh=not table.rows)
        work = _Work(table, name, jobs, scorer is not None, tell)
        chosen, written = ([job for job in jobs if bool(job.question.options) == kind] for kind in (True, False))
        if scorer is not None:
            _choose(chosen, scorer, asking, batch, work)
        if written and scorer is not None:
            _write(written, scorer.client(batch=batch, tell=lambda told: work.say(told.done)), asking, work)
        elif written:
            _write(written, model, asking, work)  # type: ignore[arg-type]  # it is a client
        before = len(set(cells)) - len(todo)
        return Answered(tuple(work.rows), before, tuple(work.failed), work.tokens, time.monotonic() - began, table.cut)


def known_as(model: "LanguageModel | Scorer | Client") -> str:
    """How a model is known in the record of a table."""
    if hasattr(model, "complete"):
        return f"{getattr(model, 'model', '')} at {getattr(model, 'server', '')}"
    return scorer_of(model).known  # type: ignore[arg-type]


class _Job(NamedTuple):
    """A cell to run.

    size  tokens that it takes, at most, or 1 where these are not counted
    """

    cell: Cell
    prompt: Prompt
    question: Question
    size: int = 1

    @property
    def options(self) -> list[str]:
        """The options as they go on from the prompt: after a blank, unless there is one, or the prompt is a chat."""
        apart = not isinstance(self.prompt, str) or self.prompt[-1:].isspace()
        return [option if apart or option[:1].isspace() else f" {option}" for option in self.question.options]


class _Work:
    """What was done so far."""

    def __init__(self, table: Growing | Passing, name: str, jobs: Sequence[_Job], counts: bool, tell: Tell) -> None:
        self.table, self.name, self.tell, self.began = table, name, tell, time.monotonic()
        self.unit, self.total = "tokens" if counts else "answers", sum(job.size for job in jobs)
        self.rows: list[dict[str, str]] = []
        self.failed: list[tuple[Cell, str]] = []
        self.done = self.tokens = 0

    def say(self, more: float = 0) -> None:
        """How far it is; `more` is of a call under way."""
        passed = max(time.monotonic() - self.began, 1e-9)
        rate = (self.tokens + more) / passed if self.unit == "tokens" else None
        self.tell(Progress("answering", self.done + int(more), self.total, unit=self.unit, rate=rate or None))

    def add(self, found: Sequence[tuple[_Job, bool, str]], tokens: int) -> None:
        """Answers that came: whether each is right, and what was said."""
        model = {"model": self.name} if self.name else {}
        rows = [
            {**model, **job.cell._asdict(), "score": str(int(right)), "answer": visible(said)}
            for job, right, said in found
        ]
        self.table.add(rows)
        self.rows += rows
        self.tokens += tokens
        self.done += sum(job.size for job, *_ in found)
        self.say()

    def fail(self, job: _Job, why: str) -> None:
        """No answer came."""
        self.failed.append((job.cell, why))
        self.done += job.size
        self.say()


def _done(table: Growing | Passing, name: str) -> set[Cell]:
    """The cells of this model that have an answer. `BadInput` where it is not said whose they are."""
    several = "model" in table.columns and not name
    hint = {"shell": "Say --as NAME.", "python": "Pass name=."}
    require(not several, "the table has a column model, and it is not said which model answers.", **hint)
    ours = [row for row in table.rows if row.get("model", name) == name and row["score"].strip()]
    return {Cell(row["prompt"], row["item"]) for row in ours}


def _job(cell: Cell, prompts: Mapping[str, Template], questions: Mapping[str, Question], asking: Asking) -> _Job:
    template, question = prompts[cell.prompt], questions[cell.item]
    chats = asking.chat or not template.system
    hint = {"shell": "Say --chat.", "python": "Pass Asking(chat=True)."}
    require(chats, f"prompt {cell.prompt!r} has a system message, which a chat alone has.", **hint)
    return _Job(cell, asking.prompt(template, question), question)


def _able(jobs: Sequence[_Job], scorer: Scorer | None, asking: Asking) -> list[_Job]:
    """The jobs with their sizes. `BadInput` where options cannot be scored, or a prompt is too long."""
    for job in jobs if scorer is None else ():
        what = f"{job.question.place}: {job.cell.item!r} has options, which are scored"
        require(not job.question.options, f"{what}; a server gives no scores of given answers")
    if scorer is None or not jobs:
        return list(jobs)
    if asking.chat:
        scorer.require_chat()
    prompts = scorer.read([job.prompt for job in jobs])
    return [_sized(job, prompt, scorer, asking) for job, prompt in zip(jobs, prompts, strict=True)]


def _sized(job: _Job, prompt: Ids, scorer: Scorer, asking: Asking) -> _Job:
    """A job with the tokens that it takes."""
    more = [len(answer) for answer in _answers([job], scorer)] or [asking.limit]
    what = f"{job.question.place}: prompt {job.cell.prompt!r} on {job.cell.item!r}"
    require(min(more) > 0, f"{what} has an option without tokens")
    require_fits(prompt, max(more), scorer.context, what)
    return job._replace(size=len(prompt) * len(more) + sum(more))


def _answers(jobs: Sequence[_Job], scorer: Scorer) -> list[Ids]:
    """Tokens of all options, one job's after another's."""
    both = [(job.prompt if isinstance(job.prompt, str) else "", option) for job in jobs for option in job.options]
    return scorer.after([before for before, _ in both], [option for _, option in both]) if both else []


def _made(jobs: Sequence[_Job], prompts: Mapping[str, Template], asking: Asking, known: str) -> made.Made:
    """What the answers of these cells depend on."""
    used = {job.cell.prompt: prompts[job.cell.prompt].digest for job in jobs}
    asked = {job.cell.item: job.question.digest for job in jobs}
    return made.Made({"model": known, **asking.known()}, {"prompt": used, "example": asked})


def _choose(jobs: Sequence[_Job], scorer: Scorer, asking: Asking, batch: int, work: _Work) -> None:
    """Multiple choice: the most probable option."""
    for start in range(0, len(jobs), batch):
        some = jobs[start : start + batch]
        size, answers = sum(job.size for job in some), _answers(some, scorer)
        prompts = zip(scorer.read([job.prompt for job in some]), some, strict=True)
        each = [prompt for prompt, job in prompts for _ in job.options]
        sums = scorer.score(each, answers, tell=lambda told, size=size: work.say((told.share or 0) * size))
        options = [option for job in some for option in job.question.options]
        by = sums / _sizes(answers, options, asking.per)
        ends = np.cumsum([len(job.options) for job in some])[:-1]
        best = [job.question.options[int(np.argmax(own))] for job, own in zip(some, np.split(by, ends), strict=True)]
        work.add([(job, said == job.question.right, said) for job, said in zip(some, best, strict=True)], size)


def _sizes(answers: Sequence[Ids], options: Sequence[str], per: Per) -> np.ndarray:
    """(options,) what log-probabilities are divided by."""
    if per == "text":
        return np.ones(len(options))
    return np.array([len(one.strip()) for one in options] if per == "character" else [len(one) for one in answers])


def _write(jobs: Sequence[_Job], client: Client, asking: Asking, work: _Work) -> None:
    """Answers in writing, kept as they come."""
    match = MATCHES[asking.match]
    try:
        for job, reply in zip(jobs, complete_all(client, [_request(job.prompt, asking) for job in jobs]), strict=True):
            if isinstance(reply, Failed):
                work.fail(job, reply.reason)
                continue
            said = reply.text.strip()
            work.add([(job, match(said, job.question.right), said)], (reply.asked or 0) + (reply.written or 0))
    except NoServer as error:
        kept = "The same command goes on from there." if work.rows else ""
        raise NoServer(error.what, python=error.python, shell=f"{error.shell} {kept}".strip()) from error


def _request(prompt: Prompt, asking: Asking) -> Request:
    shared = {"limit": asking.limit, "stop": asking.stops}
    if isinstance(prompt, str):
        return Request(prompt=prompt.rstrip(" "), **shared)  # tokenizers expect a blank at the next word
    return Request(messages=[Message(role, text) for role, text in prompt], **shared)
