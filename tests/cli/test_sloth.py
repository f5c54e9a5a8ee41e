"""`lleval sloth`: its tables, its JSON, its picture, the law it keeps, and what it says of bad words."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.cli import sloth as verb
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, OK

FAMILIES, EACH = 9, 3
FIT = ["--predict", "family-0:5B:2T", "--skills", "1"]


def drawn() -> pd.DataFrame:
    """Families of three sizes each, scores by one skill; as many as in the estimator's tests, for one compilation."""
    random = np.random.default_rng(3)
    family = np.repeat(np.arange(FAMILIES), EACH)
    size = np.tile(np.geomspace(1, 70, EACH), FAMILIES) * np.exp(0.2 * random.normal(size=len(family)))
    tokens = np.exp(random.normal(0.5, 0.8, FAMILIES))[family]
    skill = 0.55 * np.log(size / 7) + 0.6 * np.log(tokens / 2) + random.normal(0, 0.5, FAMILIES)[family]
    logit = skill[:, None] * random.uniform(0.6, 1.2, 3) + random.normal(0, 0.5, 3) + 0.2 * random.normal(size=(27, 3))
    names = {"model": [f"m{i}" for i in range(27)], "family": [f"family-{f}" for f in family]}
    scores = {f"bench-{j}": 0.25 + 0.75 / (1 + np.exp(-logit[:, j])) for j in range(3)}
    return pd.DataFrame(names | {"params": size * 1e9, "tokens": tokens * 1e12} | scores)


@pytest.fixture(scope="module")
def place(once) -> pathlib.Path:
    """Tables, good and bad, and a law with the JSON of the call that kept it."""
    return once("sloth-shell", _shell)


def _shell(folder: pathlib.Path) -> None:
    table = drawn()
    table.to_csv(folder / "board.csv", index=False)
    floors = pd.DataFrame({"benchmark": ["bench-0", "bench-1", "bench-2"], "floor": 0.25})
    floors.to_csv(folder / "floors.csv", index=False)
    table.assign(**{"bench-1": 0.5}).to_csv(folder / "flat.csv", index=False)
    table.assign(params=7e9).to_csv(folder / "one_size.csv", index=False)
    table.assign(params=table.params / 1e9, tokens=table.tokens / 1e12).to_csv(folder / "units.csv", index=False)
    table.assign(tokens=[2.0, *table.tokens[1:]]).to_csv(folder / "mixed.csv", index=False)
    table.assign(**{"bench-1": 100 * table["bench-1"]}).to_csv(folder / "percent.csv", index=False)
    table[:3].to_csv(folder / "few.csv", index=False)
    words = ["sloth", f"{folder}/board.csv", *FIT, "--out", f"{folder}/law", "--json", f"{folder}/found.json"]
    assert run(words) == OK
    law = ll.load(folder / "law")
    loose = dataclasses.replace(law, ended=dataclasses.replace(law.ended, status="not converged"))
    ll.save(loose, folder / "loose")
    ll.save(ll.sloth.estimate(loose, family="family-0", size=5e9, tokens=2e12), folder / "estimate")
    ll.save(
        ll.sloth.published.fit(ll.read_leaderboard(folder / "board.csv"), skills=1, inputs="pca"), folder / "published"
    )


def test_help_has_an_example(capsys: pytest.CaptureFixture) -> None:
    assert run(["sloth", "--help"]) == OK
    assert re.search(r"lleval sloth leaderboard.csv --predict llama-3:70e9:15e12", capsys.readouterr().out)
    assert run(["sloth"]) == BAD_INPUT
    assert "Usage:" in capsys.readouterr().err


def test_json_is_an_estimate(place: pathlib.Path) -> None:
    found = json.loads((place / "found.json").read_text())
    assert found["schema"] == "lleval/estimate/1"
    assert (found["target"], found["method"], found["level"]) == ("score", "sloth d=1 monotone", 0.95)
    assert [(one["row"], one["group"]) for one in found["estimates"]] == [
        ("family-0:5e9:2e12", f"bench-{j}") for j in range(3)
    ]
    assert all(0 <= one["low"] < one["value"] < one["high"] <= 1 for one in found["estimates"])
    assert [one["n_seen"] for one in found["estimates"]] == [27] * 3
    assert found["fit"]["status"] == "ok"
    assert (found["fit"]["models"], found["fit"]["families"], found["fit"]["skills"]) == (27, 9, 1)
    assert found["source"]["command"].startswith(f"lleval sloth {place}/board.csv --predict family-0:5B:2T")
    assert list(found["source"]["files"]) == ["board.csv", "floors.csv"]
    assert found["source"]["cite"] == ["polo2024sloth"]


