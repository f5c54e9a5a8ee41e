"""AlpacaEval 2.0, 36 LLMs, 4-fold: `python bench/alpaca.py [--restarts 5]`, by the public calls and their defaults.

The protocol of reference/tinybench_alpaca_shared.json: rows in file order without the baseline and the adversarial
model, items with a missing value dropped, fold k tests rows k, k + 4, ...; anchors chosen and everything learned on
the other 27 models. Prints and stores MAE of the default beside the best of the 12 reference rows, and coverage.
"""

import argparse
import json
import pathlib

import numpy as np
from scipy.stats import beta

import lleval_jax as ll
from bench.kit import machine
from bench.kit.problems import shared

SIZES = (10, 20, 30, 60, 100)
BARS = (0.0240, 0.0212, 0.0175, 0.0119, 0.0096)
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def load() -> ll.Responses:
    """The 36 models by 801 items."""
    with np.load(shared("data", "alpaca_eval", "alpaca_eval2.npz"), allow_pickle=False) as stored:
        rows = stored["note"] == ""
        scores, models = stored["responses"][rows], stored["models"][rows]
    return ll.Responses.build(scores[:, ~np.isnan(scores).any(0)], rows=models.tolist())


def best_reference() -> dict[str, float]:
    """Lowest MAE of the 12 reference rows at each size."""
    rows = json.loads(shared("reference", "tinybench_alpaca_shared.json").read_text())["mae"]
    return {str(k): min(r[str(k)] for kind in rows.values() for r in kind.values()) for k in SIZES}


def run(restarts: int) -> dict[str, dict]:
    """Errors of the default on every fold, size and restart."""
    responses = load()
    truth, rows = responses.scores.astype(float).mean(1), np.arange(len(responses.rows))
    found: dict[int, list[np.ndarray]] = {k: [] for k in SIZES}
    for fold in range(4):
        out = rows % 4 == fold
        known, new = responses.take(rows[~out]), responses.take(rows[out])
        fit = ll.irt.fit(known)
        for k in SIZES:
            for seed in range(restarts):
                bank = ll.anchors.choose(fit, known, k=k, seed=seed)
                e = ll.tiny.estimate(new.select(bank.anchor_items), bank)
                inside = (e.low <= truth[out]) & (truth[out] <= e.high)
                found[k].append(np.stack([np.abs(e.value - truth[out]), inside, e.high - e.low]))
    reference, table = best_reference(), {}
    for k, bar in zip(SIZES, BARS, strict=True):
        error, inside, width = np.concatenate(found[k], axis=1)
        n, held = len(inside), int(inside.sum())
        table[str(k)] = {
            "mae": float(error.mean()),
            "mae_by_restart": [float(x) for x in error.reshape(4, restarts, -1).mean((0, 2))],
            "bar": bar,
            "best_reference_row": reference[str(k)],
            "coverage": held / n,
            "coverage_low": float(beta.ppf(0.025, held, n - held + 1)),
            "coverage_high": float(beta.ppf(0.975, held + 1, n - held)) if held < n else 1.0,
            "width": float(width.mean()),
            "estimates": n,
        }
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "alpaca.json")
    wanted = parser.parse_args()
    table = run(wanted.restarts)
    for k, r in table.items():
        print(
            f"{k:>4} anchors  MAE {r['mae']:.4f}  bar {r['bar']:.4f}  best reference row {r['best_reference_row']:.4f}"
            f"  coverage {r['coverage']:.3f}  width {r['width']:.3f}",
            flush=True,
        )
    record = {"machine": machine.describe("jax", "numpy"), "restarts": wanted.restarts, "rows": table}
    wanted.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
