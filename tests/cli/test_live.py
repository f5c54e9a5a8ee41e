"""`lleval live`: what is typed, shown and refused. The work itself is tested in tests/live."""

import json
import pathlib

import pytest

from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    assert run(["live", "new", "demo:live", "--name", "m"]) == OK
    return pathlib.Path("runs/m")


def test_a_run_goes_step_by_step(folder, capsys):
    capsys.readouterr()
    assert run(["live", "run", str(folder), "--until", "fetch", "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    assert found["papers"] > 10
    assert found["kept"] is None
    assert run(["live", "status", str(folder)]) == OK
    shown = capsys.readouterr().out
    assert "papers" in shown
    assert "blind-k-0.07" in shown
    assert run(["live", "export", str(folder), "--out", "x"]) == BAD_INPUT
    assert "no question" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new", "demo:live", "--name", "m"], "holds a run already"),
        (["new", "demo:lvie", "--name", "n"], "did you mean 'live'"),
        (["new", "none.toml", "--name", "n"], "there is no recipe"),
        (["new", "demo:live", "--name", "a/b"], "is no name of a folder"),
        (["run", "runs/none"], "is no folder of a run"),
        (["status", "runs/none"], "is no folder of a run"),
        (["sheet", "runs/m"], "has no papers yet"),
        (["retire", "runs/m", "logs"], "has no papers yet"),
        (["restore", "runs/m"], "holds all its pictures"),
        (["review", "runs/m", "--answers", "a.json", "--out", "b.html"], "--answers makes no page"),
        (["export", "runs/m", "--out", "x", "--to", "lm_eval"], "did you mean 'lm-eval'"),
    ],
)
def test_what_is_wrong_is_one_line(folder, words, said, capsys):
    capsys.readouterr()
    assert run(["live", *words]) == BAD_INPUT
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1 + shown.count(" s)\n")
