"""Grids of prompts by examples whose answers are all known: simulated, or with accuracies that were published."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from scipy.special import expit

from bench.kit.problems import shared
from bench.prompts import published as rivals
from bench.prompts.published import BUDGETS
from lleval_jax.estimators import prompts
from lleval_jax.estimators.prompts import balanced

TEMPLATES, COMPONENTS = 100, 8  # of a task, and of the features of their texts


def example_driven(k: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """Set k of a world where examples matter: answers (100, 1000) and covariates (100, 10), of size `effect` each."""
    random = np.random.default_rng([77, k])
    x, coefficients = random.normal(size=(100, 10)), effect * random.normal(size=10)
    prompt, example = 0.1 * random.normal(size=100), 2.5 * random.normal(size=1000)
    logit = 0.7 * random.normal() + (x @ coefficients + prompt)[:, None] + example[None, :]
    return (random.random(logit.shape) < expit(logit)).astype(float), x


@functools.cache
def nested(seed: int) -> list[np.ndarray]:
    """The published code's cells at each budget."""
    seen, plans = np.zeros((100, 1000), bool), []
    for budget in BUDGETS:
        plans.append(seen := rivals.published_plan(seen, budget, seed))
    return plans


def world(random: np.random.Generator, prompt: float | None, shape: tuple[int, int]) -> np.ndarray:
    """Answers (prompts, examples); sizes of effects log-normal, or prompts of a given size."""
    sizes = (0.6 * np.exp(0.6 * random.normal()), 1.5 * np.exp(0.5 * random.normal()))
    sizes = sizes if prompt is None else (prompt, 1.5)
    effects = [size * random.normal(size=n) for size, n in zip(sizes, shape, strict=True)]
    logit = random.normal() + effects[0][:, None] + effects[1][None, :]
    return (random.random(shape) < expit(logit)).astype(np.float32)


def templates() -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each task its grids (models, templates, examples) and the features of its templates."""
    table = pd.read_parquet(shared("data", "multi_prompt", "template_accuracy.parquet"))
    texts = pd.read_parquet(shared("data", "multi_prompt", "templates.parquet"))
    texts = texts.set_index(["task", "template_id"])["template"]
    tasks = []
    for k, (task, of_task) in enumerate(table.groupby("task")):
        random = np.random.default_rng([8, k])
        accuracy = of_task.pivot(index="template_id", columns="model", values="accuracy")
        accuracy = accuracy.iloc[random.choice(len(accuracy), TEMPLATES, replace=False)]
        grids = np.stack([with_accuracies(random, accuracy[model].to_numpy()) for model in accuracy])
        features, _ = prompts.features([texts[task, template] for template in accuracy.index])
        tasks.append((grids, prompts.pca(features / np.maximum(features.std(0), 1e-9), dims=COMPONENTS)))
    return tasks


def with_accuracies(random: np.random.Generator, accuracy: np.ndarray) -> np.ndarray:
    """Answers (prompts, 100) of which each prompt has exactly as many right as given, the easiest with some luck."""
    example = 1.5 * np.exp(0.5 * random.normal()) * random.normal(size=100)
    ease = example[None, :] + random.logistic(size=(len(accuracy), 100))
    rank = np.argsort(np.argsort(-ease, axis=1), axis=1)
    return (rank < np.round(100 * accuracy)[:, None]).astype(float)


def balanced_plans(grids: np.ndarray, budget: int) -> np.ndarray:
    """Cells of each grid, from its own seed."""
    seen = np.zeros(grids.shape, bool)
    for seed in range(len(grids)):
        seen[(seed, *balanced.plan(seen[seed], budget, seed=seed))] = True
    return seen


def judged(random: np.random.Generator, fractional: bool, panel: tuple[int, ...]) -> np.ndarray:
    """Answers (models x prompts, examples) of a world; fractions have a tenth of the variance of right and wrong."""
    models, prompts_, examples = panel
    sizes = (0.5, 0.4, 0.3, 1.2)
    shapes = ((models, 1, 1), (1, prompts_, 1), (models, prompts_, 1), (1, 1, examples))
    logit = 0.5 * random.normal() + sum(s * random.normal(size=shape) for s, shape in zip(sizes, shapes, strict=True))
    p = expit(logit).reshape(models * prompts_, examples)
    answers = random.beta(9 * p, 9 * (1 - p)) if fractional else random.random(p.shape) < p
    return answers.astype(np.float32)
