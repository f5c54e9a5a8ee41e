"""Which half of an adapter learns (Zhu et al. 2024): B alone, A alone, both; and from which start.

Three tasks on real texts with the lower layers of MiniLM, and preferences with tiny-lm by DPO. The rate is the best of
three on one more seed, by what learns: both, B or A. A seed draws the texts that are learned and held out, the head,
the order and A; all arms have the same. Measured are accuracy and loss on held-out texts, and the loss of the last pass
over what was learned.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Callable

import numpy as np
from flax import nnx

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.training import asymmetry_data as data
from lleval_jax import lm
from lleval_jax import training as tr
from lleval_jax.errors import NotConverged
from lleval_jax.lm.encoder import Encoder
from lleval_jax.training.classes import classify, labelled
from lleval_jax.training.losses import DPO, Sides
from lleval_jax.values.preferences import Preferences

DECODER = ("decoder", "start")
TUNING = 100  # a seed that is none of the study's
Run = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    parts: tuple[str, ...] = setting(("origin", "asked", "speaker", "decoder", "start"), "tasks")
    arms: tuple[str, ...] = setting((), "of those of the parts; none for all")
    seeds: int = setting(5, "of splits, heads, orders and draws")
    rank: int = setting(8, "of the adapters; half of the doubled one")
    texts: int = setting(160, "learned, of a task")
    held_out: int = setting(300, "texts, of a task")
    layers: int = setting(3, "of MiniLM's six, the first ones: half the time")
    limit: int = setting(16, "tokens of a text that are read")
    steps: int = setting(40, "of 16 texts")
    rates: tuple[float, ...] = setting((1e-3, 3e-3, 1e-2), "that are tried")
    pairs: int = setting(192, "learned by the decoder")
    held_out_pairs: int = setting(120, "of the decoder")
    decoder_steps: int = setting(24, "of 16 pairs")
    longest: int = setting(64, "tokens of an answer with its prompt")
    preferences: str = setting("turns", "of the decoder: turns or demo")


Arms = dict[str, tuple[tr.Lora, float]]  # adapters, and times the rate of those of their kind


def arms(rank: int) -> Arms:
    """Which half learns."""
    found = {
        "both": tr.Lora(rank),
        "B": tr.Lora(rank, learn="B"),
        "B, twice the rank": tr.Lora(2 * rank, learn="B"),
        "A": tr.Lora(rank, learn="A", zero="A"),
    }
    found |= {f"B, A {draw}": tr.Lora(rank, learn="B", draw=draw) for draw in ("gaussian", "kaiming", "singular")}
    return {name: (lora, 1.0) for name, lora in found.items()}


def starts(rank: int) -> Arms:
    """Both learn: which one is zero at first, and which one is drawn."""
    found = {"B zero": tr.Lora(rank), "A zero": tr.Lora(rank, zero="A")}
    return {f"{name}, rate x {times}": (lora, times) for times in (1, 10) for name, lora in found.items()}


def study(settings: Settings, record: Record) -> None:
    """The four arms of the question first, then other draws of A; seed by seed, each run written when it is done."""
    doing = {part: _runner(part, settings) for part in settings.parts}
    rates = {part: _rates(part, settings, record) for part in doing}
    for is_draw, seed in itertools.product((False, True), range(settings.seeds)):
        for part in doing:
            for name, (lora, times) in (starts if part == "start" else arms)(settings.rank).items():
                found = record.content.get(part, {}).get("runs", {})
                is_asked = not settings.arms or name in settings.arms
                if not is_asked or name.startswith("B, A ") != is_draw or str(seed) in found.get(name, {}):
                    continue
                rate = rates[part][lora.learn] * times
                one = _known(part, name, seed, record) or doing[part](dataclasses.replace(lora, seed=seed), rate, seed)
                runs = found | {name: found.get(name, {}) | {str(seed): one}}
                about = {"settings": dataclasses.asdict(settings), "rates": rates[part]}
                record.part(part, about | {"bounds": bounds(part, settings), "runs": runs})
                print(part, seed, name, json.dumps(one), flush=True)


def _known(part: str, name: str, seed: int, record: Record) -> Run | None:
    """The usual start at the usual rate is the decoder's first arm."""
    is_it = (part, name) == ("start", "B zero, rate x 1")
    return record.content.get("decoder", {}).get("runs", {}).get("both", {}).get(str(seed)) if is_it else None


def bounds(part: str, settings: Settings) -> dict[str, float]:
    """On the gap of each arm, relative to that of both (lemma 4.5)."""
    on_decoder = part in DECODER
    shapes = [(192, 192), (64, 192), (64, 192)] * 5 if on_decoder else [(384, 384)] * 3 * settings.layers
    count = settings.pairs if on_decoder else settings.texts
    found = {
        name: tr.gap_bound(shapes, one.rank, count, learn=one.learn) for name, (one, _) in arms(settings.rank).items()
    }
    return {name: bound / found["both"] for name, bound in found.items()}


