"""Answers until the order of a leaderboard is clear.

Twenty left-out models of open_llm_irt, drawn `draws` times. All pairs whose full scores lie at least so many points
apart are to be certain, by intervals that hold at every look at once; the order is looked at after 50 answers a model
as well. `ranking.choose`, its tolerance as many points, asks `size` items at a time, either all models whose place
is open or the five that matter most. Beside it all models are asked equally many items: each its own by the score rule
(its error taken as independent of the others'), or all the same, chosen for all or at random. Says how many answers
that took in all, in how many draws it was reached, and how many of the pairs decided by then are in the wrong order.
"""

from __future__ import annotations

import dataclasses
import itertools
import time

import numpy as np

import lleval_jax as ll
from bench.adaptive.items import folds
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.adaptive import ranking, replay

SETS = ("gsm8k_A",)
MODELS, APART, FEW = 20, (0.02, 0.05), 5
EARLY = 50  # answers a model in the mean at which the order is looked at as well


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(SETS, "forms of open_llm_irt")
    models: int = setting(MODELS, "that are ranked")
    draws: int = setting(10, "of models")
    size: int = setting(5, "items asked at a time")


@dataclasses.dataclass
class Watch:
    """One way in one draw: answers in all when all pairs `apart` first are certain, and what was wrong then."""

    truth: np.ndarray
    apart: float
    reached: int | None = None
    wrong: float = 0.0
    early: tuple[float, float] | None = None

    def look(self, answers: int, clear: np.ndarray, gap: np.ndarray) -> bool:
        """Whether it is reached; clear and gap (rows, rows)."""
        true = self.truth[:, None] - self.truth[None, :]
        false, pairs = (gap * true < 0), len(true) * (len(true) - 1)
        if self.early is None and answers >= EARLY * len(true):
            self.early = float(clear.sum() / pairs), float(false.sum() / pairs)
        if clear[np.abs(true) >= self.apart].all():
            self.reached, self.wrong = answers, float((clear & false).sum() / clear.sum())
        return self.reached is not None


def by_ranking(new: ll.Responses, bank: ll.ItemBank, watch: Watch, size: int, models: int | None) -> None:
    """Ask by `ranking.choose` until all pairs are clear or all items asked."""
    place = {item: i for i, item in enumerate(bank.items)}
    seen = np.zeros(new.scores.shape, bool)
    seen[:, [place[item] for item in adaptive.choose(None, bank=bank, k=size).items[0]]] = True
    while True:
        so_far = dataclasses.replace(new, seen=seen.copy(), scores=np.where(seen, new.scores, 0))
        found = ranking.estimate(so_far, bank=bank)
        value = found.scores.value
        if watch.look(int(seen.sum()), found.above | found.above.T, value[:, None] - value[None, :]):
            return
        chosen = ranking.choose(so_far, bank=bank, k=size, models=models, tolerance=watch.apart)
        if chosen.enough:
            return
        for row, items in enumerate(chosen.items):
            seen[row, [place[item] for item in items]] = True


def equally(new: ll.Responses, bank: ll.ItemBank, watch: Watch, rule: adaptive.Rule, same: bool, size: int) -> None:
    """Ask all models equally many items."""
    together = len(new.rows) if same else 1
    ran = replay.replay(new, bank=bank, budget=len(bank.items) - 1, by=rule, together=together)
    what, always = ("pair", "always_pair") if same else ("widen", "always")
    reach, widen = adaptive.always_reach(bank, 0.95, always), adaptive.widen_of(bank, ran.length, what)
    for at in range(size, len(ran.length), size):
        variance = np.maximum(ran.variance[:, at], 0) * widen[at] ** 2
        error, gap = np.sqrt(variance[:, None] + variance), ran.value[:, at][:, None] - ran.value[:, at]
        if watch.look(int(ran.length[at]) * len(new.rows), np.abs(gap) > reach * error, gap):
            return


def ready(name: str) -> tuple[ll.ItemBank, ll.Responses]:
    """A bank with replayed sessions, and the left-out models."""
    ((known, new),) = folds(name)
    fit = ll.irt.fit(known, dims="auto")
    bank = ll.anchors.choose(fit, responses=None, k=None)
    return replay.prepare(bank, fit=fit, responses=known, budget=len(bank.items) - 1), new


def run(bank: ll.ItemBank, new: ll.Responses, settings: Settings) -> dict:
    """All ways on one set."""
    models, draws, size = settings.models, settings.draws, settings.size
    ways = {
        "ranking: all that are open": lambda some, watch: by_ranking(some, bank, watch, size, None),
        f"ranking: the {FEW} that matter most": lambda some, watch: by_ranking(some, bank, watch, size, FEW),
        "equally: own items, score rule": lambda some, watch: equally(some, bank, watch, "score", False, size),
        "equally: same items, score rule": lambda some, watch: equally(some, bank, watch, "score", True, size),
        "equally: same items, random": lambda some, watch: equally(some, bank, watch, "random", True, size),
    }
    found: dict[str, dict] = {word: {} for word in ways}
    for word, apart in itertools.product(ways, APART):
        begun, watches = time.perf_counter(), []
        for draw in range(draws):
            some = new.take(np.sort(np.random.default_rng(draw).permutation(len(new.rows))[:models]))
            watches.append(Watch(some.scores.astype(float) @ bank.target_weight[0], apart))
            ways[word](some, watches[-1])
        clear, wrong = np.mean([watch.early or (1.0, 0.0) for watch in watches], axis=0)
        answers = [models * len(bank.items) if watch.reached is None else watch.reached for watch in watches]
        found[word][str(apart)] = {
            "answers": float(np.mean(answers)),
            "reached": float(np.mean([watch.reached is not None for watch in watches])),
            "wrong": float(np.mean([watch.wrong for watch in watches])),
            "early": {"answers": EARLY * models, "clear": float(clear), "wrong_order": float(wrong)},
            "seconds": time.perf_counter() - begun,
        }
        print(f"{word:<36} {apart} {found[word][str(apart)]}", flush=True)
    return {"models": models, "items": len(bank.items), "draws": draws, "size": size, "ways": found}


def study(settings: Settings, record: Record) -> None:
    """All sets, one after the other; others stay as stored."""
    for name in settings.sets:
        record.keep({"sets": record.content.get("sets", {}) | {name: run(*ready(name), settings)}})
