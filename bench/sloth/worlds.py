"""Small worlds with a known truth, one a method: leaderboards, and laws with their models and skills."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import lleval_jax as ll
from lleval_jax.core.laws import pooled
from lleval_jax.core.laws.pooled import INPUTS, NESTED
from lleval_jax.estimators import sloth
from lleval_jax.layout.board import codes, inputs
from lleval_jax.values.params import SlothParams, coded
from lleval_jax.values.results import Ended

SIZES = {"shared": pooled.SHARED + pooled.OWNED, "noise": 0.015}
_settle = jax.jit(pooled.settle, static_argnames="steps")


def leaderboard(seed=0, families=9, each=3, benchmarks=3, own=0.25) -> ll.Leaderboard:
    """A leaderboard from a law with one skill; families differ in intercept, models by `own` of it besides."""
    random = np.random.default_rng(seed)
    family = np.repeat(np.arange(families), each)
    size = np.tile(np.geomspace(1, 70, each), families) * np.exp(0.2 * random.normal(size=len(family)))
    tokens = np.exp(random.normal(0.5, 0.8, families))[family]
    skill = 0.7 * np.log(size / 7) / 1.3 + 0.6 * np.log(tokens / 2) + random.normal(0, 0.5, families)[family]
    skill = skill + own * random.normal(size=len(family))
    logit = skill[:, None] * random.uniform(0.6, 1.2, benchmarks) + random.normal(0, 0.5, benchmarks)
    score = 0.25 + 0.75 / (1 + np.exp(-logit)) + 0.01 * random.normal(size=logit.shape)
    table = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(len(family))],
            "family": [f"family-{f}" for f in family],
            "params": size * 1e9,
            "tokens": tokens * 1e12,
            **{f"bench-{j}": np.clip(score[:, j], 0, 1) for j in range(benchmarks)},
        }
    )
    return ll.Leaderboard.from_frame(table, floors={f"bench-{j}": 0.25 for j in range(benchmarks)})


def law(seed: int, families: int = 10, each: int = 3, benchmarks: int = 6, skills: int = 2, hidden: int = 2):
    """(law, skills of its models): the largest model of the first `hidden` families is unknown to the law."""
    random = np.random.default_rng(seed)
    count = families * each
    family = np.repeat(np.arange(families), each)
    size = np.tile(np.geomspace(1e9, 7e10, each), families) * np.exp(0.2 * random.normal(size=count))
    tokens = np.exp(random.normal(28.3, 0.8, families))[family]
    x = inputs(size, tokens, np.zeros(count))
    effects = np.array(SIZES["shared"])
    loading = random.uniform(0.2, 1.0, (benchmarks, skills)) * np.where(
        np.arange(skills) == 0, 1, random.choice([-1, 1], (benchmarks, skills))
    )
    length = np.sqrt((loading**2).sum(1))

    def effect(width: int) -> np.ndarray:
        """(count, width) shared slopes and nested effects, each of sd one beforehand times its size."""
        size_of = dict(zip((*INPUTS, *NESTED), effects, strict=True))
        whole = x @ (random.normal(size=(len(INPUTS), width)) * effects[: len(INPUTS), None])
        for name, groups, by in (
            ("lineage", family, 1.0),
            ("lineage x size", family, x[:, 0]),
            ("family", family, 1.0),
            ("family x size", family, x[:, 0]),
            ("model", np.arange(count), 1.0),
        ):
            whole += size_of[name] * random.normal(size=(count, width))[groups] * np.broadcast_to(by, count)[:, None]
        return whole

    skill, beside = effect(skills), effect(benchmarks) * length * pooled.DIRECT
    centre = random.normal(0, 0.5, benchmarks)
    share = 1 / (1 + np.exp(-(centre + skill @ loading.T + beside)))
    score = np.clip(share + SIZES["noise"] * random.standard_t(4, share.shape), 0, 1)
    seen = np.ones(score.shape, bool)
    seen[[each * f + each - 1 for f in range(hidden)]] = False
    sizes = np.log(effects)
    law = pooled.Law(
        *map(
            jnp.asarray,
            (loading, sizes, sizes + np.log(pooled.DIRECT), np.full(benchmarks, np.log(SIZES["noise"])), centre),
        ),
        bend=jnp.zeros(benchmarks),
    )
    rows, where = pooled.layout(x, codes(family), codes(family), score, seen)
    floor = np.zeros(benchmarks)
    at, slopes = _settle(law, rows, pooled.begin(law, rows), jnp.asarray(floor), steps=8)
    family_code, names = coded([f"family-{f}" for f in family])
    params = SlothParams(
        *map(np.asarray, law),
        floor=floor,
        size=size,
        tokens=tokens,
        instruct=np.zeros(count, bool),
        score=score,
        seen=seen,
        logit=np.asarray(at.logit)[*where.T],
        worth=np.asarray(at.worth)[*where.T],
        slope=np.asarray(slopes.mean),
        slope_cov=np.asarray(slopes.cov),
        family=family_code,
        lineage=family_code,
    )
    found = ll.FitResult(
        params=params,
        axes={
            "models": tuple(f"m{i}" for i in range(count)),
            "benchmarks": tuple(f"bench-{j}" for j in range(benchmarks)),
            "families": names,
            "lineages": names,
        },
        ended=Ended("ok", 1, 0.0),
        method="sloth d=2 logistic",
        settings={"skills": skills, "link": "logistic", "seed": seed},
    )
    return found, skill


def targets(law: ll.FitResult) -> list[sloth.Target]:
    """The models that are unknown to a law."""
    p = law.params
    at = np.flatnonzero(~p.seen.any(1))
    names = law.names("families", p.family)
    return [sloth.Target(names[i], float(p.size[i]), float(p.tokens[i])) for i in at]
