"""The problems that `accelerator` runs: each builds, for a precision and a size, what is timed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.kit import problems

POINTS = np.linspace(-3, 3, 41)  # abilities at which probabilities are compared
BUDGET_OF_A_GRID = 800  # answers of 100 x 250


@dataclasses.dataclass(frozen=True)
class Work:
    """What is timed, with what precision it can run, and what a step must do at least.

    call   () -> found, a dict of arrays and of what the fit says
    step   () -> arrays on the device, one step
    flops, bytes  of a step; or, without a step, of a call
    """

    call: Callable[[], dict[str, Any]]
    step: Callable[[], Any] | None = None
    flops: float = 0.0
    bytes: float = 0.0
    note: dict[str, Any] = dataclasses.field(default_factory=dict)


def two_parameter(rows: int, items: int) -> Callable[[str, bool], Work]:
    """The 2PL by marginal EM, simulated as `problems` does, standard errors included."""

    def build(precision: str, small: bool) -> Work:
        import jax
        import jax.numpy as jnp

        import lleval_jax as ll
        from lleval_jax.core.irt import em, irf, quadrature
        from lleval_jax.core.precision import precise
        from lleval_jax.layout import irt as layout

        shape = (rows // 10, items // 50) if small else (rows, items)
        problem = problems.two_parameter(*shape)
        responses = ll.Responses.build(problem.scores)

        def call() -> dict[str, Any]:
            found = ll.irt.fit(responses, model="2pl", precision=precision)  # type: ignore[arg-type]
            slope, intercept = found.params.slope, found.params.intercept
            error = np.sqrt(np.maximum(np.diagonal(found.params.covariance, axis1=1, axis2=2), 0))
            said = {"status": found.status, "steps": found.steps, "log_likelihood": found.ended.value}
            chance = 1 / (1 + np.exp(-(slope * POINTS[None, :] + intercept[:, None])))
            arrays = {"slope": slope, "intercept": intercept, "standard_error": error}
            return said | arrays | {"ability": found.params.ability, "probability": chance}

        with precise(precision):
            laid = layout.arrange(responses, precision)
            nodes, log_weight = (jnp.asarray(x, precision) for x in quadrature.default(1).nodes(1))
            data = em.Data(laid.cells, nodes, log_weight, laid.row_weight, laid.item_weight)
            free = np.zeros((len(laid.item_weight), 2))
            free[: shape[1]] = np.column_stack([problem.truth["slopes"], problem.truth["intercepts"]])
            start = em.Unknowns(
                *(jnp.asarray(np.asarray(x, np.float32), precision) for x in (free, [1.0, 0.0], [-1.0, 0.0]))
            )
            task = em.Task(irf.CURVES["2pl"])
            one = jax.jit(lambda data, at: em.em_map(task, data)(at))
            padded, several = np.prod(laid.cells.scores.shape), len(nodes)

            def step() -> dict[str, Any]:
                with precise(precision):
                    after, value = one(data, start)
                return {"free": after.free[: shape[1]], "mean": after.mean, "log_sd": after.log_sd, "value": value}

        size = np.dtype(precision).itemsize
        return Work(call, step, 4.0 * padded * several, 2.0 * padded * size, {"shape": shape, "nodes": several})

    return build


def joint(precision: str, small: bool, dims: int = 5) -> Work:
    """The multidimensional 2PL by the joint engine; slopes 0.7 N(0, 1)."""
    import jax
    import jax.numpy as jnp

    import lleval_jax as ll
    from lleval_jax.core.irt import joint as core
    from lleval_jax.core.precision import precise
    from lleval_jax.layout import irt as layout

    shape = (80, 200) if small else (400, 5_000)
    random = np.random.default_rng(0)
    ability, slope = random.normal(size=(shape[0], dims)), 0.7 * random.normal(size=(shape[1], dims))
    truth = ability, slope, random.normal(size=shape[1])
    responses = ll.Responses.build(problems.answer(random, *truth))

    def call() -> dict[str, Any]:
        found = ll.irt.fit(responses, dims=dims, precision=precision)  # type: ignore[arg-type]
        said = {"status": found.status, "steps": found.steps, "log_likelihood": found.ended.value}
        some = slice(0, 400)
        chance = 1 / (1 + np.exp(-(found.params.ability @ found.params.slope[some].T + found.params.intercept[some])))
        # axes of little difference in spread turn against each other: slopes themselves are not compared
        return said | {"intercept": found.params.intercept, "probability": chance}

    with precise(precision):
        laid = layout.arrange(responses, precision)
        data = core.Data(laid.cells, laid.row_weight, laid.item_weight, jnp.ones(dims, precision))
        padded = laid.cells.scores.shape
        ability, items = np.zeros((padded[0], dims)), np.zeros((padded[1], dims + 1))
        ability[: shape[0]], items[: shape[1]] = truth[0], np.column_stack(truth[1:])
        start = core.start(data, *(jnp.asarray(x.astype(np.float32), precision) for x in (ability, items)))
        solver = core.Alternating()
        one = jax.jit(lambda data, at: solver.step(data, solver.init(data, at)).x)

        def step() -> dict[str, Any]:
            with precise(precision):
                after = one(data, start)
            return {"items": after.items.mean[: shape[1]], "rows": after.rows.mean[: shape[0]]}

    width, size = dims + 1, np.dtype(precision).itemsize
    flops = 8.0 * padded[0] * padded[1] * (width + width**2)  # a half: there and back
    return Work(call, step, flops, 2.0 * padded[0] * padded[1] * size, {"shape": shape, "dims": dims})


def abilities(precision: str, small: bool) -> Work:
    """MAP abilities with standard errors of many models, the items known; float64 by the same core functions."""
    import jax
    import jax.numpy as jnp

    import lleval_jax as ll
    from lleval_jax.core.irt import irf, scoring
    from lleval_jax.estimators.irt import ability

    problem = problems.abilities(*((1_000, 40) if small else (100_000, 100)))
    slope, intercept = (problem.given[name].astype(np.float32) for name in ("slopes", "intercepts"))
    (items, dims), rows = slope.shape, len(problem.scores)
    bank = problems.bank_of(slope, intercept)
    responses = ll.Responses.build(problem.scores, items=bank.items)

    def call() -> dict[str, Any]:
        value, cov, status = ability.score(responses, bank, "map")
        error = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        return {"status": f"{(status == 1).mean():.4%} ok", "ability": value, "standard_error": error}

    @jax.jit
    def double(scores: Any, bank: irf.Items) -> tuple[Any, ...]:
        posterior = scoring.Normal(jnp.zeros(dims), jnp.eye(dims))

        def one(row: Any) -> tuple[Any, ...]:
            found = scoring.mode(irf.Curve(dims=dims), bank, scoring.Answers(row, jnp.ones_like(row)), posterior)
            return found.value, found.covariance, found.status

        return jax.lax.map(one, scores, batch_size=ability.BATCH)

    def call_double() -> dict[str, Any]:
        with jax.enable_x64(True):
            given = irf.Items(*(jnp.asarray(x, float) for x in (slope, intercept, np.zeros(items), np.ones(items))))
            value, cov, status = map(np.asarray, double(jnp.asarray(problem.scores, float), given))
        error = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        return {"status": f"{(status == 1).mean():.4%} ok", "ability": value, "standard_error": error}

    read = 2.0 * rows * items * np.dtype(precision).itemsize  # scores and weights once
    note = {"shape": (rows, items), "dims": dims, "limit": "answers read once"}
    return Work(call if precision == "float32" else call_double, None, 0.0, read, note)


def prompts(block: int | None = None) -> Callable[[str, bool], Work]:
    """Grids of 100 x 250 with 800 answers each in one call of `prompts_many.fit_many`; `block` of them side by side.

    Draws in float64 are other draws: of the arithmetic only the scales of the effects tell, scores differ by chance.
    """

    def build(precision: str, small: bool) -> Work:
        from scipy.special import expit

        from lleval_jax.estimators.prompts import balanced, many

        shape, grids, budget = ((20, 30), 4, 120) if small else ((100, 250), 512, BUDGET_OF_A_GRID)
        answers, seen = np.empty((grids, *shape), np.float32), np.zeros((grids, *shape), bool)
        for i in range(grids):
            random = np.random.default_rng([6, i])
            size = 0.6 * np.exp(0.6 * random.normal()), 1.5 * np.exp(0.5 * random.normal())
            effect = [s * random.normal(size=n) for s, n in zip(size, shape, strict=True)]
            logit = random.normal() + effect[0][:, None] + effect[1][None, :]
            answers[i] = random.random(shape) < expit(logit)
            seen[(i, *balanced.plan(seen[i], budget, seed=i))] = True
        if block is not None:
            many.BLOCK = block
        sweeps: list[int] = []

        def call() -> dict[str, Any]:
            found = many.fit_many(answers, seen=seen, precision=precision)
            sweeps[:] = found.steps.tolist()
            good = f"{(found.status == 'ok').mean():.4%} ok, {int(np.isnan(found.score).sum())} scores NaN"
            said = {"status": good, "steps": float(found.steps.mean()), "most_steps": int(found.steps.max())}
            return said | {"log_scale": np.log(found.scale), "score": found.score}

        n, m = shape
        flops = grids * 20 * (4.0 * n * n * m + 4.0 * n**3)  # about 20 sweeps; draws not counted
        note = {"grids": grids, "shape": shape, "answers": budget, "block": block or many.BLOCK}
        return Work(call, None, flops, 0.0, note | {"limit": "20 sweeps a grid, draws left out"})

    return build


def scaling(precision: str, small: bool) -> Work:
    """The pooled scaling law of the Open LLM Leaderboard (six benchmarks), which is float64 throughout."""
    import lleval_jax as ll
    from bench.sloth.published import BENCHMARKS
    from lleval_jax.estimators import sloth

    board = ll.read_leaderboard("sloth-open-llm", corrected=False).select(BENCHMARKS["lb1"])

    def call() -> dict[str, Any]:
        found = sloth.fit(board, skills=1 if small else sloth.SKILLS)
        said = {"status": found.status, "steps": found.steps, "log_likelihood": found.ended.value}
        targets = [sloth.Target(family, 7e10, 2e12) for family in dict.fromkeys(board.families)]
        return said | {"probability": sloth.estimate(found, family=targets).value}

    return Work(call, note={"models": len(board.models), "benchmarks": list(board.benchmarks)})


def refreshed(precision: str, small: bool) -> Work:
    """Versions of a benchmark with many domains and few models, a third of them not run again; float64 throughout."""
    from scipy.special import expit

    import lleval_jax as ll
    from lleval_jax.estimators import refresh

    models, versions, domains, items = (17, 2, 3, 60) if small else (17, 4, 10, 700)
    random = np.random.default_rng(0)
    ability, affinity = 0.8 * random.normal(size=(models, 1)), 0.15 * random.normal(size=(models, domains))
    group, chain = np.arange(items) % domains, {}
    domain = [f"domain-{d}" for d in group]
    for version in range(versions):
        drift = 0.1 * random.normal(size=(models, 1))
        ease = 0.2 * random.normal(size=domains)[group] + random.normal(size=items)
        scores = random.random((models, items)) < expit(ability + drift + affinity[:, group] + ease)
        there = (np.arange(models) % 3 > 0) | (version == 0)
        rows = tuple(f"model-{m}" for m in np.flatnonzero(there))
        names = tuple(f"v{version}-{i}" for i in range(items))
        scores = scores[there].astype(np.float32)
        chain[f"v{version}"] = ll.Responses.build(scores, rows=rows, items=names, group=domain)

    def call() -> dict[str, Any]:
        found = refresh.fit(chain)
        said = {"status": found.status, "steps": found.steps, "log_likelihood": found.ended.value}
        estimate = refresh.estimate(found)
        return said | {"value": estimate.value, "low": estimate.low, "high": estimate.high}

    return Work(call, note={"models": models, "versions": versions, "domains": domains, "items": items})


# name -> (builder, variants on the accelerator, variants on the CPU)
ALL, PLAIN = ("float32", "float64"), ("float64", "float32")  # the first of each is all that `--quick` runs
PROBLEMS: dict[str, tuple[Callable[[str, bool], Work], tuple[str, ...], tuple[str, ...]]] = {
    "2pl_400x14000": (two_parameter(400, 14_000), ALL, PLAIN),
    "prompts_100x250": (prompts(), ALL, PLAIN),
    "2pl_5000x28000": (two_parameter(5_000, 28_000), ALL, PLAIN),
    "abilities_100000x100": (abilities, ALL, PLAIN),
    "joint_400x5000": (joint, ALL, PLAIN),
    "scaling_law": (scaling, ("float64",), ("float64",)),
    "refresh_17x40": (refreshed, ("float64",), ("float64",)),
    "prompts_100x250_wide": (prompts(256), ("float32",), ()),
}
