"""Examples in docstrings print what they show."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "lleval_jax.lm.client",
        "lleval_jax.lm.families",
        "lleval_jax.words",
        "lleval_jax.scores",
        "lleval_jax.estimators.plain.score",
        "lleval_jax.estimators.plain.gate",
        "lleval_jax.estimators.plain.paired",
    ],
)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
