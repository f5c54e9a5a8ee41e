"""`lleval gate`: three verdicts, three exit statuses."""

import json
import pathlib
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, GATE_FAILED, GATE_INCONCLUSIVE, OK


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An old model that is right on 7 of 10 questions of 500, and new ones that lose none, 4 more, 50 more."""
    folder, right = tmp_path_factory.mktemp("gate"), np.arange(500) % 10 < 7
    for name, lost in (("old", 0), ("same", 0), ("near", 8), ("worse", 50)):
        score = right.copy()
        score[np.flatnonzero(right)[:lost]] = False
        items = [f"q{i}" for i in range(500)]
        frame = {
            "model": "m<&>",
            "item": items,
            "score": score.astype(int),
            "group": [f"g{i % 25}" for i in range(500)],
        }
        pd.DataFrame(frame).to_csv(folder / f"{name}.csv", index=False)
    pd.DataFrame({"model": "m", "item": ["other"], "score": 1}).to_csv(folder / "other.csv", index=False)
    return folder


def words(logs: pathlib.Path, new: str, *more: str) -> list[str]:
    return ["gate", f"{logs}/{new}.csv", "--baseline", f"{logs}/old.csv", "--margin", "0.02", *more]


@pytest.mark.parametrize(
    ("new", "status", "verdict", "tag"),
    [
        ("same", OK, "pass", "system-out"),
        ("worse", GATE_FAILED, "fail", "failure"),
        ("near", GATE_INCONCLUSIVE, "inconclusive", "error"),
    ],
)
def test_each_verdict_has_its_status_and_its_junit(logs, tmp_path, capsys, new, status, verdict, tag) -> None:
    assert run(words(logs, new, "--json", f"{tmp_path}/g.json", "--junit", f"{tmp_path}/g.xml")) == status
    assert verdict.upper() in capsys.readouterr().out
    found = json.loads((tmp_path / "g.json").read_text())
    assert (found["schema"], found["verdict"], found["questions"]) == ("lleval/gate/1", verdict, 500)
    assert found["population"] == "questions like these"
    assert (found["more"] is not None) == (verdict == "inconclusive")
    suite = ElementTree.parse(tmp_path / "g.xml").getroot()
    assert [each.tag for each in suite[0]] == [tag]
    assert int(suite.get("failures", "")) + int(suite.get("errors", "")) == int(verdict != "pass")


def test_these_questions_are_exact_without_repeats(logs, capsys) -> None:
    assert run(words(logs, "near", "--population", "all")) == OK
    assert "on these questions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--margin", "0"], "the margin is 0: equal models would then never pass; name one above 0, such as 0.02"),
        (["--margin", "-0.1"], "the margin is -0.1: it is the largest loss that is accepted; name one above 0"),
        (["--margin", "2"], "did you mean 0.02?"),
        (["--baseline", "{logs}/other.csv"], "Name one by --baseline-model"),
        (["--model", "x"], "the new answers have no model 'x'; there are"),
        (["--columns", "model=model,item=item,score=score,group=item", "--cluster", "group"], "a cluster of its own"),
        (["--columns", "model=model,item=item,score=score,group=model", "--cluster", "group"], "then one cluster"),
    ],
)
def test_bad_input_is_one_line(logs, capsys, more, message) -> None:
    assert run(words(logs, "same", *[each.format(logs=logs) for each in more])) == BAD_INPUT
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_no_question_in_common_is_one_line(logs, capsys) -> None:
    assert run(["gate", f"{logs}/other.csv", "--baseline", f"{logs}/old.csv", "--margin", "0.02"]) == BAD_INPUT
    assert "have answered no question in common" in capsys.readouterr().err.splitlines()[-1]


def test_python_says_the_same(logs) -> None:
    found = ll.gate(f"{logs}/same.csv", baseline=f"{logs}/old.csv", margin=0.2, cluster="group")
    assert found.passed
    assert (found.clusters, found.new, found.baseline) == (25, "m<&> (new)", "m<&> (baseline)")
