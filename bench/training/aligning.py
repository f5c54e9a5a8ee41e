"""One model aligned in many ways on the same pairs: the reference scores each answer once, for all of them."""

from __future__ import annotations

import copy
import dataclasses
import time
from typing import Any

import jax
import numpy as np

from bench.training import kl, pairs
from lleval_jax.lm.load import LanguageModel
from lleval_jax.training import losses
from lleval_jax.training.losses import Loss, Sides
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import batches, step
from lleval_jax.training.run.batches import Rows
from lleval_jax.training.run.checkpoints import Kept, Run
from lleval_jax.training.run.loop import Course
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.training.run.step import Parts
from lleval_jax.values.preferences import Preferences

KEPT = 0.6  # of the rejected answers, where samples are of unequal sizes


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A way to align.

    loss    what is minimised
    kept    share of the rejected answers that it is given; 1 for all
    paired  whether it is given pairs
    """

    loss: Loss
    kept: float = 1.0
    paired: bool = True

    def batch(self, answers: int) -> int:
        """Chosen answers a step, so that all contestants see as many answers."""
        return round(answers / (1 + self.kept))


class Ground:
    """A model, what it learns from, and what it is judged on.

    Args:
        model: the reference.
        learned: pairs.
        held: pairs to judge on, one a prompt.
        longest: tokens of a row, at most.
        adapters: what learns; None for all weights.
        tokens: of a micro-batch.
        room: tokens of a packed row; 0 for the longest row's.
    """

    def __init__(
        self,
        model: LanguageModel,
        learned: Preferences,
        held: Preferences,
        longest: int,
        adapters: Lora | None = None,
        tokens: int = 8192,
        room: int = 0,
    ) -> None:
        self.model, self.adapters, self.tokens, self.room = model, adapters, tokens, room or longest
        self.longest, self.rows = longest, batches.rows_of(model, learned, longest=longest)
        self.known = self.sums(model, self.rows)
        self._judge_on(held)

    def on(self, held: Preferences) -> Ground:
        """The same, judged on other pairs."""
        other = copy.copy(self)
        other._judge_on(held)
        return other

    def _judge_on(self, held: Preferences) -> None:
        self.held, self.judged = held, batches.rows_of(self.model, held, longest=self.longest)
        self.reference = self.sums(self.model, self.judged)

    def sums(self, model: LanguageModel, rows: Rows) -> Sides:
        """Log-probabilities of all answers, in nats."""
        parts = Parts.of(model.decoder, lora.learned("both"))
        every = (*rows.chosen, *rows.rejected)
        packed = batches.packed(every, batch=self.tokens, length=self.room)
        found = sum(np.asarray(step.answers(parts, each, len(every))) for each in packed)
        return _sides(np.split(found, [len(rows.chosen)]))

    def given(self, who: Contestant) -> tuple[Rows, Any]:
        """What a contestant learns from, with the reference's log-probabilities."""
        if who.kept == 1:
            return dataclasses.replace(self.rows, paired=who.paired), self.known
        kept = pairs.kept_of(len(self.rows.rejected), who.kept)
        rejected = tuple(self.rows.rejected[i] for i in kept)
        rows = dataclasses.replace(self.rows, rejected=rejected, paired=False)
        return rows, self.known._replace(rejected=self.known.rejected[kept])

    def aligned(self, who: Contestant, schedule: Schedule) -> tuple[LanguageModel, dict]:
        """The model after all steps, adapters added to its weights; and what that took."""
        rows, known = self.given(who)
        adapters = self.adapters and dataclasses.replace(self.adapters, seed=schedule.seed)
        course = Course(self.model, rows, None, who.loss, adapters, schedule)
        now, history, began = Kept.first(course.start.learned, course.optimizer), [], time.perf_counter()
        with Run(None, {}) as run:
            for number in range(schedule.steps):
                now, record = course.step(now, number, known, run)
                history.append(record)
        decoder = course.start._replace(learned=now.learned).model()
        decoder = decoder if adapters is None else lora.merge(decoder)
        took = {"seconds": round(time.perf_counter() - began, 1), "tokens": int(sum(r["tokens"] for r in history))}
        return dataclasses.replace(self.model, decoder=decoder), took | {"losses": [_short(r["loss"]) for r in history]}

    def judge(self, model: LanguageModel) -> Sides:
        """Log-probabilities of the answers that are judged on."""
        return self.sums(model, self.judged)

    def divergence(self, model: LanguageModel, count: int, limit: int, seed: int) -> np.ndarray:
        """log pi - log pi_ref of what the model itself writes after the first prompts, in nats."""
        return kl.log_ratios(model, self.model, self.held.chosen.prompts[:count], limit=limit, seed=seed)


def rewards(policy: Sides, reference: Sides) -> Sides:
    """Log-ratios, in nats."""
    return _sides([np.asarray(p) - np.asarray(r) for p, r in zip(policy, reference, strict=True)])


def measures(reward: Sides) -> dict[str, float]:
    """Of held-out rewards: pairs won, share and area of violated dominance, margin, W1 distance."""
    found = losses.dominance(*map(jax.numpy.asarray, reward))
    gap = np.asarray(reward.chosen) - np.asarray(reward.rejected)
    won = float(np.where(gap == 0, 0.5, gap > 0).mean())
    return {"won": won} | {name: float(value) for name, value in found._asdict().items()}


def _sides(both: Any) -> Sides:
    return Sides(*both)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
