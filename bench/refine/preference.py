"""Weak labels of which of two answers is better, learned by a stronger model: each loss, and refinement; real labels.

Pairs of hh-rlhf's harmless test. The weak teacher is a logistic regression on twenty words, from three hundred pairs
that no student learns; the strong model a linear head on MiniLM's vectors of an answer, their product with the
question's, and the answer's length. Refinement is self-labelling: a pair's label is the mean weak label of the pairs
nearest to it, without its own. Accuracy is the share of held-out pairs in which the better answer is preferred.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lleval_jax as ll
from bench.kit.problems import SHARED
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import lm
from lleval_jax.data.preferences import read_preferences
from lleval_jax.training.classes.targets import Confidence, CrossEntropy, Product, Smoothing, Targets
from lleval_jax.values.preferences import Prompt

LOSSES: dict[str, Targets] = {
    "weak labels": CrossEntropy(),
    "smoothing": Smoothing(),
    "confidence": Confidence(),
    "confidence, jump": Confidence(jump=True),
    "product": Product(),
}
TRUE, REFINED, TEACHER = "true labels", "refined", "weak teacher"
WORDS, TAUGHT = 20, 300


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    encoder: str = setting("minilm", "whose vectors the strong model reads; empty: random ones")
    pairs: int = setting(1400, "that are learned and judged on, in folds")
    folds: int = setting(5, "of them")
    seeds: int = setting(3, "each with other pairs for the teacher, and other folds")
    near: int = setting(16, "pairs whose weak labels refine one")
    steps: int = setting(200, "of learning, on all pairs at once")
    penalty: float = setting(
        1.0, "on the square of the weights; of 0.01 to 1,000 the best for true labels, by other folds"
    )
    limit: int = setting(128, "tokens of a text")
    draws: int = setting(2000, "bootstraps over pairs")


def study(settings: Settings, record: Record) -> None:
    """All seeds, folds and arms."""
    texts = pairs(settings.pairs + TAUGHT)
    vectors = features(texts, settings)
    right: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    for seed in range(settings.seeds):
        order = np.random.default_rng(seed).permutation(len(texts))
        taught, rest = order[:TAUGHT], np.sort(order[TAUGHT:])
        teacher = weak_teacher([texts[i] for i in taught], settings)
        won = {name: np.full(len(texts), np.nan) for name in (TEACHER, TRUE, REFINED, *LOSSES)}
        fold = np.random.default_rng((seed, 1)).permutation(len(rest)) % settings.folds
        for out in range(settings.folds):
            learn, judge = rest[fold != out], rest[fold == out]
            weak = teacher([texts[i] for i in learn])
            won[TEACHER][judge] = teacher([texts[i] for i in judge]) > 0.5
            arms = {
                TRUE: (np.ones(len(learn)), CrossEntropy()),
                REFINED: (refined(vectors[learn], weak, settings.near), CrossEntropy()),
            }
            arms |= {name: (weak, loss) for name, loss in LOSSES.items()}
            for name, (label, loss) in arms.items():
                won[name][judge] = vectors[judge] @ head(vectors[learn], label, loss, settings) > 0
        for name, each in won.items():
            right[name].append(each)
        record.keep({"pairs": settings.pairs, "seeds": seed + 1} | compared(right, settings.draws))
        print(seed, {name: round(row["value"], 3) for name, row in record.content["accuracy"].items()}, flush=True)


def pairs(count: int) -> list[tuple[str, str, str]]:
    """(what was last asked, chosen, rejected), whose answers are not empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ll.DataWarning)
        found = read_preferences(SHARED / "data" / "preference" / "hh_harmless_base_test.jsonl.gz", unfit="drop")
    every = zip(found.chosen.prompts, found.chosen.answers, found.rejected.answers, strict=True)
    return [(last(asked), chosen, rejected) for asked, chosen, rejected in every][:count]


def last(asked: Prompt) -> str:
    """What the last turn of a chat says."""
    return asked if isinstance(asked, str) else asked[-1][1]


def features(texts: list[tuple[str, str, str]], settings: Settings) -> np.ndarray:
    """(pairs, features) of the chosen less those of the rejected; each feature of mean square one."""
    sides = [[each[side] for each in texts] for side in range(3)]
    if settings.encoder:
        encoder = lm.load_encoder(settings.encoder)
        encoder = dataclasses.replace(encoder, use=encoder.use._replace(limit=settings.limit))
        ask, chosen, rejected = (lm.embed(encoder, side) for side in sides)
    else:
        ask, chosen, rejected = np.random.default_rng(0).standard_normal((3, len(texts), 8))
    size = np.log1p([[len(each[1]), len(each[2])] for each in texts])
    each = [np.concatenate([answer, ask * answer, size[:, [k]]], 1) for k, answer in enumerate((chosen, rejected))]
    gap = each[0] - each[1]
    return gap / np.sqrt((gap**2).mean(0) + 1e-12) / np.sqrt(gap.shape[1])


