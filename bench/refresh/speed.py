"""Speed of `refresh` and of the method as published; see `chains.py`, part speed."""

from __future__ import annotations

import functools
import json
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from bench.kit.measure import measure
from bench.kit.problems import shared
from lleval_jax import FitResult, Responses, refresh
from lleval_jax.core.laws import panel
from lleval_jax.estimators.refresh.kernel import Search
from lleval_jax.layout.chain import PAD, Chain, Data, Named, append, empty, lay_out, named_of, share, with_loadings
from lleval_jax.types import Status

M = 5
REFITS = ((1000, 0), (24, 8))  # how many, one after the other; some, side by side
COPIES = (1, 2, 4, 8)
MODELS = (100, 200, 400)
T = TypeVar("T")
Forms = Callable[[str, int | None, int], Mapping[str, Responses]]


def spread(versions: Sequence[Responses]) -> list[Responses]:
    """All answers to the first version; of later ones those of `M` models of the first, evenly spread, and new ones."""
    first, *later = versions
    order = np.argsort(first.scores.mean(1), kind="stable")
    run = {first.rows[order[round(at)]] for at in np.linspace(0, len(order) - 1, M)}
    new = [set(version.rows) - set(first.rows) if i == 0 else set() for i, version in enumerate(later)]
    rows = [[i for i, row in enumerate(v.rows) if row in run | more] for v, more in zip(later, new, strict=True)]
    return [first, *(v.take(use) for v, use in zip(later, rows, strict=True))]


def chain(known: Sequence[Responses]) -> None:
    """Every version as it comes: fit what is known, choose the models for the next one, estimate scores at the end."""
    for count in range(1, len(known) + 1):
        fit = refresh.fit(known[:count])
        if count < len(known):
            refresh.choose(fit, k=M)
    refresh.estimate(fit)  # pyright: ignore[reportPossiblyUnboundVariable]


def copied(version: Responses, times: int) -> Responses:
    """Each item several times, under names of its own."""
    names = [f"{item} {i}" for i in range(times) for item in version.items]
    group = np.tile(np.array(version.groups)[version.group], times)
    return Responses.build(np.tile(version.scores, (1, times)), rows=version.rows, items=names, group=group.tolist())


def by_items(known: Sequence[Responses]) -> dict[str, object]:
    """Seconds of one warm fit of all versions against the number of items, and of counting, which is all items cost."""
    rows: list[dict[str, float]] = []
    for times in COPIES:
        more = [copied(version, times) for version in known]
        whole, fit = warm(lambda more=more: refresh.fit(more))
        counting, _ = warm(lambda more=more: counted(more))
        items = sum(len(version.items) for version in more)
        rows.append({"items": items, "fit": whole, "counting": counting, "steps": fit.steps})
    x = np.log([row["items"] for row in rows])
    slope = {name: float(np.polyfit(x, np.log([row[name] for row in rows]), 1)[0]) for name in ("fit", "counting")}
    return {"rows": rows, "slope": slope}


def warm(call: Callable[[], T], repeats: int = 3) -> tuple[float, T]:
    """Median seconds after a first call, and the last result."""
    result, taken = call(), []
    for _ in range(repeats):
        began = time.perf_counter()
        result = call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)), result


def counted(known: Sequence[Responses]) -> Named:
    """Versions as counts."""
    named = empty()
    for i, version in enumerate(known):
        named = append(named, version, f"v{i}")
    return named


def by_models(forms: Forms) -> dict[str, object]:
    """Seconds and memory of a fit to one form, a choice of twelve and an estimate of the other, by number of models."""
    rows = []
    for count in MODELS:
        first, second = forms("gsm8k", count, 0).values()

        def once(first: Responses = first, second: Responses = second) -> dict[str, float]:
            began = time.perf_counter()
            fit = refresh.fit([first])
            fitted = time.perf_counter()
            run = refresh.choose(fit, k=12).rows
            chosen = time.perf_counter()
            refresh.estimate(fit, answers=second.take([second.rows.index(row) for row in run]))
            return {"fit": fitted - began, "choose": chosen - fitted, "estimate": time.perf_counter() - chosen}

        once()
        rows.append({"models": count, **once(), "peak_gib": peak()})
    x = np.log([row["models"] for row in rows])
    slope = {k: float(np.polyfit(x, np.log([row[k] for row in rows]), 1)[0]) for k in ("fit", "choose", "estimate")}
    return {"rows": rows, "slope": slope}