def _runner(part: str, settings: Settings) -> Callable[[tr.Lora, float, int], Run]:
    if part in DECODER:
        model, pairs = lm.load("tiny-lm"), data.PREFERENCES[settings.preferences]()
        return lambda lora, rate, seed: decoded(model, pairs, lora, rate, seed, settings)
    encoder = lower(lm.load_encoder("minilm"), settings.layers)
    encoder = dataclasses.replace(encoder, use=encoder.use._replace(limit=settings.limit))
    texts, labels = data.TASKS[part]()
    return lambda lora, rate, seed: classified(encoder, texts, labels, lora, rate, seed, settings)


def lower(model: lm.TextEncoder, layers: int) -> lm.TextEncoder:
    """The encoder's first layers."""
    config = dataclasses.replace(model.config, layers=layers)
    made = nnx.eval_shape(lambda: Encoder(config))
    flat = nnx.to_flat_state(nnx.state(model.encoder))
    kept = [(path, each.replace(each[...][:layers]) if path[0] == "blocks" else each) for path, each in flat]
    nnx.update(made, nnx.from_flat_state(kept))
    return dataclasses.replace(model, encoder=made, config=config)


def _rates(part: str, settings: Settings, record: Record) -> dict[str, float]:
    """By what learns, the rate of the lowest held-out loss on one more seed: of one task for all of a model."""
    if len(settings.rates) == 1:
        return dict.fromkeys(("both", "B", "A"), settings.rates[0])
    model, task = ("decoder", "decoder") if part in DECODER else ("encoder", "asked")
    tried = record.content.get("tuning", {})
    if model not in tried:
        run, found = _runner(task, settings), {}
        for name in ("both", "B", "A"):
            lora, _ = arms(settings.rank)[name]
            found[name] = {str(rate): run(lora, rate, TUNING) for rate in settings.rates}
            print("tuning", model, name, json.dumps(found[name]), flush=True)
        tried = tried | {model: found}
        record.part("tuning", tried)
    return {name: float(min(each, key=lambda rate: each[rate]["loss"])) for name, each in tried[model].items()}


def classified(
    encoder: lm.TextEncoder,
    texts: list[str],
    labels: list[str],
    lora: tr.Lora,
    rate: float,
    seed: int,
    settings: Settings,
) -> Run:
    """One arm on one task."""
    order = np.random.default_rng(seed).permutation(len(texts))
    inside, outside = order[: settings.texts], order[settings.texts :][: settings.held_out]
    learned, apart = (([texts[i] for i in rows], [labels[i] for i in rows]) for rows in (inside, outside))
    schedule = tr.Schedule(steps=settings.steps, batch=16, rate=rate, seed=seed)
    began = time.perf_counter()
    made = classify.fit(encoder, *learned, lora=lora, schedule=schedule)
    seconds = time.perf_counter() - began
    _, truth = labelled.checked(*apart, made.classes, "text")
    probabilities = made.predict(apart[0]).astype(float)
    found: Run = {
        "accuracy": float((probabilities.argmax(1) == truth).mean()),
        "loss": float(-np.log(probabilities[np.arange(len(truth)), truth] + 1e-30).mean()),
        "training_loss": _last_pass([record["loss"] for record in made.history], settings.texts),
    }
    return _rounded(found | {"seconds": seconds})


def decoded(
    model: lm.LanguageModel, pairs: Preferences, lora: tr.Lora, rate: float, seed: int, settings: Settings
) -> Run:
    """One arm on preferences: the share of held-out pairs whose right answer gains more."""
    order = np.random.default_rng(seed).permutation(len(pairs.chosen.answers))
    learned = pairs.take(order[: settings.pairs].tolist())
    apart = pairs.take(order[settings.pairs :][: settings.held_out_pairs].tolist())
    schedule = tr.Schedule(steps=settings.decoder_steps, batch=16, rate=rate, seed=seed, tokens=8192)
    options = {"loss": DPO(), "lora": lora, "schedule": schedule, "longest": settings.longest, "long": "drop"}
    began = time.perf_counter()
    try:
        made = tr.fit(model, learned, held_out=apart, **options)
    except NotConverged:
        return {"diverged": 1.0, "loss": 1e9}
    seconds = time.perf_counter() - began
    last = [record["loss"] for record in made.history]
    assert made.held_out is not None
    found: Run = {"diverged": 0.0, "seconds": seconds, "largest_loss": max(last)}
    found |= _preferred(*made.held_out) | {"training_loss": _last_pass(last, settings.pairs)}
    return _rounded(found)


def _preferred(policy: Sides, reference: Sides) -> Run:
    margin = (policy.chosen - reference.chosen) - (policy.rejected - reference.rejected)
    gap = np.asarray(margin, float)
    return {"accuracy": float((gap > 0).mean()), "loss": float(np.logaddexp(0, -DPO().beta * gap).mean())}


def _last_pass(losses: list[float], rows: int) -> float:
    """Mean loss of the steps of the last pass over all rows: each measured before its step."""
    return float(np.mean(losses[-max(1, rows // 16) :]))


def _rounded(found: Run) -> Run:
    return {name: round(value, 5) for name, value in found.items()}
