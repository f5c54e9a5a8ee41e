"""`lleval estimate --bayes`."""

import json
import pathlib

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, OK
from lleval_jax.data.simulate import simulate


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Five models on 30 questions in two groups."""
    path = tmp_path_factory.mktemp("bayes") / "answers.csv"
    simulate(5, 30, seed=1, groups=2)[0].to_frame().to_csv(path, index=False)
    return path


def test_json_says_the_posterior_its_engine_and_diagnostics(answers, capsys):
    words = ["--bayes", "--engine", "laplace", "--leaderboard", "--compare", "row-0", "row-1", "--seed", "3"]
    assert run(["estimate", str(answers), *words, "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    posterior = bayes.sample(bayes.irt("2pl"), ll.read(answers), engine="laplace", key=3)
    want = posterior.estimate("rate", groups=False)
    assert found["schema"] == "lleval/estimate/1"
    assert found["engine"] == "laplace"
    assert found["diagnostics"] == posterior.diagnostics.to_dict()
    assert [entry["value"] for entry in found["estimates"]] == want.value.tolist()
    assert found["ranks"][0]["row"] == want.rows[int(np.argmax(want.value))]
    assert sum(entry["p_best"] for entry in found["ranks"]) == pytest.approx(1)
    gap = found["comparison"]["estimates"][0]
    above = posterior.estimate("ahead", first="row-0", second="row-1")
    assert (gap["row"], gap["first_is_better"]) == ("row-0 - row-1", above.value[0])


@pytest.mark.slow
def test_tables_say_what_intervals_are_of_and_what_failed(answers, capsys):
    assert (
        run(["estimate", str(answers), "--bayes", "--draws", "20", "--leaderboard", "--compare", "row-0", "row-1"])
        == OK
    )
    out = capsys.readouterr().out
    assert "P(best)" in out
    assert "P(first is better)" in out
    assert "the probability of a right answer on these questions" in out
    assert "take more draws" in out


@pytest.mark.slow
def test_strict_fails_where_chains_do_not_agree(answers, capsys):
    assert run(["estimate", str(answers), "--bayes", "--draws", "20", "--strict"]) == FAILED
    assert "rate" in capsys.readouterr().out


def test_what_does_not_go_together_is_one_line(answers, capsys):
    assert run(["estimate", str(answers), "--bayes", "--bank", "livexiv-vqa"]) == BAD_INPUT
    assert capsys.readouterr().err.strip() == "error: --bank does not go with --bayes; leave one of them out"
