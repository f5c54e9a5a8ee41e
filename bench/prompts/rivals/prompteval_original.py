"""The authors' own PromptEval on the simulated sets: errors, cells, coefficients and processor seconds.

`python bench/prompts/rivals/prompteval_original.py METHODS_FOLDER SETS.npz OUT.json` in an environment with
scikit-learn and tqdm (1.9.1 and numpy 2.4.6 made the figures). METHODS_FOLDER is `prompteval/` of
github.com/felipemaiapolo/prompteval at c238d64. Arrays go to OUT.npz. `python -m bench run prompts.published --python`
starts it.
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import time
import types

import numpy as np

SEEDS = (0, 1, 2)
BUDGETS = [200, 400, 800, 1600]
LEVELS = [5, 25, 50, 75, 95]
TIGHT = 1e-10
HALVED = 2  # sets on which halving is run: it takes most of the time


def published(folder: str) -> types.ModuleType:
    """`methods.py` and `bai_evaluation.py` without PyTorch: `utils`, which needs it, is replaced by what they take."""
    utils = types.ModuleType("utils")
    vars(utils).update(check_multicolinearity=lambda x: None, flatten=lambda lists: sum(lists, []))
    sys.modules["utils"] = utils
    sys.path.insert(0, folder)
    import methods  # pyright: ignore

    return methods


def one(methods, answers: np.ndarray, x: np.ndarray, seed: int) -> dict:
    """Per method: the scores at each budget, the processor seconds of all budgets, and the fitted weights."""
    found = {}
    for name, model, options in (
        ("baseline", methods.Baseline(), {}),
        ("pe_rasch", methods.PromptEval(), {}),
        ("pe_X", methods.PromptEval(), {"X": x}),
        ("logreg_X", methods.PromptEval(), {"X": x, "logreg": True}),
    ):
        start = time.process_time()
        model.fit(answers, LEVELS, BUDGETS, random_seed=seed, **options)
        found[name] = {
            "cpu_seconds": time.process_time() - start,
            "scores": np.array(model.estimates["accs_hat"]),
            "seen": model.seen_examples,
        }
    return found


def weights(methods, answers: np.ndarray, x: np.ndarray, seed: int, tol: float) -> dict[str, np.ndarray]:
    """Coefficients at each budget, liblinear at tolerance `tol`."""
    from sklearn.linear_model import LogisticRegression  # pyright: ignore

    plain = methods.LR
    methods.LR = functools.partial(LogisticRegression, tol=tol, max_iter=100 if tol > TIGHT else 100_000)
    seen, found = np.zeros(answers.shape, bool), {}
    for budget in BUDGETS:
        seen = methods.StratSample(seen, budget, seed)
        for name, model, given in (
            ("pe_rasch", methods.ExtendedRaschModel(), None),
            ("pe_X", methods.ExtendedRaschModel(), x),
            ("logreg_X", methods.LogReg(), x),
        ):
            model.fit(seen, answers, given)
            found[f"{name}.{budget}"] = model.rasch_model.mu
    methods.LR = plain
    return found


def regrets(answers: np.ndarray, x: np.ndarray | None, seed: int) -> np.ndarray:
    """Regrets (budgets, 2) of LogReg with random columns and of PromptEval; the network is left out."""
    import bai_evaluation as bai  # pyright: ignore

    bai.MLP = bai.LogReg  # its row is thrown away
    return np.array([bai.compute_regrets(b, answers, x, None, seed) for b in BUDGETS])[:, [0, 2]]


def main(folder: str, sets: str, out: str) -> None:
    """All sets and seeds; halving on the first two, the weights of the first."""
    methods = published(folder)
    arrays: dict[str, np.ndarray] = {}
    seconds: dict[str, list[float]] = {}
    with np.load(sets) as stored:
        count = sum(name.startswith("Y") for name in stored.files)
        for k in range(count):
            answers, x = stored[f"Y{k}"].astype(float), stored[f"X{k}"].astype(float)
            for seed in SEEDS:
                for name, run in one(methods, answers, x, seed).items():
                    arrays[f"scores.{name}.{k}.{seed}"] = run["scores"]
                    seconds.setdefault(name, []).append(run["cpu_seconds"])
                    arrays[f"seen.{seed}"] = np.packbits(run["seen"], axis=1)
                if k < HALVED:
                    arrays[f"regrets.rasch.{k}.{seed}"] = regrets(answers, None, seed)
                    arrays[f"regrets.X.{k}.{seed}"] = regrets(answers, x, seed)
                if k == 0:
                    for tol in (1e-4, TIGHT):
                        for name, w in weights(methods, answers, x, seed, tol).items():
                            arrays[f"weights.{tol:g}.{name}.{seed}"] = w
            print(f"set {k}", flush=True)
    np.savez(pathlib.Path(out).with_suffix(".npz"), **arrays)  # pyright: ignore
    import sklearn  # pyright: ignore

    versions = {"scikit-learn": sklearn.__version__, "numpy": np.__version__}
    pathlib.Path(out).write_text(json.dumps({"cpu_seconds": seconds, "versions": versions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
