"""Makes prompteval.npz: what the published code of PromptEval finds on a small grid, with two tolerances.

    git clone https://github.com/felipemaiapolo/prompteval && git -C prompteval checkout c238d64
    python tests/estimators/prompts/golden/prompteval.py prompteval/prompteval prompteval.npz

Needs numpy, scikit-learn (1.9.1 made the file) and tqdm. Of the repository it imports methods.py alone; its `utils`,
which needs PyTorch, is replaced by the one function that methods.py takes from it. `tol` is liblinear's: 1e-4 as
published, 1e-10 nearly the minimum.
"""

import functools
import sys
import types

import numpy as np
from sklearn.linear_model import LogisticRegression

ROWS, ITEMS, SEEN = 20, 60, 240
LEVELS = [5, 25, 50, 75, 95]


def problem() -> dict[str, np.ndarray]:
    """A grid with covariates on both sides, the cells seen, and all answers equal in `same`."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(ROWS, 3)), rng.normal(size=(ITEMS, 2))
    logits = (x @ rng.normal(size=3))[:, None] + (z @ rng.normal(size=2))[None, :] + rng.normal(size=ITEMS)[None, :]
    answers = (rng.random((ROWS, ITEMS)) < 1 / (1 + np.exp(-logits))).astype(float)
    seen = np.zeros(ROWS * ITEMS, bool)
    seen[rng.permutation(ROWS * ITEMS)[:SEEN]] = True
    seen = seen.reshape(ROWS, ITEMS)
    seen[4] = seen[:, 7] = False
    return {"answers": answers, "seen": seen, "x": x, "z": z, "same": np.ones((ROWS, ITEMS))}


def main(published: str, out: str) -> None:
    """Run every variant at both tolerances and save coefficients, scores, quantiles."""
    stub = types.ModuleType("utils")
    stub.check_multicolinearity = lambda x: None  # pyright: ignore
    sys.modules["utils"] = stub
    sys.path.insert(0, published)
    import methods

    made = problem()
    x, z = made["x"], made["z"]
    extended = {"rasch": (None, None), "x": (x, None), "z": (None, z), "xz": (x, z)}
    for name, tol in (("published", 1e-4), ("minimum", 1e-10)):
        methods.LR = functools.partial(LogisticRegression, tol=tol, max_iter=100 if tol == 1e-4 else 100_000)
        for answers in ("answers", "same"):
            for variant, (rows, items) in extended.items():
                model = methods.ExtendedRaschModel()
                model.fit(made["seen"], made[answers], rows, items)
                keep(made, f"{name}.{answers}.{variant}", model)
            for variant, rows in (("rows", None), ("rows_x", x)):
                model = methods.LogReg()
                model.fit(made["seen"], made[answers], rows)
                keep(made, f"{name}.{answers}.{variant}", model)
    np.savez_compressed(out, **made)


def keep(made: dict[str, np.ndarray], name: str, model) -> None:
    """Coefficients, scores and their quantiles."""
    scores = model.get_Y_hat().mean(-1)
    made[f"{name}.coefficients"] = model.rasch_model.mu
    made[f"{name}.scores"] = scores
    made[f"{name}.quantiles"] = np.percentile(scores, LEVELS)


if __name__ == "__main__":
    main(*sys.argv[1:])
