"""An aligner that learns: a language model that is shown a question and an answer, and writes a better answer.

    found = fit_aligner(lm.load("smollm2"), corrections, schedule=Schedule(steps=200, batch=8))
    found.aligner.align(["Why is the sky blue?"], ["Are you stupid? Blue light is scattered most."])

Only the correction and its end are learned. A correction that equals its answer teaches to leave a good one alone.
"""

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from lleval_jax.errors import require
from lleval_jax.lm.local import LocalClient
from lleval_jax.training.aligners.aligner import Taught
from lleval_jax.training.aligners.fitting import LEAST, fitted, room_of
from lleval_jax.training.aligners.marks import Marks, flat, marked
from lleval_jax.training.losses import SFT
from lleval_jax.training.low_rank import lora as low_rank
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import loop
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.training.run.trained import Trained
from lleval_jax.values.corrections import Corrections
from lleval_jax.values.pool import Dropped
from lleval_jax.values.preferences import NOTHING, Preferences, Side
from lleval_jax.values.progress import Tell, silent

if TYPE_CHECKING:
    import os

    from lleval_jax.lm.load import LanguageModel

ADAPTERS = Lora(rank=8, targets=("query", "value", "attention.output", "mlp.down"))


class Learned(NamedTuple):
    """What training gave.

    aligner  ready to correct
    trained  the run: history, model with adapters attached
    marks    how parts are separated
    dropped  examples whose correction did not fit
    cut      examples whose question or answer was cut in its middle
    """

    aligner: Taught
    trained: Trained
    marks: Marks
    dropped: tuple[Dropped, ...]
    cut: int


def fit_aligner(
    model: "LanguageModel",
    examples: Corrections,
    *,
    marks: Marks | None = None,
    lora: Lora | None = ADAPTERS,
    schedule: Schedule = Schedule(),  # noqa: B008  frozen
    held_out: Corrections | None = None,
    longest: int | None = None,
    limit: int = 256,
    out: "str | os.PathLike[str] | None" = None,
    tell: Tell = silent,
) -> Learned:
    """Teach a model to correct answers.

    Args:
        model: what `lm.load` gives; it stays as it is.
        examples: what is learned.
        marks: how question, answer and correction are separated: `marks.marked`.
        lora: adapters to learn, and the rows of added marks with them; None: all weights learn.
        schedule: steps, batch, rate.
        held_out: examples that are not learned, for evaluation; of other questions (`split.by_question`).
        longest: tokens of a row, at most; None: the model's context. Of a longer one the middle of the answer is left
            out, then that of the question; one whose correction does not fit is dropped and counted.
        limit: tokens of a correction that the aligner will write, at most.
        out: folder for checkpoints; a run that was stopped goes on from there.
        tell: called with the steps done.

    Raises:
        BadInput: there are no examples, none fits, a question is in both parts, or as `training.fit`.
        NotConverged, RunFailed: as `training.fit`.
    """
    require(len(examples.rows) > 0, "there are no corrections to learn from")
    ready, kind = marked(model, marks)
    ready = flat(ready) if lora is None else ready
    longest = model.config.context if longest is None else longest
    learned, dropped, cut = preferences(ready, examples, longest)
    apart = None if held_out is None else preferences(ready, held_out, longest)[0]
    both = set(learned.chosen.prompts) & set(apart.chosen.prompts if apart else ())
    require(not both, "a question with its answer is among those that are learned and those that are held out")
    trained = loop.fit(
        ready, learned, loss=SFT(), lora=lora, schedule=schedule, held_out=apart, longest=longest, out=out, tell=tell
    )
    return Learned(taught(trained, examples.criterion, limit), trained, kind, dropped, cut)


def taught(trained: Trained, criterion: str, limit: int) -> Taught:
    """The aligner of a run: adapters and marks inside its weights."""
    model = trained.model
    if trained.lora is not None:
        model = dataclasses.replace(model, decoder=low_rank.merge(model.decoder))
    return Taught(LocalClient(flat(model)), criterion, limit=limit)


def preferences(
    model: "LanguageModel", examples: Corrections, longest: int
) -> tuple[Preferences, tuple[Dropped, ...], int]:
    """Examples as the loop learns them, those that do not fit, and how many were cut."""
    sizes = [len(ids) + 1 for ids in model.tokens.encode_all([row.correction for row in examples.rows])]
    prompts, answers, ids, dropped, cut = [], [], [], [], 0
    for row, size in zip(examples.rows, sizes, strict=True):
        room = room_of(model, size, longest)
        if room < LEAST:
            dropped.append(Dropped(row.id, "the correction is too long", f"{size:,} tokens"))
            continue
        found = fitted(model.tokens, row.question, row.answer, room)
        prompts.append(found.turns)
        answers.append(row.correction)
        ids.append(row.id)
        cut += found.cut
    require(bool(ids), f"no correction fits into rows of {longest:,} tokens; nothing is left to learn")
    made = Preferences(Side(tuple(prompts), tuple(answers), tuple(ids)), NOTHING, False, examples.source)
    return made, tuple(dropped), cut
