"""`lleval ask --leaderboard`: what it shows, what its JSON says, and what it does not go with."""

import contextlib
import json
import pathlib

import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell import output
from lleval_jax.cli.shell.status import BAD_INPUT, OK

ASK = ["ask", "demo:livexiv-vqa", "--bank", "livexiv-vqa", "--leaderboard"]


def test_a_leaderboard_says_who_is_asked_what_and_which_pairs_are_open(capsys: pytest.CaptureFixture) -> None:
    assert run([*ASK, "-k", "1"]) == OK
    shown = capsys.readouterr().out
    assert "open pairs: 1, of which 0." in shown
    assert "ask next" in shown
    assert run([*ASK, "--tolerance", "0.99", "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "lleval/choice/1"
    assert found["enough"]
    assert found["why"] == "its place is clear"
    assert found["open"] == []
    assert [entry["best"] for entry in found["ranks"]] == [1, 1]
    assert len(found["estimates"]) == 2


def test_estimates_so_far_are_drawn_with_the_goal(tmp_path: pathlib.Path, monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    drawn = []
    monkeypatch.setattr(ll.report.plot, "forest", lambda found, path, **how: drawn.append((found.rows, how)))
    monkeypatch.setattr(output, "picture", contextlib.nullcontext)
    models, plot = ("InternVL2-8B", "Idefics3"), ["--plot", f"{tmp_path}/a.png"]
    assert run([*ASK[:-1], "--threshold", "0.6", *plot]) == OK
    assert run([*ASK[:-1], "--compare", *models, *plot]) == OK
    assert run([*ASK, "--tolerance", "0.99", *plot]) == OK
    (rows, how), (pair, other), (all_rows, standing) = drawn
    assert all_rows == models
    assert standing["goals"] == {}
    assert standing["title"] == "Estimated accuracy so far; enough answers: 2 of 2 models"
    assert (rows, pair) == (models, (" - ".join(models),))
    assert how["goals"] == {"threshold 0.6": 0.6}
    assert how["title"] == "Estimated accuracy so far; enough answers: 0 of 2 models"
    assert other["goals"] == {"no difference": 0.0}


@pytest.mark.parametrize("words", ["ask --bank livexiv-vqa", "prompts best --budget 9"])
def test_nothing_can_be_drawn_before_the_first_answer(words: str, tmp_path: pathlib.Path, capsys) -> None:
    assert run([*words.split(), "--plot", f"{tmp_path}/a.png"]) == BAD_INPUT
    said = "--plot draws what the answers so far say, and none are given. Name INPUT, or leave it out."
    assert said in capsys.readouterr().err


def test_a_leaderboard_asks_by_its_own_rule(capsys: pytest.CaptureFixture) -> None:
    for words, message in (
        (["--by", "random"], "it does not go with --by"),
        (["--std-error", "0.1", "--balance"], "it does not go with --std-error, --balance"),
    ):
        assert run([*ASK, *words]) == BAD_INPUT
        assert message in capsys.readouterr().err
    assert run(["ask", "--bank", "livexiv-vqa", "--leaderboard"]) == BAD_INPUT
    assert "--leaderboard needs answers of each model" in capsys.readouterr().err
    assert run(["ask", "--bank", "livexiv-vqa", "--tolerance", "0.1"]) == BAD_INPUT
    assert "--tolerance goes with --leaderboard" in capsys.readouterr().err
