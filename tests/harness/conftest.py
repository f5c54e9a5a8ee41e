"""A bank whose items are the samples or documents of a small task, and models that answer by its curves."""

import json
import pathlib
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from lleval_jax.data import save, simulate
from lleval_jax.values import ItemBank


@pytest.fixture(scope="session")
def bank_of():
    """Names of the items -> a bank of simulated 2PL items."""

    def make(items, name="test-bank"):
        _, truth = simulate(1, len(items), seed=3)
        n = len(items)
        return ItemBank(
            name=name,
            version="1",
            items=tuple(items),
            slope=truth.slope.astype(np.float32) * 1.5,
            intercept=truth.intercept.astype(np.float32),
            floor=np.zeros(n, np.float32),
            ceiling=np.ones(n, np.float32),
            weight=np.full(n, 1 / n, np.float32),
            group=np.zeros(n, np.int32),
            groups=("all",),
            covariance=np.zeros((n, 2, 2), np.float32),
            prior_mean=np.zeros(1, np.float32),
            prior_cov=np.eye(1, dtype=np.float32),
        )

    return make


@pytest.fixture(scope="session")
def answers_of():
    """(bank, ability, seed) -> {item: 0.0 or 1.0}."""

    def draw(bank, ability=0.5, seed=0):
        p = 1 / (1 + np.exp(-(bank.slope[:, 0] * ability + bank.intercept)))
        right = np.random.default_rng(seed).random(len(p)) < p
        return dict(zip(bank.items, right.astype(float).tolist(), strict=True))

    return draw


@pytest.fixture
def true_inspect():
    """(folder, bank, answers, kind, epochs) -> (report, path of the log, reasons of refusals): Inspect itself."""
    if find_spec("inspect_ai") is None:
        pytest.skip('needs Inspect AI: pip install "lleval-jax[harness]"')

    def run(folder, bank, right, kind, epochs=1):
        save(bank, folder / "bank")
        (folder / "right.json").write_text(json.dumps(right))
        script = pathlib.Path(__file__).with_name("true_inspect.py")
        words = [sys.executable, str(script), str(folder), kind, str(epochs)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run
