"""AOT, DPO, IPO and KTO on SmolLM2-135M-Instruct with LoRA, harmless answers (HH), a subset sized to two cores.

As `training.alignment`, but without a search: one rate and one beta for all.
"""

from __future__ import annotations

import dataclasses

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.training import alignment, pairs
from bench.training.aligning import Ground
from lleval_jax import lm
from lleval_jax.training.low_rank.lora import Lora


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    model: str = setting("smollm2", "what is aligned")
    who: tuple[str, ...] = setting(tuple(alignment.CONTESTANTS), "contestants")
    seeds: tuple[int, ...] = setting((0, 1, 2), "of the order of pairs and of adapters")
    steps: int = setting(6, "of a run")
    answers: int = setting(16, "a step, of both sides")
    rate: float = setting(4e-3, "for all")
    beta: float = setting(0.1, "for all, which is TRL's default for each of them")
    rank: int = setting(8, "of the adapters on queries, keys and values")
    longest: int = setting(64, "tokens of a row, at most")
    held: int = setting(40, "dialogues that are judged on")
    written: int = setting(16, "of these, prompts that a text is written on to estimate the KL divergence")
    limit: int = setting(16, "tokens of such a text, at most")


def study(settings: Settings, record: Record) -> None:
    """All contestants, seed by seed; what is stored already is not run again."""
    model = lm.load(settings.model)
    data = pairs.short(model, pairs.dialogues(), settings.longest)
    held, learned = pairs.parted(data, (settings.held,), 0)
    chosen = {who: {"rate": settings.rate, "beta": settings.beta} for who in settings.who}
    ground = Ground(model, learned, held, settings.longest, Lora(rank=settings.rank), tokens=4096)
    alignment.runs(ground, chosen, settings, record)
