"""`lleval judge`: from the first labels to corrected scores."""

import json

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK


@pytest.fixture
def table(tmp_path) -> pd.DataFrame:
    """Two models, forty questions, a judge from 1 to 10, no label yet."""
    random = np.random.default_rng(0)
    lines = [(model, f"q{i}", random.integers(1, 11)) for model in ("x", "y") for i in range(40)]
    return pd.DataFrame(lines, columns=["model", "item", "gpt"]).assign(rating=np.nan)


def test_from_the_first_labels_to_scores(table, tmp_path, capsys):
    table.to_csv(tmp_path / "a.csv", index=False)
    words = ["judge", f"{tmp_path}/a.csv", "--judge", "gpt", "--human", "rating", "--scale", "1", "10"]
    assert run([*words, "--next", "30", "--json", f"{tmp_path}/n.json"]) == OK
    asked = {(each["model"], each["item"]) for each in json.loads((tmp_path / "n.json").read_text())["next"]}
    assert (len(asked), "Label all of these" in capsys.readouterr().out) == (30, True)
    rows = zip(table.model, table.item, table.gpt, strict=True)
    table["rating"] = [gpt if (model, item) in asked else np.nan for model, item, gpt in rows]
    table.to_csv(tmp_path / "a.csv", index=False)
    assert run([*words, "--json", f"{tmp_path}/e.json"]) == OK
    assert "The judge helps: 30 labels with it are worth 80" in capsys.readouterr().out
    found = json.loads((tmp_path / "e.json").read_text())
    assert (found["schema"], found["worth"]["helps"]) == ("lleval/estimate/1", True)
    truth = ((table.gpt - 1) / 9).groupby(table.model).mean()
    assert all(each["low"] <= truth[each["row"]] <= each["high"] for each in found["estimates"])


def test_mistakes_are_one_line(table, tmp_path, capsys):
    table.to_csv(tmp_path / "a.csv", index=False)
    for words, what in (([], "has no column 'judge'"), (["--judge", "gpt"], "has no column 'human'")):
        assert run(["judge", f"{tmp_path}/a.csv", "--scale", "1", "10", *words]) == BAD_INPUT
        assert what in capsys.readouterr().err
    assert run(["judge", f"{tmp_path}/a.csv", "--judge", "gpt", "--human", "rating", "--scale", "1", "10"]) == BAD_INPUT
    assert "no model has 5 human labels" in capsys.readouterr().err


def test_no_label_yet_is_an_empty_matrix():
    table = {"model": ["a", "a"], "item": ["q", "r"], "judge": [0.8, 0.3], "human": [None, None]}
    scores, labels = ll.read_labels(table)
    assert (scores.seen.sum(), labels.seen.sum()) == (2, 0)
