"""`lleval prompts`, `prompts plan`, `prompts best`: words, files, tables, JSON, pictures and errors."""

import csv
import json
import pathlib
import re
import shlex
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.prompts import grids
from lleval_jax.cli.shell.options import AS_WRITTEN
from lleval_jax.cli.shell.status import BAD_INPUT, OK
from lleval_jax.estimators import prompts as estimator
from lleval_jax.values.params import coded
from lleval_jax.values.progress import silent
from lleval_jax.values.results import Ended, FitResult

Shown = pytest.CaptureFixture[str]
ENTRY = {"row", "group", "value", "low", "high", "std_error", "n_seen", "status"}


def quick_fit(responses: ll.Responses, *, models=None, prompts=None, seed=0, **more) -> FitResult:
    """Stands for `prompts.fit`, which compiles for long: each prompt's own answers, and a beta posterior of them."""
    n, items = responses.scores.shape
    right, given = (responses.scores * responses.seen).sum(1), responses.n_seen
    draws = np.random.default_rng(seed).beta(right + 1, given - right + 1, (200, n)).astype(np.float32)
    zero, kinds = np.zeros(n), ["prompt", "example"]
    features = list(more["row_features"].columns) if more.get("row_features") is not None else []
    coef = np.zeros(len(features))
    size = np.array([0.4, 1.3])
    params = estimator.PromptParams(
        draws=draws,
        level=np.asarray(0.1),
        effect=zero,
        effect_sd=zero,
        example=np.zeros(items),
        coef=coef,
        coef_sd=coef,
        scale=size,
        scale_low=size / 2,
        scale_high=size * 2,
        dispersion=np.asarray(1.0),
        answered=given,
        example_var=np.zeros(items),
    )
    named = {"kinds": tuple(kinds), "features": tuple(features)}
    if models is not None and prompts is not None:
        (model, named["models"]), (prompt, named["templates"]) = coded(models), coded(prompts)
        params = params._replace(model=model, prompt=prompt)
    return FitResult(
        params=params,
        axes={"prompts": responses.rows, "examples": responses.items} | named,
        ended=Ended("ok", 1, 0.0),
        method="extended rasch",
        source=responses.source.merge(ll.Source(cite=estimator.CITE)),
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimator, "fit", quick_fit)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Files of the simulated grid, of two models, of names and of covariates; one prompt was never run."""
    folder = tmp_path_factory.mktemp("prompts")
    part, full = grids._simulated(False), grids._simulated(True)
    for name, answers in (("grid", part), ("full", full)):
        _table(answers).to_csv(folder / f"{name}.csv", index=False)
    two = [_table(answers).assign(model=model) for model, answers in (("org/a", part), ("org/a/b", full))]
    pd.concat(two).to_csv(folder / "two.csv", index=False)
    _table(full).assign(model="org/a").to_csv(folder / "other.csv", index=False)
    names = [*part.rows, "prompt-new"]
    (folder / "prompts.txt").write_text("\n".join(names) + "\n")
    (folder / "items.txt").write_text("\n".join(part.items) + "\n\n")
    kind = ["short", "long"] * 20 + ["other"]
    covariates = pd.DataFrame({"prompt": names, "words": range(41), "kind": kind})
    covariates.to_csv(folder / "features.csv", index=False)
    covariates.to_parquet(folder / "features.parquet", index=False)
    covariates[:9].to_csv(folder / "few.csv", index=False)
    covariates.assign(words=["1", ""] * 20 + ["3"]).to_csv(folder / "gaps.csv", index=False)
    texts = [f"Q: {{question}}{' please' * (i % 3)}\nAnswer:" for i in range(41)]
    pd.DataFrame({"prompt": names, "template": texts}).to_csv(folder / "templates.csv", index=False)
    pd.DataFrame({"item": part.items, "length": range(100)}).to_parquet(folder / "lengths.parquet", index=False)
    return folder


def _table(answers: ll.Responses) -> pd.DataFrame:
    return answers.to_frame().rename(columns={"model": "prompt"})[["prompt", "item", "score"]]


def _lleval(line: str) -> int:
    return run(shlex.split(line))


@pytest.mark.usefixtures("quick")
def test_quantiles_functionals_prompts_truth_and_a_comparison(capsys: Shown) -> None:
    words = "prompts demo:prompts --truth demo:prompts --what mean,worst --per-prompt --compare prompt-00 prompt-30"
    assert _lleval(f"{words} --json -") == OK
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "lleval/estimate/1"
    assert found["simulated"]
    rows = [entry["row"] for entry in found["estimates"]]
    assert rows == ["q05", "q25", "q50", "q75", "q95", "mean", "worst", *(f"prompt-{i:02}" for i in range(40))]
    assert set(found["estimates"][0]) == ENTRY | {"truth", "inside"}
    full = grids._simulated(True).scores.mean(1)
    truth = {entry["row"]: entry["truth"] for entry in found["estimates"]}
    assert truth["q25"] == pytest.approx(np.quantile(full, 0.25), abs=1e-6)
    assert truth["worst"] == pytest.approx(np.sort(full)[:2].mean(), abs=1e-6)
    assert truth["prompt-30"] == pytest.approx(full[30], abs=1e-6)
    assert 0 < found["wasserstein"]["all"] < 1
    assert found["fit"]["answers"] == 300
    assert found["comparison"]["estimates"][0]["row"] == "prompt-00 - prompt-30"
    assert 0 <= found["comparison"]["probability"] <= 1
    assert found["source"]["command"].startswith("lleval prompts demo:prompts")
    assert "polo2024prompteval" in found["source"]["cite"]
    assert _lleval(words) == OK
    shown = capsys.readouterr().out
    assert shown.startswith("simulated answers: estimated accuracy, 95% intervals (method: extended rasch)\nprompts ")
    assert re.search(r"prompt-\d\d is better with probability \d", shown)
    assert "300 of 4,000 cells answered: 40 prompts x 100 examples" in shown


@pytest.mark.usefixtures("quick")
def test_percents_become_rows_in_the_order_asked(place: pathlib.Path, capsys: Shown) -> None:
    assert _lleval(f"prompts {place}/grid.csv --quantiles '90, 2.5,0' --level 0.8 --json -") == OK
    found = json.loads(capsys.readouterr().out)
    assert [entry["row"] for entry in found["estimates"]] == ["q90", "q2.5", "q00"]
    assert found["level"] == 0.8
    assert not found["simulated"]


def test_the_papers_own_estimator_stands_beside(place: pathlib.Path, capsys: Shown) -> None:
    assert _lleval(f"prompts {place}/grid.csv --reference --quantiles 50 --json -") == OK
    found = json.loads(capsys.readouterr().out)
    assert found["method"] == "prompteval as published"
    assert found["fit"]["scales"] == []
    assert found["estimates"][0]["low"] < found["estimates"][0]["value"] < found["estimates"][0]["high"]


@pytest.mark.usefixtures("quick")
def test_prompts_without_answers_are_named_in_a_file(place: pathlib.Path, capsys: Shown) -> None:
    line = f"prompts {place}/grid.csv --prompts {place}/prompts.txt --items {place}/items.txt"
    more = f"--features {place}/features.parquet --templates {place}/templates.csv"
    assert _lleval(f"{line} {more} --item-features {place}/lengths.parquet --json -") == OK
    found = json.loads(capsys.readouterr().out)["fit"]
    assert (found["prompts"], found["examples"], found["answers"]) == (41, 100, 300)
    assert found["unanswered"] == ["prompt-new"]
    names = [entry["name"] for entry in found["features"]]
    assert names[:4] == ["words", "kind=short", "kind=long", "kind=other"]
    assert "word Answer:" in names
    assert _lleval(line) == OK
    assert "'prompt-new' has no answer; estimated from the others" in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_several_models_are_told_apart_by_their_names(place: pathlib.Path, capsys: Shown) -> None:
    line = f"prompts {place}/two.csv --quantiles 50"
    assert _lleval(f"{line} --features {place}/features.csv --prompts {place}/prompts.txt --json -") == OK
    found = json.loads(capsys.readouterr().out)
    assert [(e["row"], e["group"]) for e in found["estimates"]] == [("q50", "org/a"), ("q50", "org/a/b")]
    assert found["fit"]["prompts"] == 82
    assert found["fit"]["unanswered"] == ["org/a/prompt-new", "org/a/b/prompt-new"]
    assert _lleval(f"{line} --compare org/a org/a/b --json -") == OK
    compared = json.loads(capsys.readouterr().out)["comparison"]
    assert compared["estimates"][0]["row"] == "org/a - org/a/b"
    assert compared["won"][0]["row"] == "org/a over org/a/b"
    assert _lleval(f"{line} --compare org/a org/a/b") == OK
    shown = capsys.readouterr().out
    assert re.search(r"^share of prompts won by org/a +0\.\d", shown, re.MULTILINE)
    assert re.search(r"org/a(/b)? is better with probability \d", shown)
    assert _lleval(f"{line} --compare org/a nobody") == BAD_INPUT
    assert "models are org/a, org/a/b" in capsys.readouterr().err
    read = ll.read(place / "two.csv", rows="prompt")
    parts = dict(zip(read.rows, zip(read.parts["model"], read.parts["prompt"], strict=True), strict=True))
    assert parts["org/a/b/prompt-07"] == ("org/a/b", "prompt-07")
    assert parts["org/a/prompt-07"] == ("org/a", "prompt-07")
    assert _lleval(f"prompts best {place}/two.csv --budget 900") == BAD_INPUT
    assert "several models (org/a, org/a/b); the best prompt is sought for one" in capsys.readouterr().err


def test_one_model_whose_prompts_hold_slashes_is_one(tmp_path: pathlib.Path) -> None:
    answers = {"prompt": ["a/1", "b/1"] * 2, "item": ["x", "x", "y", "y"], "score": [0, 1, 1, 0]}
    pd.DataFrame(answers).assign(model="m").to_csv(tmp_path / "grid.csv", index=False)
    grid = grids.read([str(tmp_path / "grid.csv")], AS_WRITTEN, strict=True, tell=silent)
    assert grid.models is None
    assert grid.names == ("a/1", "b/1")


@pytest.mark.usefixtures("quick")
def test_a_picture_and_the_fit_are_kept(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    line = f"prompts {place}/grid.csv --plot {tmp_path}/a.png --out {tmp_path}/fit --json {tmp_path}/a.json"
    assert _lleval(line) == OK
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.png", "fit"]
    kept = ll.load(tmp_path / "fit")
    assert isinstance(kept, FitResult)
    assert kept.source.command == f"lleval {line}"
    said = json.loads((tmp_path / "a.json").read_text())["estimates"]
    assert estimator.estimate(kept).value.tolist() == pytest.approx([entry["value"] for entry in said])


def test_a_plan_is_a_loop_with_files(place: pathlib.Path, tmp_path: pathlib.Path, capsys: Shown) -> None:
    """Nothing was run; the plan is run; the next plan adds what is new, until the budget is there."""
    full = {(r, i): s for r, i, s in _table(grids._simulated(True)).itertuples(index=False)}
    names = f"--prompts {place}/prompts.txt --items {place}/items.txt --out {tmp_path}/next.csv"
    answers = tmp_path / "answers.csv"
    given: list[tuple[str, str, float]] = []
    for budget in (41, 120):
        inputs = str(answers) if given else ""
        assert _lleval(f"prompts plan {inputs} --budget {budget} {names}") == OK
        with open(tmp_path / "next.csv", newline="") as stream:
            cells = list(csv.DictReader(stream))
        assert len(cells) == budget - len(given)
        given += [(c["prompt"], c["item"], full.get((c["prompt"], c["item"]), 0.0)) for c in cells]
        pd.DataFrame(given, columns=["prompt", "item", "score"]).to_csv(answers, index=False)
    assert len({(p, i) for p, i, _ in given}) == 120
    counts = pd.Series([p for p, _, _ in given]).value_counts()
    assert counts.max() - counts.min() <= 1
    capsys.readouterr()
    assert _lleval(f"prompts plan {answers} --budget 120 {names} --json -") == OK
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "lleval/choice/1"
    assert found["enough"]
    assert found["cells"] == []


def test_a_plan_is_drawn(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    assert _lleval(f"prompts plan demo:prompts --budget 340 --plot {tmp_path}/grid.png") == OK
    assert (tmp_path / "grid.png").stat().st_size > 1000


def test_a_plan_shows_its_first_cells(capsys: Shown) -> None:
    assert _lleval("prompts plan demo:prompts --budget 340") == OK
    shown = capsys.readouterr().out
    assert shown.startswith("simulated answers: run next: 40 cells, ")
    assert "and 28 more; --out FILE writes them all" in shown
    assert _lleval("prompts plan demo:prompts --budget 303 --json -") == OK
    found = json.loads(capsys.readouterr().out)
    assert len(found["cells"]) == 3
    assert not found["enough"]
    assert (found["answered"], found["budget"], found["by"]) == (300, 303, "balanced")


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_the_best_prompt_so_far_and_whom_to_ask(place: pathlib.Path, tmp_path: pathlib.Path, capsys: Shown) -> None:
    line = f"prompts best {place}/grid.csv --budget"
    drawn = tmp_path / "best.svg"
    plot = f"--plot {drawn}" if find_spec("matplotlib") else ""
    assert _lleval(f"{line} 320 --out {tmp_path}/next.csv {plot} --json -") == OK
    assert not plot or "<svg" in drawn.read_text()[:1000]
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "lleval/choice/1"
    assert len(found["cells"]) == 20
    assert (tmp_path / "next.csv").read_text().splitlines()[1:] == [",".join(cell) for cell in found["cells"]]
    assert found["best"]["prompt"] == found["estimates"][0]["row"]
    assert 0 < found["best"]["probability"] < 0.95
    assert found["why"] == found["best"]["why"]
    assert "best, or tied for it, with probability" in found["why"]
    assert _lleval(f"{line} 300") == OK
    shown = capsys.readouterr().out
    assert shown.startswith("best so far\nprompt     P(best)\n")
    assert "the budget of 300 is spent" in shown
    prices = pd.DataFrame({"prompt": grids._simulated(False).rows, "price": 2.0})
    prices.to_csv(tmp_path / "prices.csv", index=False)
    assert _lleval(f"{line} 620 --price {tmp_path}/prices.csv --json -") == OK
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 10


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "prompts {p}/grid.csv --quantiles 0.05",
            "quantile 0.05 is not a percent: 0, or from 1 to 100; did you mean 5?",
        ),
        ("prompts {p}/grid.csv --quantiles 5,101", "quantile 101 is not a percent"),
        ("prompts {p}/grid.csv --quantiles -5", "quantile -5 is not a percent"),
        ("prompts {p}/grid.csv --quantiles nan", "quantile nan is not a percent"),
        ("prompts {p}/grid.csv --quantiles half", "'half' is not a number; quantiles are percents, such as 5,50,95"),
        ("prompts {p}/grid.csv --quantiles ,", "nothing is asked for"),
        ("prompts {p}/grid.csv --what median", "--what has 'median'; it takes mean, worst, spread"),
        ("prompts {p}/grid.csv --compare prompt-00 nobody", "--compare: there is no prompt 'nobody'"),
        ("prompts {p}/grid.csv --compare prompt-00 prompt-00", "two different prompts are needed"),
        ("prompts {p}/grid.csv --truth {p}/grid.csv", "--truth lacks 3,700 of the 4,000 answers"),
        ("prompts {p}/grid.csv --truth {p}/other.csv --prompts {p}/prompts.txt", "--truth lacks 1 of the prompts"),
        ("prompts {p}/grid.csv --features {p}/few.csv", "few.csv has no line for prompt 'prompt-09' (31 are missing)"),
        (
            "prompts {p}/grid.csv --features {p}/gaps.csv",
            "column 'words' holds numbers, but none for prompt 'prompt-01'",
        ),
        ("prompts {p}/grid.csv --features {p}/lengths.parquet", "lengths.parquet has no column 'prompt'"),
        ("prompts {p}/grid.csv --features {p}/none.csv", "there is no file"),
        ("prompts {p}/grid.csv --templates {p}/features.csv", "it needs prompt and template"),
        (
            "prompts {p}/grid.csv --prompts {p}/items.txt",
            "--prompts does not name ['prompt-00'], which the answers have",
        ),
        ("prompts {p}/grid.csv --plot {p}/a.gif", "a.gif is not a picture file; name it .png, .svg or .pdf"),
        ("prompts {p}/items.txt", "is not in a format that can be read"),
        ("prompts demo:prompts {p}/grid.csv", "it cannot be mixed with other inputs"),
        ("prompts --seed 1 {p}/grid.csv --nothing", "No such option: --nothing"),
        ("prompts plan --budget 10", "nothing was run yet: name what there is with --prompts FILE and --items FILE"),
        ("prompts plan {p}/grid.csv --budget 5000", "a budget of 5000 answers is more than the 300 asked"),
        ("prompts plan {p}/grid.csv", "Missing option '--budget'"),
        ("prompts best {p}/grid.csv --budget 900 --price {p}/features.csv", "has no column 'price'"),
    ],
)
def test_an_error_is_one_line(place: pathlib.Path, capsys: Shown, line: str, message: str) -> None:
    assert _lleval(line.format(p=place)) == BAD_INPUT
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_grids_that_are_none(tmp_path: pathlib.Path, capsys: Shown) -> None:
    path = tmp_path / "grid.csv"
    for columns, message in (
        ("model,item,score\nm,x,1\n", "grid.csv has no column 'prompt'; it has 'model', 'item', 'score'"),
        ("prompt,item,score\na,x,1\na,y,0\n", "there is 1 prompt; the spread over prompts needs at least two"),
        ("prompt,item,score\na,x,\nb,y,\n", "grid.csv holds no answer that was scored"),
    ):
        path.write_text(columns)
        assert _lleval(f"prompts {path}") == BAD_INPUT
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["", "plan", "best"])
def test_every_help_carries_an_example_that_works_as_it_stands(verb: str, capsys: Shown) -> None:
    assert _lleval(f"prompts {verb} --help") == OK
    shown = capsys.readouterr().out
    usage, rest = shown.split("\n", 1)
    assert re.match(rf"Usage: .* prompts {verb}".rstrip() + r" \[OPTIONS\]", usage)
    assert f"lleval prompts {verb}".rstrip() + " demo:prompts" in rest.split("Options:")[0]


@pytest.mark.slow
def test_the_examples_of_the_help(capsys: Shown, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in ("", "plan", "best"):
        run(["prompts", *([verb] if verb else []), "--help"])
        examples = re.findall(r"^\s+lleval (prompts .*demo:prompts.*)$", capsys.readouterr().out, re.MULTILINE)
        assert examples
        for line in examples:
            assert _lleval(line) == OK
            assert "simulated answers" in capsys.readouterr().out


@pytest.mark.slow
def test_the_distribution_is_found_where_the_answers_are_simulated(place: pathlib.Path, capsys: Shown) -> None:
    # Eight functionals at 0.9999: a false alarm in at most one of 1,250 changes of the draws.
    line = f"prompts {place}/grid.csv --truth {place}/full.csv --what mean,worst,spread --level 0.9999 --json -"
    assert _lleval(line) == OK
    found = json.loads(capsys.readouterr().out)
    assert len(found["estimates"]) == 8
    assert all(entry["inside"] for entry in found["estimates"])
