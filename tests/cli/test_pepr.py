"""`lleval pepr`: its tables, its JSON, its picture, and what it says of bad words."""

import json
import pathlib
import re

import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK
from lleval_jax.data import simulate_logprobs

TRUE = {"task": 0.4, "examples": 0.3, "tone": 0.2, "rules": 0.1, "role": 0.0, "date": 0.0}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("pepr")
    simulate_logprobs(TRUE, 200, subsets=("task+tone",), seed=1).to_csv(folder / "scores.csv", index=False)
    simulate_logprobs(TRUE, 200, pairs=True, seed=1).to_csv(folder / "pairs.csv", index=False)
    simulate_logprobs(TRUE, 200, interaction=0.1, seed=1).to_csv(folder / "acting.csv", index=False)
    return folder


def test_help_has_an_example(capsys: pytest.CaptureFixture) -> None:
    assert run(["pepr", "--help"]) == OK
    assert re.search(r"lleval pepr scores.csv -k 3", capsys.readouterr().out)


def test_json_is_a_choice_with_estimates(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    words = ["pepr", f"{place}/scores.csv", "-k", "2", "--subset", "examples+tone", "--json", "-"]
    assert run(words) == OK
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "lleval/choice/1"
    assert found["rows"] == ["best of size 2"]
    assert len(found["items"]) == 2
    assert {"row", "value", "low", "high", "observed"} <= set(found["estimates"][0])
    assert {"examples+tone", "full", "task+tone"} <= {one["row"] for one in found["estimates"]}
    assert [one["row"] for one in found["weights"]] == [*TRUE]
    assert found["fit"]["status"] == "ok"
    assert found["source"]["command"] == " ".join(["lleval", *words])
    assert list(found["source"]["files"]) == ["scores.csv"]
    assert found["source"]["cite"] == ["feffer2024prompt"]


def test_tables_picture_and_fit(place: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "fit"
    words = ["pepr", f"{place}/scores.csv", "-k", "1", "-k", "2", "--plot", f"{tmp_path}/a.svg"]
    assert run([*words, "--out", str(out)]) == OK
    shown = capsys.readouterr().out
    for word in ("(method: pepr-r)", "explained:", "predicted", "best of size 1", "no other 2 better in"):
        assert word in shown
    assert (tmp_path / "a.svg").stat().st_size > 1000
    assert isinstance(ll.load(out), ll.FitResult)


def test_a_fit_that_is_not_linear_warns_on_stderr(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["pepr", f"{place}/acting.csv", "-k", "2"]) == OK
    said = capsys.readouterr()
    assert "warning: the weighted mean does not hold" in said.err
    assert "the model is not linear" in said.out
    assert run(["pepr", f"{place}/acting.csv", "--strict"]) == BAD_INPUT


@pytest.mark.slow
def test_pairs_are_read_where_there_is_nothing_else(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["pepr", f"{place}/pairs.csv", "-k", "2", "--scale", "auto", "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    assert (found["method"], found["target"]) == ("pepr-p", "margin in log-probability")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.csv"], "there is no file none.csv"),
        (
            ["{place}/scores.csv", "-k", "7"],
            "-k is 7; .* has 6 elements: task, examples, tone, rules, role, date",
        ),
        (["{place}/scores.csv", "--subset", "task+x"], "combination 'task.x' names 'x', which is no element"),
        (["{place}/scores.csv", "--ridge", "much"], "'much' is neither 'auto' nor a number"),
        (["{place}/scores.csv", "--ridge", "-1"], "ridge is -1.0; it must be 'auto' or a number that is not negative"),
        (["{place}/scores.csv", "--scale", "2"], "scale goes with pairs"),
        (["{place}/scores.csv", "--per", "token"], "needs the texts' lengths"),
        (["{place}/scores.csv", "--pairs"], "scores.csv has no column 'preferred'"),
        (["{place}/scores.csv", "--json", "{place}"], "is a folder; --json takes a file"),
    ],
)
def test_bad_words_are_one_line(place: pathlib.Path, words: list[str], message: str, capsys) -> None:
    assert run(["pepr", *(word.format(place=place) for word in words)]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(message, said.err.splitlines()[-1])
