"""An adapter's folder is a model again, in Python and in the shell, which scores what the adapted decoder computes."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax import lm, training
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK
from lleval_jax.errors import BadInput
from lleval_jax.lm.load import LanguageModel
from lleval_jax.training.low_rank import adapter_files, lora
from lleval_jax.training.low_rank.lora import Lora

TOKENS = jnp.asarray([[0, 41, 300, 7, 1100, 9]])
ADAPTERS = Lora(rank=2, learn="B")


def learned(base: LanguageModel) -> Any:
    """The decoder with adapters whose B is no longer zero."""
    decoder = lora.attach(base.decoder, ADAPTERS)
    for number, (_, each) in enumerate(lora.adapters(decoder)):
        each.b[...] = 0.1 * jax.random.normal(jax.random.key(number), each.b[...].shape)
    return decoder


@pytest.fixture(scope="module")
def base() -> LanguageModel:
    return lm.load("tiny-lm")


@pytest.fixture(scope="module")
def expected(base: LanguageModel) -> np.ndarray:
    return np.asarray(learned(base)(TOKENS))


@pytest.fixture(params=["peft", "ours"])
def folder(request, base: LanguageModel, tmp_path) -> str:
    decoder, place = learned(base), tmp_path / "adapter"
    if request.param == "peft":
        adapter_files.save_peft(decoder, ADAPTERS, place, base="tiny-lm")
    else:
        adapter_files.save(decoder, ADAPTERS, place)
    return str(place)


def test_an_adapter_is_a_model_again(base: LanguageModel, folder: str, expected: np.ndarray) -> None:
    model = training.adapted(folder, base)
    np.testing.assert_allclose(model.decoder(TOKENS), expected, atol=2e-4)
    assert np.abs(np.asarray(base.decoder(TOKENS)) - expected).max() > 0.01
    assert model.name == "tiny-lm+adapter"
    assert len(model.source.sha256) == 2
    assert model.source.licence == base.source.licence


def test_the_shell_writes_a_model_that_loads(folder: str, expected: np.ndarray, tmp_path, capsys) -> None:
    words = ["models", "merge", folder, "--out", str(tmp_path / "aligned"), "--json", "-"]
    assert run([*words, "--base", "tiny-lm"]) == OK
    (facts,) = json.loads(capsys.readouterr().out)["models"]
    assert facts["path"] == str(tmp_path / "aligned")
    np.testing.assert_allclose(lm.load(tmp_path / "aligned").decoder(TOKENS), expected, atol=2e-4)


def test_what_an_adapter_lacks_is_said(base: LanguageModel, tmp_path, capsys) -> None:
    with pytest.raises(BadInput, match="holds no adapter: neither adapter_config.json nor adapter.json"):
        training.adapted(tmp_path, base)
    decoder, own = lora.attach(base.decoder, ADAPTERS), tmp_path / "own"
    adapter_files.save(decoder, ADAPTERS, own)
    assert run(["models", "merge", str(own), "--out", str(tmp_path / "aligned")]) == BAD_INPUT
    assert "does not say which model it adapts. Pass --base." in capsys.readouterr().err
    assert not (tmp_path / "aligned").exists()
    adapter_files.save_peft(decoder, ADAPTERS, tmp_path / "peft", base="tiny-lm")
    assert training.adapted(tmp_path / "peft").name == "tiny-lm+peft"
