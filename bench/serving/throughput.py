"""`lleval serve-bench` at sizes where the base model does not hide what adapters cost.

Two models: tiny-lm (2 million parameters), and random weights of width 512 with six layers (20 million); what
is timed does not depend on values. Adapters of rank 16 on queries, keys and values, one basis a module.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import nnx

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import lm
from lleval_jax.cli.serve_bench import point
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.load import LanguageModel
from lleval_jax.report import serving
from lleval_jax.training.serve.drawn import drawn
from lleval_jax.training.serve.load import Load, measure

WIDE = {"layers": 6, "width": 512, "heads": 8, "kv_heads": 8, "head_dim": 64, "hidden": 1344}
MODELS = ("tiny-lm", "width 512")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is served, and to whom."""

    models: tuple[str, ...] = setting(MODELS, "that are served")
    adapters: tuple[int, ...] = setting((1, 16, 64, 256, 1024, 4096), "numbers of adapters")
    rank: int = setting(16, "of bases and adapters")
    clusters: int = setting(1, "bases a module")
    requests: int = setting(256, "in a round")
    clients: int = setting(64, "requests that wait or are written")
    prompt: int = setting(16, "tokens of a prompt")
    new: int = setting(10, "tokens to write")
    rounds: int = setting(3, "of all servers by turns")
    rows: int = setting(32, "texts that are written at once")
    plot: str = setting("", "where to draw the curves; {} becomes the model")


def study(settings: Settings, record: Record) -> None:
    """Each number of adapters is kept when it is measured."""
    load = Load(settings.requests, settings.clients, settings.prompt, settings.new, settings.rounds, settings.rows)
    for name in settings.models:
        base, rows = model(name), dict(record.content.get(name, {}).get("rows", {}))
        everything = drawn(base.decoder, max(settings.adapters), rank=settings.rank, clusters=settings.clusters)
        for count in settings.adapters:
            shared = everything.first(count)
            found = measure(base, shared, load)
            rows[str(count)] = [point(each)._asdict() | {"rounds": each.speeds} for each in found]
            record.part(name, {"load": dataclasses.asdict(load), "rank": settings.rank, "rows": rows})
            print(name, count, [round(each.speed) for each in found], flush=True)
        if settings.plot:
            serving.curves(points(rows), settings.plot.format(name.replace(" ", "-")))


def model(name: str) -> LanguageModel:
    """A model by name; "width 512" has random weights, and tiny-lm's tokens."""
    base = lm.load("tiny-lm")
    if name == "tiny-lm":
        return base
    config = dataclasses.replace(base.config, **WIDE)
    return dataclasses.replace(base, name=name, decoder=Decoder(config, rngs=nnx.Rngs(0)), config=config)


def points(rows: dict[str, list[dict[str, Any]]]) -> list[serving.Point]:
    """As the report takes them."""
    return [
        serving.Point(**{name: each[name] for name in serving.Point._fields})
        for count in sorted(rows, key=int)
        for each in rows[count]
    ]
