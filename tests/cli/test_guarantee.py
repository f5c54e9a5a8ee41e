"""`lleval ask --guarantee` and `lleval estimate --guarantee`: from nothing to two intervals."""

import json
import pathlib

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK


def answer(items: list[str], path: pathlib.Path) -> None:
    """Two models' answers to these questions."""
    random = np.random.default_rng(0)
    lines = [(model, item, int(random.random() < 0.7)) for item in items for model in ("x", "y")]
    pd.DataFrame(lines, columns=["model", "item", "score"]).to_csv(path, index=False)


def test_from_nothing_to_two_intervals(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ask = ["ask", "--bank", "livexiv-vqa", "--guarantee", "draws.json", "--out", "next.txt"]
    assert run([*ask, "-k", "8"]) == OK
    assert "ask next, of every model" in capsys.readouterr().out
    asked = pathlib.Path("next.txt").read_text().splitlines()
    assert asked == list(ll.read_draws("draws.json").items)
    answer(asked, tmp_path / "a.csv")
    estimate = ["estimate", "a.csv", "--bank", "livexiv-vqa", "--guarantee", "draws.json"]
    assert run([*estimate, "--json", "e.json"]) == OK
    assert "Holds whatever the model is" in capsys.readouterr().out
    found = json.loads(pathlib.Path("e.json").read_text())
    first, second = found["estimates"], found["guaranteed"]["estimates"]
    assert (found["guaranteed"]["method"], [each["row"] for each in second]) == ("drawn", ["x", "y"])
    assert all(each["low"] < each["value"] < each["high"] for each in (*first, *second))
    assert run(["ask", "a.csv", *ask[1:], "--threshold", "0.01", "-k", "4", "--json", "n.json"]) == OK
    assert ll.read_draws("draws.json").every_look
    assert run(estimate) == OK
    assert "Valid at every look" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["ask", "--bank", "b", "--guarantee", "d.json", "--std-error", "0.1"], "does not go with --std-error"),
        (["ask", "--bank", "b", "--guarantee", "d.json", "--out", "d.json"], "name the same place"),
        (["estimate", "a.csv", "--guarantee", "d.json"], "add --bank"),
        (["estimate", "a.csv", "--every-look"], "--every-look goes with --guarantee"),
        (["estimate", "a.csv", "--bank", "b", "--guarantee", "d.json", "--target", "ability"], "--target accuracy"),
    ],
)
def test_options_that_do_not_go_together(words, what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    answer(["q"], tmp_path / "a.csv")
    assert run(words) == BAD_INPUT
    assert what in capsys.readouterr().err
    assert not (tmp_path / "d.json").exists()