def weak_teacher(
    texts: list[tuple[str, str, str]], settings: Settings
) -> Callable[[list[tuple[str, str, str]]], np.ndarray]:
    """What gives the probability that the first answer is the better: by the words that differ most in these pairs."""
    counts: collections.Counter[str] = collections.Counter()
    for _, chosen, rejected in texts:
        counts.update(words(chosen))
        counts.subtract(words(rejected))
    known = [word for word, _ in sorted(counts.items(), key=lambda each: (-abs(each[1]), each[0]))[:WORDS]]

    def gap(some: list[tuple[str, str, str]]) -> np.ndarray:
        return np.array([[(w in words(a)) - (w in words(b)) for w in known] for _, a, b in some], float)

    weight = head(gap(texts), np.ones(len(texts)), CrossEntropy(), settings)
    return lambda some: 1 / (1 + np.exp(-gap(some) @ weight))


def words(text: str) -> set[str]:
    """Of a text, in lower case."""
    return set(re.findall(r"[a-z']+", text.lower()))


def refined(vectors: np.ndarray, weak: np.ndarray, near: int) -> np.ndarray:
    """Mean weak label of the pairs that point the same way; one that points the other way counts as its mirror."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = unit @ unit.T
    np.fill_diagonal(alike, 0)
    nearest = np.argsort(-np.abs(alike), axis=1, kind="stable")[:, :near]
    mirrored = np.take_along_axis(alike, nearest, 1) < 0
    return np.where(mirrored, 1 - weak[nearest], weak[nearest]).mean(1)


def head(gap: np.ndarray, label: np.ndarray, loss: Targets, settings: Settings) -> np.ndarray:
    """Weights of a linear head: the probability that the first is better is the sigmoid of their product with `gap`.

    A pair and its mirror are both learned, so the classes are balanced and there is no intercept.
    """
    both = np.concatenate([gap, -gap]).astype(np.float32)
    soft = np.concatenate([label, 1 - label])
    soft = np.stack([soft, 1 - soft], 1).astype(np.float32)
    return np.asarray(_learned(jnp.asarray(both), jnp.asarray(soft), loss, settings.steps, settings.penalty))


@functools.partial(jax.jit, static_argnames=("loss", "steps", "penalty"))
def _learned(gap: jax.Array, soft: jax.Array, loss: Targets, steps: int, penalty: float) -> jax.Array:
    optimizer = optax.adam(optax.cosine_decay_schedule(0.3, steps))

    def logits(weight: jax.Array) -> jax.Array:
        value = gap @ weight
        return jnp.stack([value, jnp.zeros_like(value)], 1)

    def step(k: int, state: tuple) -> tuple:
        weight, moments = state
        target = jax.lax.stop_gradient(loss.targets(logits(weight), soft, k / steps))

        def value(w: jax.Array) -> jax.Array:
            cross = -(target * jax.nn.log_softmax(logits(w))).sum(1).mean()
            return cross + 0.5 * penalty * jnp.vdot(w, w) / gap.shape[1]

        change, moments = optimizer.update(jax.grad(value)(weight), moments, weight)
        return optax.apply_updates(weight, change), moments

    start = jnp.zeros(gap.shape[1], gap.dtype)
    return jax.lax.fori_loop(0, steps, step, (start, optimizer.init(start)))[0]


def compared(right: dict[str, list[np.ndarray]], draws: int) -> dict[str, dict]:
    """Accuracy of each arm, and less that of weak labels: 95% intervals by a bootstrap over pairs, seeds averaged."""
    judged = ~np.isnan(right["weak labels"]).all(0)
    each = {name: np.nanmean(np.array(found)[:, judged], axis=0) for name, found in right.items()}
    base = each["weak labels"]
    drawn = np.random.default_rng(0).integers(len(base), size=(draws, len(base)))

    def row(values: np.ndarray) -> dict[str, float]:
        low, high = np.quantile(values[drawn].mean(1), (0.025, 0.975))
        return {"value": float(values.mean()), "low": float(low), "high": float(high)}

    return {
        "accuracy": {name: row(values) for name, values in each.items()},
        "less weak labels": {name: row(values - base) for name, values in each.items() if name != "weak labels"},
    }
