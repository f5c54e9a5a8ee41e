"""Tables as people have them, from the shell."""

import shlex

import pytest

from lleval_jax import data
from lleval_jax.cli.main import run


def convert(folder, text, *words):
    (folder / "a.csv").write_text(text)
    status = run(["convert", str(folder / "a.csv"), "--out", str(folder / "out.parquet"), *words])
    return status


def test_columns_are_mapped(tmp_path, capsys):
    text = 'who,"what, then",points\na,q,1\nb,q,0\n'
    words = ["--columns", 'model=who,"item=what, then"', "--columns", "score=points", "--strict"]
    assert convert(tmp_path, text, *words) == 0
    assert data.read(tmp_path / "out.parquet").scores.tolist() == [[1], [0]]
    assert "warning" not in capsys.readouterr().err
    assert convert(tmp_path, text) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        "error: a.csv has no columns 'model', 'item', 'score'; it has 'who', 'what, then', 'points'. "
        "Answers need model, item, score. Pass --columns model=NAME,item=NAME,score=NAME."
    )


def test_what_an_error_says_to_type_can_be_typed(tmp_path, capsys):
    text = "model,item,is correct,Is_Correct\na,q,1,1\n"
    assert convert(tmp_path, text) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("Pass --columns 'score=is correct' or --columns score=Is_Correct.")
    assert convert(tmp_path, text, *shlex.split("--columns 'score=is correct'")) == 0


@pytest.mark.parametrize(("word", "said"), [("item", "'item' is not USE=NAME"), ("item=a,item=b", "is said twice")])
def test_columns_that_cannot_be_read_are_refused_first(tmp_path, capsys, word, said):
    assert convert(tmp_path, "model,item,score\na,q,1\n", "--columns", word) == 2
    assert said in capsys.readouterr().err


def test_a_matrix(tmp_path, capsys):
    assert convert(tmp_path, "1,0\n0,NA\n") == 2
    assert capsys.readouterr().err.rstrip().endswith("Pass --matrix if it has no names.")
    assert convert(tmp_path, "1,0\n0,NA\n", "--matrix", "--strict") == 0  # a guess is said and no error
    assert "warning: a.csv: names were made up: 'model-1' to 'model-2'" in capsys.readouterr().err
    found = data.read(tmp_path / "out.parquet")
    assert (found.rows, found.seen.tolist()) == (("model-1", "model-2"), [[True, True], [True, False]])
