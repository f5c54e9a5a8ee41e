"""AOT, DPO, IPO and KTO on SmolLM2-135M-Instruct with LoRA, harmless answers (HH), a subset sized to two cores.

As `training.alignment`, whose searched betas it takes; one rate for all, as Adam makes the first steps of all alike.
"""

from __future__ import annotations

import dataclasses

from bench.kit.results import Record, read
from bench.kit.settings import setting
from bench.training import alignment, pairs
from bench.training.aligning import Ground
from lleval_jax import lm
from lleval_jax.training.lora import Lora


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    model: str = setting("smollm2", "what is aligned")
    who: tuple[str, ...] = setting(tuple(alignment.CONTESTANTS), "contestants")
    seeds: tuple[int, ...] = setting((0, 1, 2), "of the order of pairs and of adapters")
    steps: int = setting(10, "of a run")
    answers: int = setting(16, "a step, of both sides")
    rate: float = setting(2e-3, "for all")
    rank: int = setting(8, "of the adapters on queries, keys and values")
    longest: int = setting(64, "tokens of a row, at most")
    held: int = setting(48, "dialogues that are judged on")
    limit: int = setting(32, "tokens of a text that is written to estimate the KL divergence")


def study(settings: Settings, record: Record) -> None:
    """All contestants, seed by seed; what is stored already is not run again."""
    model = lm.load(settings.model)
    data = pairs.short(model, pairs.dialogues(), settings.longest)
    held, learned = pairs.parted(data, (settings.held,), 0)
    searched = read("training", "alignment")["search"]["runs"]
    same = alignment.SAME
    chosen = {who: alignment.best(searched, same.get(who, who)) | {"rate": settings.rate} for who in settings.who}
    ground = Ground(model, learned, held, settings.longest, Lora(rank=settings.rank), tokens=4096)
    alignment.runs(ground, chosen, settings, record)
