"""Sixty-four adapters of a small pretrained model on sixty-four small tasks, made again from seeds.

    LLEVAL_ADAPTERS=adapters python -m bench.compress.train_adapters

Each is LoRA of rank 16 on query, key and value, learned as supervised text by steps of one shape, so that all tasks
share one program. An adapter is written as a PEFT folder when it is done, with its scores in `task.json`; those that
are there are left as they are. A is drawn from the task's own seed: adapters that share their first A would lie closer
together than those of strangers do.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import time
from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np
import optax

from bench.compress import tasks
from bench.compress.answers import Answers, scored
from lleval_jax import lm
from lleval_jax.lm.packing import Row, pack
from lleval_jax.training import losses
from lleval_jax.training.losses import SFT, Sides
from lleval_jax.training.low_rank import adapter_files, lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import batches, step
from lleval_jax.training.run.batches import Packed
from lleval_jax.training.run.plan import Plan
from lleval_jax.training.run.schedule import Schedule

MODEL, RANK = "smollm2", 16
SHAPE = Plan(length=64, wide=1, room=40)  # of a step's tokens; lengths are on the ladder of `lm.packing`
ASKED = Plan(length=96, wide=1, room=56)  # of the tokens that are held out
MOST = 10  # answers of a step
LEARNED, HELD_OUT = 400, 40
SCHEDULE = Schedule(steps=20, rate=2.5e-3, warmup=0.1)


def folder() -> pathlib.Path:
    """Where the adapters are, or shall be."""
    return pathlib.Path(os.environ.get("LLEVAL_ADAPTERS", "adapters"))


def rows_of(model: lm.LanguageModel, pairs: tasks.Pairs) -> list[Row]:
    """Tokens of questions and answers, each with the token that ends it; those that no batch holds are left out."""
    end = list(model.tokens.eos[:1])
    answers = model.tokens.encode_all([f" {answer}" for _, answer in pairs])
    found = []
    for (question, _), answer in zip(pairs, answers, strict=True):
        start = model.tokens.prompt(tasks.prompt(question))
        found.append(Row(np.array([*start, *answer, *end], np.int32), len(start)))
    return [row for row in found if len(row.tokens) <= SHAPE.length]


def fitting(rows: Iterator[Row], shape: Plan = SHAPE, most: int = MOST) -> list[Row]:
    """As many rows as one batch holds."""
    found: list[Row] = []
    for row in rows:
        more = [*found, row]
        scored = sum(len(each.tokens) - each.start for each in more)
        wide = len(pack([len(each.tokens) for each in more], shape.length))
        if len(more) > most or scored > shape.room or wide > shape.wide:
            return found
        found.append(row)
    return found


def packed(rows: Sequence[Row], shape: Plan = SHAPE) -> Packed:
    """One batch, of the one shape."""
    (only,) = batches.packed(rows, batch=shape.length * shape.wide, planned=shape)
    return only


def learned_batches(rows: Sequence[Row], seed: int, steps: int) -> Iterator[tuple[Packed, Sides]]:
    """Batches in a shuffled order, and the lengths of their answers; those that are missing have none."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        some = fitting(rows[i] for i in rng.permutation(len(rows)))
        lengths = np.zeros(MOST, np.float32)
        lengths[: len(some)] = [len(row.tokens) - row.start for row in some]
        yield packed(some), Sides(jnp.asarray(lengths), jnp.zeros(0))


def held_out(model: lm.LanguageModel, name: str) -> Packed:
    """Questions of a task that are not learned: as many as one batch holds."""
    _, apart = tasks.learned_and_held_out(name, LEARNED, HELD_OUT)
    return packed(fitting(iter(rows_of(model, apart)), ASKED, HELD_OUT), ASKED)


def learn(model: lm.LanguageModel, name: str, schedule: Schedule, shape: Lora) -> tuple[step.Parts, list[float]]:
    """The model with an adapter that has learned a task, and the losses of the steps."""
    parts = step.Parts.of(lora.attach(model.decoder, shape), lora.learned("both"))
    optimizer = _optimizer(schedule)
    state, found = optimizer.init(parts.learned), []
    rows = rows_of(model, tasks.learned_and_held_out(name, LEARNED, HELD_OUT)[0])
    loss: losses.Loss = SFT()
    for batch, lengths in learned_batches(rows, shape.seed, schedule.steps):
        value, slope = step.whole(loss, parts, batch, lengths)
        learned, state, _ = step.update(optimizer, parts.learned, state, slope)
        parts = parts._replace(learned=learned)
        found.append(float(value))
    return parts, found


@functools.cache
def _optimizer(schedule: Schedule) -> optax.GradientTransformation:
    """One for all tasks: another would be another program."""
    return schedule.optimizer()


def told(name: str, base: Answers, now: Answers, found: list[float], seconds: float) -> dict[str, object]:
    """What is written of an adapter."""
    before, after = base.summary(), now.summary()
    return {
        "task": name,
        "schedule": dataclasses.asdict(SCHEDULE),
        "base": before,
        "adapter": after,
        "losses": [round(each, 4) for each in found],
        "seconds": round(seconds, 2),
    }


def train(model: lm.LanguageModel, number: int, place: pathlib.Path, schedule: Schedule = SCHEDULE) -> None:
    """Learn one task and write its adapter."""
    name, began = tasks.NAMES[number], time.perf_counter()
    shape = Lora(rank=RANK, seed=number)
    parts, found = learn(model, name, schedule, shape)
    batch = held_out(model, name)
    seconds = time.perf_counter() - began
    adapted = parts.model()
    written = told(name, scored(model.decoder, batch), scored(adapted, batch), found, seconds)
    adapter_files.save_peft(adapted, shape, place, base="SmolLM2-135M-Instruct")  # pyright: ignore[reportArgumentType]
    (place / "task.json").write_text(json.dumps(written, indent=1))
    print(f"{name:18s}", json.dumps({key: written[key] for key in ("base", "adapter", "seconds")}), flush=True)


def main() -> None:
    """Train those that are missing, or some of them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--most", type=int, default=len(tasks.NAMES), help="adapters of this call")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    place = folder()
    missing = [k for k, name in enumerate(tasks.NAMES) if not (place / tasks.folder_of(name) / "task.json").is_file()]
    model = lm.load(given.model, dtype=given.dtype) if missing else None
    for number in missing[: given.most]:
        assert model is not None
        train(model, number, place / tasks.folder_of(tasks.NAMES[number]))


if __name__ == "__main__":
    main()
