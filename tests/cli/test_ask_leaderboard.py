"""`lleval ask --leaderboard`: what it shows, what its JSON says, and what it does not go with."""

import json

import pytest

from lleval_jax.cli.main import run
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
