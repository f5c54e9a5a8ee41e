"""`lleval_jax.lm`: its names are loaded when first used, and stay what they are."""

import importlib
import subprocess
import sys

import pytest

from lleval_jax import lm
from lleval_jax.errors import BadInput

HEAVY = ("jax", "flax", "transformers", "tokenizers", "openai", "gguf", "pandas")


@pytest.mark.parametrize("name", lm.__all__)
def test_each_name_is_there_and_documented(name):
    found = getattr(lm, name)
    assert found.__doc__
    importlib.import_module(found.__module__)
    assert getattr(lm, name) is found  # not the module of the same name


def test_importing_the_package_loads_nothing_that_takes_long():
    program = f"import lleval_jax.lm, sys; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_missing_extra_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(BadInput, match=r'asking a server needs.*pip install "lleval-jax\[train\]"'):
        lm.OpenAIClient("m")


def test_a_name_whose_module_needs_what_is_missing_says_so(monkeypatch):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'flax'", name="flax.nnx")

    monkeypatch.setattr("lleval_jax.lazy.loaded", missing)
    monkeypatch.delitem(vars(lm), "Request", raising=False)
    with pytest.raises(
        BadInput, match=r'lm.Request needs the package flax. Install it: pip install "lleval-jax\[train\]"'
    ):
        lm.Request  # noqa: B018


def test_another_name_is_an_attribute_error():
    assert not hasattr(lm, "loads")