def test_a_kept_law_answers_alike_and_at_once(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    law = ll.load(place / "law")
    assert isinstance(law, ll.FitResult)
    assert law.source.command.startswith("lleval sloth")
    capsys.readouterr()
    assert run(["sloth", f"{place}/law", "--predict", "family-0:5e9:2e12", "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    first = json.loads((place / "found.json").read_text())
    assert found["estimates"] == first["estimates"]
    assert found["source"]["files"] == first["source"]["files"]
    assert found["source"]["command"].startswith(f"lleval sloth {place}/law")
    direct = ll.sloth.estimate(law, family="family-0", size=5e9, tokens=2e12)
    assert direct.value.tolist() == [one["value"] for one in found["estimates"]]
    assert direct.high.tolist() == [one["high"] for one in found["estimates"]]


def test_a_law_that_ships_answers_by_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """And a file of that name comes before it."""
    monkeypatch.chdir(tmp_path)
    assert run(["sloth", "sloth-open-llm-v1", "--predict", "meta-llama-3:30B:15T", "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    direct = ll.sloth.estimate(ll.load_law("sloth-open-llm-v1"), family="meta-llama-3", size=30e9, tokens=15e12)
    assert [one["value"] for one in found["estimates"]] == direct.value.tolist()
    assert found["source"]["cite"] == ["polo2024sloth"]
    (tmp_path / "sloth-open-llm-v1").write_text("model,family\n")
    assert run(["sloth", "sloth-open-llm-v1", "--predict", "meta-llama-3:30B:15T"]) == BAD_INPUT
    assert "has no column 'params'; it has model, family" in capsys.readouterr().err


def test_a_table_and_a_picture(place: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    words = ["sloth", f"{place}/law", "--predict", "family-0:5B:2T", "--predict", "family-0:5e9:2e12"]
    assert run([*words, "--level", "0.8", "--plot", f"{tmp_path}/a.svg"]) == OK
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "family-0:5e9:2e12, estimated score, 80% intervals (method: sloth d=1 monotone)"
    assert [line.split()[0] for line in shown[1:5]] == ["benchmark", "bench-0", "bench-1", "bench-2"]
    assert shown[5].startswith("family-0: 3 models in the leaderboard, of ")
    assert "for the score that will be observed" in shown[6]
    assert re.search(r"27 models of 9 families on 3 benchmarks, ok after \d+ steps", shown[7])
    assert len(shown) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]
    assert (tmp_path / "a.svg").stat().st_size > 1000


def test_a_picture_alone_shows_the_families_of_most_sizes(place: pathlib.Path) -> None:
    law = ll.load(place / "law")
    assert isinstance(law, ll.FitResult)
    found = verb._largest(law)
    assert [target.family for target in found] == [f"family-{i}" for i in range(4)]
    assert found[0].size == drawn().params[:3].max()


def test_skills_and_families_are_explained(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["sloth", f"{place}/law", "--explain", "--json", f"{place}/explained.json"]) == OK
    shown = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(shown) if line.startswith("estimated loading"))
    assert [line.split()[0] for line in shown[at + 1 : at + 5]] == ["benchmark", "bench-0", "bench-1", "bench-2"]
    assert all(re.search(r" \d\.\d\d[* ] \[-?\d\.\d\d, \d\.\d\d\]$", line) for line in shown[at + 2 : at + 5])
    assert sum(line.startswith("family-") for line in shown) == 9
    found = json.loads((place / "explained.json").read_text())
    assert found["estimates"] == []
    law = ll.load(place / "law")
    assert isinstance(law, ll.FitResult)
    assert found["skills"]["efficiency"]["estimates"] == ll.skills.estimate(law, of="efficiency").to_dict()["estimates"]
    assert [one["row"] for one in found["skills"]["loading"]["estimates"]] == [f"bench-{j}" for j in range(3)]


def test_what_is_left_out_is_foretold(place: pathlib.Path, tmp_path: pathlib.Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    words = ["sloth", f"{place}/law", "--left-out", "--level", "0.8", "--plot", f"{tmp_path}/a.png"]
    assert run([*words, "--json", f"{tmp_path}/found.json"]) == OK
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())["left_out"]
    truth = drawn().set_index("model")
    off = [abs(one["value"] - truth.loc[one["row"], one["group"]]) for one in found["estimates"]]
    held = [one["low"] <= truth.loc[one["row"], one["group"]] <= one["high"] for one in found["estimates"]]
    assert len(off) == 9 * 2 * 3
    assert re.search(rf"^all +54 +{100 * np.mean(off):.2f} +{100 * np.mean(held):.0f}%$", shown, re.MULTILINE)
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.usefixtures("stopped")
def test_skills_are_chosen(place: pathlib.Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def choose(board: ll.Leaderboard, skills: range, link: list[str], **more: object) -> ll.Choice:
        asked.append((list(skills), list(link), more["seed"]))
        return ll.Choice(("law",), (("2", link[-1]),), ("errors of four",))

    monkeypatch.setattr(ll.sloth, "choose", choose)
    for words in ([], ["--link", "monotone"]):
        assert run(["sloth", f"{place}/board.csv", "--skills", "auto", "--out", f"{place}/new", *words]) == BAD_INPUT
    said = capsys.readouterr().err
    assert asked == [([1, 2, 3], ["monotone", "logistic"], 0), ([1, 2, 3], ["monotone"], 0)]
    assert said.count("chosen by errors of four") == 2
    assert re.search(r"27 x .* 2 {'seed': 0, 'strict': False, 'link': 'logistic'}", said)
    assert run(["sloth", f"{place}/board.csv", "--skills", "few", "--explain"]) == BAD_INPUT
    assert "'few' is neither 'auto' nor a whole number" in capsys.readouterr().err


def test_a_law_that_has_not_converged_says_so(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    words = ["sloth", f"{place}/loose", "--predict", "family-0:5e9:2e12"]
    assert run(words) == OK
    assert "not converged after" in capsys.readouterr().out
    assert run([*words, "--strict"]) == FAILED
    assert re.search(r"the law in .*loose is not converged after \d+ steps", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("word", "params", "tokens"),
    [
        ("a:70e9:15e12", 7e10, 1.5e13),
        ("a:7B:15T", 7e9, 1.5e13),
        ("a:560m:1.5e+11", 5.6e8, 1.5e11),
        ("a:1T:300b", 1e12, 3e11),
    ],
)
def test_counts_are_read_as_people_write_them(word: str, params: float, tokens: float) -> None:
    (found,) = verb._targets([word, word], None)
    assert found == ("a", params, tokens, None, None)


def test_a_family_may_hold_colons() -> None:
    (found,) = verb._targets(["org:llama:3:7B:2T"], True)
    assert (found.family, found.instruct) == ("org:llama:3", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.csv"], "nothing is asked for; give --predict family:size:tokens, as --predict llama-3:70B:15T"),
        (["none.csv", "--predict", "new:7B:2T"], "there is no file none.csv, and no leaderboard .*sloth-open-llm"),
        (["sloth-open-llm-v3", "--predict", "new:7B:2T"], "there are: .*; did you mean .*'sloth-open-llm-v2'"),
        (["sloth-open-llm-v1", *FIT], "sloth-open-llm-v1 is a law that is fitted already .*; leave out --skills"),
        (
            ["{board}", "--predict", "family-1:7e9"],
            "--predict family-1:7e9: family:size:tokens is wanted, as llama-3",
        ),
        (["{board}", "--predict", ":7e9:2e12"], "family:size:tokens is wanted"),
        (
            ["{board}", "--predict", "new:7Q:2T"],
            "--predict new:7Q:2T: size is '7Q'; a count such as 7e9 or 7B is wanted",
        ),
        (["{board}", "--predict", "new:-7B:2T"], "size is '-7B'; a count"),
        (["{board}", "--predict", "new:nan:2T"], "size is 'nan'; a count"),
        (["{board}", "--predict", "new:7e9B:2T"], "size is '7e9B'; a count"),
        (["{board}", "--predict", "new:7e999:2T"], "size is inf; a count"),
        (
            ["{board}", "--predict", "new:7B:15"],
            "--predict new:7B:15: tokens is 15; a count such as 2e12 or 2T is wanted",
        ),
        (
            ["{board}", "--predict", "Famly-3:7B:2T"],
            "family 'Famly-3' is not in the leaderboard; did you mean 'family-3'",
        ),
        (
            ["{law}", "--predict", "zzz:7B:2T"],
            r"family 'zzz' is not in the leaderboard \('new' is one that is not there\)",
        ),
        (
            ["{board}", *FIT, "--benchmark", "MMLU"],
            "there is no benchmark 'MMLU'; there are: bench-0, bench-1, bench-2",
        ),
        (
            ["{board}", "--predict", "new:7B:2T", "--skills", "4"],
            "skills is 4; with 3 benchmarks it must lie in 1 to 3",
        ),
        (["{board}", "--predict", "new:7B:2T", "--link", "probit"], "'probit' is not one of 'monotone', 'logistic'"),
        (["{board}", *FIT, "--level", "95"], "95 must lie strictly between 0 and 1; did you mean 0.95"),
        (["{place}/flat.csv", *FIT], "benchmark 'bench-1' has no two different scores; leave it out"),
        (["{place}/one_size.csv", *FIT], "all models have 7e.09 parameters; a law needs several sizes"),
        (["{place}/few.csv", *FIT], "has 3 models; a law needs at least 4"),
        (["{place}/mixed.csv", *FIT], "mixed.csv:2: tokens is 2, .* .is this one in trillions"),
        (["{place}/units.csv", *FIT, "--strict"], "params from .* are taken as billions; write counts"),
        (["{place}/percent.csv", *FIT, "--strict"], "scores of 'bench-1' reach .* are taken as percent"),
        (["{law}", *FIT, "--link", "logistic"], "law is a law .*sloth d=1 monotone.; leave out --skills and --link"),
        (["{law}", "--out", "{place}/again"], "leave out --out, or name a table"),
        (["{place}/estimate", "--predict", "new:7B:2T"], "estimate holds no law; INPUT is a table, or a folder"),
        (["{place}/published", "--predict", "new:7B:2T"], "published holds no law; INPUT is a table, or a folder"),
        (["{place}", "--predict", "new:7B:2T"], "holds no bank.json, fit.json or estimate.json"),
        (["{board}", "--plot", "{place}/a.txt"], "a.txt is not a picture file; name it .png, .svg or .pdf"),
        (["{board}", *FIT, "--json", "{place}"], "is a folder; --json takes a file"),
    ],
)
def test_bad_words_are_one_line(place: pathlib.Path, words: list[str], message: str, capsys) -> None:
    if "--plot" in words:
        pytest.importorskip("matplotlib")
    named = {"place": place, "board": f"{place}/board.csv", "law": f"{place}/law"}
    assert run(["sloth", *(word.format(**named) for word in words)]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(message, said.err.splitlines()[-1])


def test_too_many_lines_are_refused_before_the_fit(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    many = [word for i in range(7) for word in ("--predict", f"family-{i}:7B:2T")]
    assert run(["sloth", f"{place}/board.csv", *many, "--plot", f"{place}/a.png"]) == BAD_INPUT
    assert "--plot holds 6 families and numbers of tokens; --predict names 7" in capsys.readouterr().err


class Stopped(ll.BadInput):
    """What `stopped` says in place of a fit."""


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for `sloth.fit`: says what it would have fitted."""

    def fit(board: ll.Leaderboard, skills: int, **more: object) -> None:
        more.pop("tell")
        raise Stopped(f"{len(board.models)} x {board.benchmarks} {skills} {more} {board.scores.max() <= 1}")

    monkeypatch.setattr(ll.sloth, "fit", fit)


@pytest.mark.usefixtures("stopped")
def test_what_is_fitted(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    """The table that ships where none is named; units put right and said; as many skills as benchmarks allow."""
    assert run(["sloth", "--predict", "meta-llama-3:30B:15T", "--benchmark", "MMLU", "--seed", "3"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "no INPUT is given: using the leaderboard sloth-open-llm, which comes with the package" in said
    assert re.search(r"\d+ x \('MMLU',\) 1 {'seed': 3, 'strict': False, 'link': 'monotone'} True", said)
    assert run(["sloth", f"{place}/units.csv", "--predict", "new:7B:2T", "--link", "logistic"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "are taken as billions" in said
    assert "are taken as trillions" in said
    assert re.search(r"error: 27 x .* 3 {'seed': 0, 'strict': False, 'link': 'logistic'} True", said)
    assert run(["sloth", f"{place}/percent.csv", "--out", f"{place}/new"]) == BAD_INPUT
    assert "scores of 'bench-1' reach" in capsys.readouterr().err
