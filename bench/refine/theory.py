"""Naive training and refinement where all is known: exact lines, simulated points, and a teacher that misleads.

The model is that of `lleval_jax.training.refine.concept`: five concepts in ten dimensions, and for the exact lines two
in three. Points are simulated, with two standard errors; lines are closed forms or quadrature.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.training.refine import concept as concepts
from lleval_jax.training.refine import exact
from lleval_jax.training.refine.concept import FIXED, FRESH, Concept, Teacher

TWO, FIVE = Concept(3, (0.5, 0.5)), Concept(10, (0.2,) * 5)
BY_SPREAD = {"1": Teacher(), "2": Teacher((0, 0, 1.0)), "4": Teacher(noise=2.0)}  # square of bias plus that of noise
TEACHERS = {
    "clean": Teacher(),
    "bias 1, orthogonal": Teacher.orthogonal(FIVE, 1.0),
    "half strength": Teacher(strength=0.5),
    "0.6 of the wanted, 0.8 of another": Teacher((0, 0.8), strength=0.6),
}
LABELS = (12, 14, 17, 21, 30, 50, 100, 200, 400)  # that naive training learns
PENALTIES = (1.0, 10.0, 100.0)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    draws: int = setting(20_000, "sequences of labels")
    shown: tuple[int, ...] = setting((1, 2, 4, 8, 16, 32), "labels shown")
    students: int = setting(400, "naive students that are trained, a point")


def errors(settings: Settings) -> dict[str, Any]:
    """Two concepts: the probability of the wrong one, exact, bounded and simulated."""
    found = {}
    for spread, teacher in BY_SPREAD.items():
        key = jax.random.key(int(spread))
        wrong = concepts.draw(TWO, teacher, shown=settings.shown, draws=settings.draws, key=key)[..., 1]
        wrong = np.asarray(wrong, float)
        found[spread] = {
            "exact": exact.refined(TWO, teacher, settings.shown).error.tolist(),
            "bound": exact.bound(TWO, teacher, settings.shown).tolist(),
            "simulated": wrong.mean(0).tolist(),
            "error": (wrong.std(0) / np.sqrt(settings.draws)).tolist(),
        }
    return found


def refinement(settings: Settings, teacher: Teacher) -> dict[str, Any]:
    """Five concepts: both risks, and what naive training is never below."""
    found = concepts.risks(FIVE, teacher, shown=settings.shown, draws=settings.draws, key=jax.random.key(0))
    groups = [str(n) for n in settings.shown]
    sides = {"fixed": FIXED, "fresh": FRESH}
    limit, weak = exact.naive_limit(FIVE, teacher), teacher.direction(FIVE.dims) - FIVE.wanted
    return {
        **{name: [found[row, n].value for n in groups] for name, row in sides.items()},
        **{f"{name} error": [found[row, n].std_error for n in groups] for name, row in sides.items()},
        "naive limit": limit.risk,
        "mix": limit.mix,
        "smoothing limit": exact.smoothing_limit(FIVE, teacher).risk,
        "weak labels": float(weak @ weak),
        "misled": exact.misled(FIVE, teacher),
    }


def training(settings: Settings, teacher: Teacher) -> dict[str, Any]:
    """Naive students by the labels they learn: least squares, and drawn to the strong model."""
    found: dict[str, Any] = {"labels": list(LABELS), "exact": [exact.naive(FIVE, teacher, n) for n in LABELS]}
    rng = np.random.default_rng(0)
    for penalty in PENALTIES:
        lines, points = [], []
        for n in LABELS:
            lines.append(exact.ridge(FIVE, teacher, n, penalty, draws=1000)[0])
            x = rng.standard_normal((settings.students, n, FIVE.dims))
            y = x @ teacher.direction(FIVE.dims) + teacher.noise * rng.standard_normal(x.shape[:2])
            left = np.einsum("sni,snj->sij", x, x) + penalty * np.eye(FIVE.dims)
            right = np.einsum("sni,sn->si", x, y) + penalty * FIVE.mean
            learned = np.linalg.solve(left, right[..., None])[..., 0]
            points.append(float(np.sum((learned - FIVE.wanted) ** 2, 1).mean()))
        found[f"ridge {penalty:g}"] = {"exact": lines, "simulated": points}
    return found


def study(settings: Settings, record: Record) -> None:
    """All of it, and the picture."""
    record.keep(
        {
            "shown": list(settings.shown),
            "errors": errors(settings),
            "refinement": {name: refinement(settings, teacher) for name, teacher in TEACHERS.items()},
            "training": training(settings, TEACHERS["bias 1, orthogonal"]),
        }
    )
    from bench.refine import tables

    tables.picture(record.content, record.path.with_suffix(".png"))
