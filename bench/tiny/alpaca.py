"""AlpacaEval 2.0, 36 LLMs, 4-fold, by the public calls and their defaults.

The protocol of reference/tinybench_alpaca_shared.json: rows in file order without the baseline and the adversarial
model, items with a missing value dropped, fold k tests rows k, k + 4, ...; anchors chosen and everything learned on
the other 27 models. Prints and stores MAE of the default and the best of the 12 reference rows, and coverage.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Literal

import numpy as np

import lleval_jax as ll
from bench.kit.coverage import bounds
from bench.kit.problems import shared, two_parameter
from bench.kit.results import Record
from bench.kit.settings import setting

BARS = {10: 0.0240, 20: 0.0212, 30: 0.0175, 60: 0.0119, 100: 0.0096}  # mean absolute error, by number of anchors
SIZES = tuple(BARS)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    data: Literal["alpaca", "simulated"] = setting("alpaca", "whose answers")
    restarts: int = setting(5, "choices of anchors in each fold")
    sizes: tuple[int, ...] = setting(SIZES, "numbers of anchors")


def load(simulated: bool = False) -> ll.Responses:
    """The 36 models by 801 items; or as many simulated models by 60 items."""
    if simulated:
        return ll.Responses.build(two_parameter(36, 60).scores)
    with np.load(shared("data", "alpaca_eval", "alpaca_eval2.npz"), allow_pickle=False) as stored:
        rows = stored["note"] == ""
        scores, models = stored["responses"][rows], stored["models"][rows]
    return ll.Responses.build(scores[:, ~np.isnan(scores).any(0)], rows=models.tolist())


def best_reference() -> dict[str, float]:
    """Lowest MAE of the 12 reference rows at each size."""
    rows = json.loads(shared("reference", "tinybench_alpaca_shared.json").read_text())["mae"]
    return {str(k): min(r[str(k)] for kind in rows.values() for r in kind.values()) for k in SIZES}


def run(settings: Settings) -> dict[str, dict]:
    """Errors of the default on every fold, size and restart."""
    simulated, restarts = settings.data == "simulated", settings.restarts
    responses = load(simulated)
    truth, rows = responses.scores.astype(float).mean(1), np.arange(len(responses.rows))
    found: dict[int, list[np.ndarray]] = {k: [] for k in settings.sizes}
    for fold in range(4):
        out = rows % 4 == fold
        known, new = responses.take(rows[~out]), responses.take(rows[out])
        fit = ll.irt.fit(known)
        for k in settings.sizes:
            for seed in range(restarts):
                bank = ll.anchors.choose(fit, responses=known, k=k, seed=seed)
                e = ll.tiny.estimate(new.select(bank.anchor_items), bank=bank)
                inside = (e.low <= truth[out]) & (truth[out] <= e.high)
                found[k].append(np.stack([np.abs(e.value - truth[out]), inside, e.high - e.low]))
    reference, table = {} if simulated else best_reference(), {}
    for k in settings.sizes:
        error, inside, width = np.concatenate(found[k], axis=1)
        n, held = len(inside), int(inside.sum())
        low, high = bounds(held, n)
        table[str(k)] = {
            "mae": float(error.mean()),
            "mae_by_restart": [float(x) for x in error.reshape(4, restarts, -1).mean((0, 2))],
            "bar": BARS[k],
            "best_reference_row": reference.get(str(k)),
            "coverage": held / n,
            "coverage_low": low,
            "coverage_high": high,
            "width": float(width.mean()),
            "estimates": n,
        }
    return table


def study(settings: Settings, record: Record) -> None:
    """The default's table."""
    table = run(settings)
    record.keep({"restarts": settings.restarts, "rows": table})
    for k, r in table.items():
        print(f"{k:>4} anchors  MAE {r['mae']:.4f}  coverage {r['coverage']:.3f}  width {r['width']:.3f}", flush=True)