@functools.partial(jax.jit, static_argnames="batch", compiler_options={"xla_llvm_disable_expensive_passes": True})
def _search_all(data: Data, right: jax.Array, asked: jax.Array, batch: int):
    """The law of most evidence for each draw of right answers (draws, models, cells)."""

    def one(right: jax.Array):
        rate = (right + 0.5) / (asked + 1)
        noise = 1 / (jnp.maximum(asked, 1) * rate * (1 - rate))
        drawn = data.panel._replace(logit=jnp.log(rate) - jnp.log1p(-rate), noise=noise)
        end = Search(0).solve(data._replace(panel=drawn), jax.random.key(0))  # the loadings are in the panel
        return end.sizes, end.steps, end.status

    return jax.lax.map(one, right, batch_size=batch or None)


def redrawn(chain: Chain, draws: int, seed: int = 0) -> np.ndarray:
    """(draws, models, cells) right answers, binomial around the shares that were seen; cells padded."""
    chance = share(chain.right, chain.asked)
    right = np.random.default_rng(seed).binomial(chain.asked.astype(int), chance, (draws, *chance.shape))
    return np.pad(right, ((0, 0), (0, 0), (0, -chance.shape[1] % PAD))).astype(float)


def bootstrap(fit: FitResult, draws: int, batch: int) -> dict[str, object]:
    """Refits in one call, `batch` side by side, or one after the other if it is 0.

    What all answers have in common stays as it is; the counts of right answers are drawn anew.
    """
    named = named_of(fit)
    counts = named.chain
    right = redrawn(counts, draws)
    with jax.enable_x64(True):
        data = lay_out(named)[0]
        data = data._replace(panel=with_loadings(data.panel, jnp.asarray(fit.params.loading)))
        asked = jnp.asarray(np.pad(counts.asked, ((0, 0), (0, right.shape[2] - counts.asked.shape[1]))))
        arguments = data, jnp.asarray(right), asked
        before = peak()
        began = time.perf_counter()
        compiled = _search_all.lower(*arguments, batch=batch).compile()
        compile_seconds = time.perf_counter() - began
        began, used = time.perf_counter(), time.process_time()
        sizes, steps, status = jax.tree.map(np.asarray, jax.block_until_ready(compiled(*arguments)))
        seconds, used = time.perf_counter() - began, time.process_time() - used
    spread = np.std(np.asarray(sizes.model), 0)
    return {
        "draws": draws,
        "batch": batch,
        "compile_seconds": compile_seconds,
        "seconds": seconds,
        "cpu_seconds": used,
        "cpu_seconds for 1,000": 1000 * used / draws,
        "steps": [int(np.min(steps)), float(np.median(steps)), int(np.max(steps))],
        "converged": float(np.mean(status == int(Status.CONVERGED))),
        "peak_gib": [before, peak()],
        "sd of log sizes": dict(zip(panel.PARTS, np.round(spread, 3).tolist(), strict=True)),
    }


def peak() -> float:
    """Largest resident memory so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def stored() -> dict[str, object]:
    """Processor seconds of the reference's own program, 12 fits of three chains."""
    record = json.loads(shared("reference", "baselines.json").read_text())["livexiv"]
    return {"vqa": record["time_vqa"], "tqa": record["time_tqa"]}


def study(versions: Sequence[Responses], forms: Forms, save: Callable[[dict[str, object]], None]) -> dict[str, object]:
    """All of it, saved as it comes."""
    known = spread(versions)
    found: dict[str, object] = {}

    def keep(name: str, value: object) -> None:
        found[name] = value
        print(name, json.dumps(value), flush=True)
        save(found)

    keep("chain", measure(functools.partial(chain, known))[0])
    keep(
        "published chain",
        measure(lambda: [refresh.published.fit(known[: i + 1]) for i in range(len(known))], repeats=3)[0],
    )
    keep("reference, stored", stored())
    keep("items", by_items(known))
    keep("bootstrap", [bootstrap(refresh.fit(known), draws, batch) for draws, batch in REFITS])
    keep("models", by_models(forms))
    return found
