"""`lleval refresh`: whom to run, the scores of all, what rows mean, banks on one scale; and what bad words are told."""

import json
import pathlib
import re

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, OK

MODELS = [f"{family}-{size}b" for family in ("ant", "bee", "cat", "dog", "elk", "fox") for size in (1, 7)]
RUN = ["ant-1b", "cat-7b", "fox-1b"]
DOMAINS = ("law", "math")
ITEMS = 150


def answers(name: str, random: np.random.Generator) -> pd.DataFrame:
    """All models on a version of two domains: ability, drift of the version and of each model."""
    ability = np.linspace(-1.5, 1.5, len(MODELS)) + random.normal(0, 0.08, len(MODELS)) + random.normal(0, 0.2)
    hard = random.normal(0, 1, 2 * ITEMS)
    right = random.random((len(MODELS), 2 * ITEMS)) < 1 / (1 + np.exp(hard - ability[:, None]))
    cells = [(i, j) for i in range(len(MODELS)) for j in range(2 * ITEMS)]
    return pd.DataFrame(
        {
            "model": [MODELS[i] for i, _ in cells],
            "item": [f"{name}-{j}" for _, j in cells],
            "score": [int(right[cell]) for cell in cells],
            "group": [DOMAINS[j % 2] for _, j in cells],
        }
    )


@pytest.fixture(scope="module")
def place(once) -> pathlib.Path:
    """Versions, good and bad, prices, and the JSON of a choice and of an estimate."""
    return once("refresh-shell", _shell)


def _shell(folder: pathlib.Path) -> None:
    random = np.random.default_rng(5)
    v1, v2, v3 = (answers(name, random) for name in ("v1", "v2", "v3"))
    for name, table in (("v1", v1), ("v2", v2), ("v3", v3)):
        table.to_parquet(folder / f"{name}.parquet")
    v3[v3.model.isin(RUN)].to_parquet(folder / "v3_partial.parquet")
    v2.assign(model="gnu-" + v2.model).to_parquet(folder / "strangers.parquet")
    v2[v2.model.isin(MODELS[:2])].to_parquet(folder / "two.parquet")
    swapped = v1.model.replace({"ant-1b": "fox-7b", "fox-7b": "ant-1b"})
    v1.assign(model=swapped).to_parquet(folder / "swapped.parquet")
    v1.to_parquet(folder / "copy.parquet")
    prices = pd.DataFrame({"model": MODELS, "price": [1 + 9 * name.endswith("7b") for name in MODELS]})
    prices.to_csv(folder / "prices.csv", index=False)
    prices[1:].to_csv(folder / "no_ant.csv", index=False)
    prices.assign(price=0).to_csv(folder / "free.csv", index=False)
    prices.rename(columns={"price": "cost"}).to_csv(folder / "cost.csv", index=False)
    pairs = [f"{folder}/v1.parquet", f"{folder}/v2.parquet"]
    assert run(["refresh", "choose", *pairs, "-k", "3", "--json", f"{folder}/choice.json"]) == OK
    words = [*pairs, f"{folder}/v3.parquet", *(word for name in RUN for word in ("--rerun", name))]
    words += ["--ranks", "--suspects", "--out", f"{folder}/fit", "--json", f"{folder}/found.json"]
    assert run(["refresh", "estimate", *words]) == OK


@pytest.mark.parametrize("verb", ["choose", "estimate", "check", "link"])
def test_help_has_an_example(verb: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["refresh", verb, "--help"]) == OK
    assert f"lleval refresh {verb} " in capsys.readouterr().out
    assert run(["refresh", verb]) == BAD_INPUT
    assert "Usage:" in capsys.readouterr().err


def test_json_is_a_choice(place: pathlib.Path) -> None:
    found = json.loads((place / "choice.json").read_text())
    assert found["schema"] == "lleval/choice/1"
    assert len(found["rows"]) == 3
    assert set(found["rows"]) <= set(MODELS)
    assert [one["row"] for one in found["choices"]] == found["rows"]
    assert re.match(r"the expected error falls from \d+\.\d\d to \d+\.\d\d points", found["choices"][0]["why"])
    assert [one["row"] for one in found["expected"]] == [None, *found["rows"]]
    errors = [one["error"] for one in found["expected"]]
    assert errors == sorted(errors, reverse=True)
    assert found["choices"][-1]["why"].split()[-5] == f"{100 * errors[-1]:.2f}"
    assert found["cost"] == {"chosen": 3, "all": 12, "saved": 0.75}
    assert (found["fit"]["versions"], found["fit"]["domains"]) == (["v1", "v2"], list(DOMAINS))
    assert list(found["source"]["files"]) == ["v1.parquet", "v2.parquet"]
    assert found["source"]["command"].startswith("lleval refresh choose")
    assert found["why"].startswith("chosen together, as a set: the expected error falls from ")
    first, last = (100 * found["expected"][i]["error"] for i in (0, -1))
    assert f"from {first:.2f} to {last:.2f} points" in found["why"]
    assert "seed" in found["source"]


def test_json_is_an_estimate(place: pathlib.Path) -> None:
    found = json.loads((place / "found.json").read_text())
    assert (found["schema"], found["target"], found["version"]) == ("lleval/estimate/1", "accuracy", "v3")
    keys = [(row, group) for row in MODELS for group in ("all", *DOMAINS)]
    assert [(one["row"], one["group"]) for one in found["estimates"]] == keys
    assert found["rerun"] == RUN
    for one in found["estimates"]:
        assert (one["known"] == "measured") == (one["row"] in RUN) == (one["low"] == one["high"])
        assert one["n_seen"] == (0 if one["row"] not in RUN else 2 * ITEMS if one["group"] == "all" else ITEMS)
    away = [abs(one["value"] - one["truth"]) for one in found["estimates"] if one["known"] == "predicted"]
    assert np.mean(away) < 0.05
    assert np.mean([one["inside"] for one in found["estimates"]]) > 0.8
    assert found["check"]["findings"] == []
    assert [one["row"] for one in found["ranks"]] == MODELS
    assert all(one["low"] <= one["value"] <= one["high"] and 0 <= one["holds"] <= 1 for one in found["ranks"])
    assert len(found["ranks"][0]["chance"]) == len(MODELS)
    assert found["suspects"]["schema"] == "lleval/suspicion/1"
    assert {one["row"] for one in found["suspects"]["excess"]["estimates"]} == {name[:3] for name in MODELS}


def test_it_says_what_the_library_says(place: pathlib.Path) -> None:
    """Of the fit that is kept, and of the new version's answers handed to the fit of the old ones."""
    found = json.loads((place / "found.json").read_text())
    fit = ll.load(place / "fit")
    assert isinstance(fit, ll.FitResult)
    assert fit.source.command.startswith("lleval refresh estimate")
    direct = ll.refresh.estimate(fit)
    assert direct.value.tolist() == [one["value"] for one in found["estimates"]]
    old = ll.refresh.fit({name: ll.read(place / f"{name}.parquet") for name in ("v1", "v2")})
    added = ll.refresh.estimate(old, answers=ll.read(place / "v3_partial.parquet"))
    np.testing.assert_allclose(added.value, direct.value, atol=2e-3)
    np.testing.assert_allclose(added.high, direct.high, atol=5e-3)


def test_a_partial_file_is_the_new_version(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    words = [f"{place}/{name}.parquet" for name in ("v1", "v2", "v3_partial")]
    assert run(["refresh", "estimate", *words, "--level", "0.5"]) == OK
    said = capsys.readouterr().out
    assert said.startswith("estimated accuracy on v3_partial, 50% intervals (method: refresh d=3)\n")
    assert len(re.findall(r"^\S+-\db .* measured$", said, re.MULTILINE)) == 3
    assert len(re.findall(r"^law .* predicted$", said, re.MULTILINE)) == 9
    assert "truth" not in said


def test_choice_by_price_of_a_domain(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    pairs = [f"{place}/v1.parquet", f"{place}/v2.parquet"]
    words = ["--budget", "3", "--price", f"{place}/prices.csv", "--force", "dog-7b", "--ask", "law", "--json", "-"]
    assert run(["refresh", "choose", *pairs, *words]) == OK
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0] == "dog-7b"
    assert len(found["rows"]) == 4
    assert all(name.endswith("1b") for name in found["rows"][1:])
    assert found["choices"][0]["why"] == "run in any case"
    assert "the expected error on law falls from" in found["choices"][1]["why"]
    assert found["cost"] == {"chosen": 13, "all": 66, "saved": 1 - 13 / 66}


def test_choice_as_a_table(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    """A new model that is forced is said, and counts; the pool is kept to."""
    pairs = [f"{place}/v1.parquet", f"{place}/v2.parquet"]
    words = ["-k", "1", "--ask", "ranking", "--among", "ant-1b", "--among", "bee-7b", "--force", "ant-2b"]
    assert run(["refresh", "choose", *pairs, *words]) == OK
    said = capsys.readouterr()
    assert "warning: --force: 'ant-2b' is in no version, and taken for a new model; did you mean 'ant-" in said.err
    lines = said.out.splitlines()
    assert lines[0] == "to run on the next version, for the order of all models"
    assert lines[2].split() == ["1", "ant-2b", "run", "in", "any", "case"]
    assert lines[3].split()[1] in ("ant-1b", "bee-7b")
    assert "2 of 13 models are run, 600 answers instead of 3,900 on a version of 300 items" in said.out


def test_the_picture_shows_the_best_set_of_each_size(place: pathlib.Path, tmp_path, monkeypatch) -> None:
    """So that no choice is drawn worse than another of the same size, which the first of a best set of three can be."""
    pytest.importorskip("matplotlib")
    drawn = []
    usual = ll.report.refresh_plots.choice
    monkeypatch.setattr(ll.report.refresh_plots, "choice", lambda *a, **k: drawn.append(a) or usual(*a, **k))
    pairs = [f"{place}/v1.parquet", f"{place}/v2.parquet"]
    words = ["-k", "4", "--force", "ant-1b", "--plot", f"{tmp_path}/choice.png"]
    assert run(["refresh", "choose", *pairs, *words]) == OK
    outlooks, even, *_ = drawn[0]
    assert len(outlooks) == len(even) == 6
    fit = ll.refresh.fit({name: ll.read(place / f"{name}.parquet") for name in ("v1", "v2")})
    for size, outlook in enumerate(outlooks[2:], 1):
        rows = ll.refresh.choose(fit, k=size, force=["ant-1b"]).rows
        np.testing.assert_allclose(outlook.low, ll.refresh.preview(fit, rerun=rows).low, atol=1e-9)


def test_choice_for_a_version_of_other_items(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    """As the library chooses; a domain that is new is said, and can be asked for."""
    pairs = [f"{place}/v1.parquet", f"{place}/v2.parquet"]
    words = ["-k", "2", "--items", "law=40", "--items", "tax=a=60", "--ask", "tax=a"]
    assert run(["refresh", "choose", *pairs, *words]) == OK
    said = capsys.readouterr()
    assert "warning: --items: 'tax=a' is in no version, and taken for a new domain" in said.err
    assert "2 of 12 models are run, 200 answers instead of 1,200 on a version of 100 items" in said.out
    assert run(["refresh", "choose", *pairs, *words, "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    fit = ll.refresh.fit({name: ll.read(place / f"{name}.parquet") for name in ("v1", "v2")})
    direct = ll.refresh.choose(fit, k=2, of="tax=a", items={"law": 40, "tax=a": 60})
    assert found["rows"] == list(direct.rows)
    assert [one["why"] for one in found["choices"]] == list(direct.why)
    assert direct.why[-1].split()[-5] == f"{100 * found['expected'][-1]['error']:.2f}"
    assert run(["refresh", "choose", *pairs, "-k", "2", "--items", "law=40", "--ask", "law"]) == OK
    assert re.search(r"expected RMSE on law over .* \d+\.\d\d points without re-running any", capsys.readouterr().out)


def test_pictures(place: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    pairs = [f"{place}/v1.parquet", f"{place}/v2.parquet"]
    assert run(["refresh", "choose", *pairs, "-k", "2", "--ask", "math", "--plot", f"{tmp_path}/choice.png"]) == OK
    words = [*pairs, f"{place}/v3_partial.parquet"]
    assert run(["refresh", "estimate", *words, "--ranks", "--plot", f"{tmp_path}"]) == OK
    assert run(["refresh", "estimate", *words, "--plot", f"{tmp_path}/one.png"]) == OK
    assert {path.name for path in tmp_path.iterdir()} == {"choice.png", "scores.png", "ranks.png", "one.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
    assert run(["refresh", "estimate", *words, "--plot", f"{tmp_path}/one.txt"]) == BAD_INPUT
    assert "one.txt is not a picture file; name it .png, .svg or .pdf" in capsys.readouterr().err


def test_models_spread_evenly(place: pathlib.Path) -> None:
    fit = ll.load(place / "fit")
    assert isinstance(fit, ll.FitResult)
    none, one, two, *_, every = ll.refresh.spread(fit, k=len(MODELS))
    assert (len(none), len(one), len(two)) == (0, 1, 2)
    assert sorted(every) == sorted(MODELS)


def test_check_names_exchanged_rows(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    """And says so with status 1 where --strict is given; an estimate warns of it."""
    words = [f"{place}/v1.parquet", f"{place}/swapped.parquet"]
    assert run(["refresh", "check", *words, "--strict", "--json", "-"]) == FAILED
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["versions"]) == ("lleval/refresh-check/1", ["v1", "swapped"])
    (first, second) = found["check"]["findings"]
    assert {first["rows"][0], second["rows"][0]} == {"ant-1b", "fox-7b"}
    assert first["versions"] == ["v1", "swapped"]
    assert re.fullmatch(r"swapped: the answers of '\w+-\db' are those of '\w+-\db' in v1", first["found"])
    assert run(["refresh", "estimate", *words, "--strict"]) == BAD_INPUT
    assert "error: swapped: the answers of" in capsys.readouterr().err


def test_check_finds_nothing_wrong(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    words = [f"{place}/v1.parquet", f"{place}/v2.parquet", f"{place}/two.parquet", "--per", "domain", "--side", "both"]
    assert run(["refresh", "check", *words, "--strict"]) == OK
    said = capsys.readouterr().out
    assert "rows of v1, v2 (false-alarm rate 5%): no swapped or mislabelled models found" in said
    assert "left out, with fewer than 3 models: two" in said
    assert "families that gain or lose more than expected (family-wise error 5%): none" in said
    assert "v2/math" in said
    assert run(["refresh", "check", f"{place}/v1.parquet"]) == OK
    assert "families were not compared" in capsys.readouterr().out


def test_check_says_what_it_did_not_compare(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    words = [f"{place}/v1.parquet", f"{place}/strangers.parquet"]
    text = "strangers: 0 models and 0 items in common (it takes 5 models, or 2 and 20 items): not compared with v1"
    assert run(["refresh", "check", *words]) == OK
    assert text in capsys.readouterr().out
    assert run(["refresh", "check", *words, "--json", "-"]) == OK
    (skipped,) = json.loads(capsys.readouterr().out)["check"]["skipped"]
    assert skipped == {"versions": ["v1", "strangers"], "rows": [], "items": 0, "found": text}


def a_bank(scale: float, shift: float, name: str) -> ll.ItemBank:
    """Twelve items on a scale of which the usual one is `scale * ability + shift`."""
    slope, difficulty = np.linspace(0.6, 1.7, 12), np.linspace(-2, 2, 12)
    return ll.ItemBank(
        name=name,
        version="1",
        items=tuple(f"i{j}" for j in range(12)),
        slope=(scale * slope)[:, None],
        intercept=slope * (shift - difficulty),
        floor=np.zeros(12),
        ceiling=np.ones(12),
        weight=np.full(12, 1 / 12),
        group=np.zeros(12, int),
        groups=("all",),
        covariance=np.broadcast_to(0.01 * np.eye(2), (12, 2, 2)).copy(),
        prior_mean=np.zeros(1),
        prior_cov=np.eye(1),
    )


def test_a_linked_bank_is_kept(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    ll.save(a_bank(1, 0, "old"), tmp_path / "old")
    ll.save(a_bank(1.3, 0.4, "new"), tmp_path / "new")
    names = [f"{tmp_path}/old", f"{tmp_path}/new"]
    assert run(["refresh", "link", *names, "--by", "haebara", "--out", f"{tmp_path}/moved", "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["method"], found["kind"], found["common"]) == (
        "lleval/link/1",
        "haebara",
        "items",
        12,
    )
    assert (found["scale"], found["shift"]) == pytest.approx((1.3, 0.4), abs=1e-5)
    assert found["names"] == [f"i{j}" for j in range(12)]
    assert found["source"]["command"].startswith("lleval refresh link")
    moved = ll.load_bank(tmp_path / "moved")
    np.testing.assert_allclose(moved.intercept, a_bank(1, 0, "old").intercept, atol=1e-5)
    assert moved.source.command.startswith("lleval refresh link")
    assert run(["refresh", "link", *names]) == OK
    said = capsys.readouterr().out
    assert "by stocking-lord, 95% intervals" in said
    assert re.search(r"^scale  1\.300  \[", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["choose", "{v1}"], "say either -k, how many models, or --budget"),
        (["choose", "{v1}", "-k", "2", "--budget", "3"], "say either -k, how many models, or --budget"),
        (["choose", "{v1}", "--budget", "3"], "--budget needs --price, a table of columns model, price"),
        (["choose", "{v1}", "{v2}", "-k", "13"], "-k is 13; there are 12 models to choose from"),
        (["choose", "{v1}", "-k", "2", "--among", "ant-1b"], "-k is 2; there are 1 models to choose from"),
        (["choose", "{v1}", "-k", "0"], "'-k': .* greater than or equal to 1"),
        (["choose", "{v1}", "{v1}", "-k", "2"], "v1.parquet is named twice; each INPUT is a version of its own"),
        (["choose", "{v1}", "{place}/copy.parquet", "-k", "2"], "versions 'v1' and 'copy' are the same answers"),
        (
            ["choose", "{v1}", "-k", "2", "--ask", "lwa"],
            "the next version has no domain 'lwa'; did you mean 'law'.*there are law, ma",
        ),
        (["choose", "{v1}", "-k", "2", "--items", "law=40", "--ask", "math"], "next version has no domain 'math'"),
        (["choose", "{v1}", "-k", "2", "--items", "law"], "--items: 'law' is no DOMAIN=N, N a whole number above 0"),
        (["choose", "{v1}", "-k", "2", "--items", "=40"], "--items: '=40' is no DOMAIN=N"),
        (["choose", "{v1}", "-k", "2", "--items", "law=0"], "--items: 'law=0' is no DOMAIN=N"),
        (["choose", "{v1}", "-k", "2", "--items", "law=2.5"], "--items: 'law=2.5' is no DOMAIN=N"),
        (["choose", "{v1}", "-k", "2", "--items", "law=2", "--items", "law=3"], "--items: domain 'law' is named twice"),
        (["choose", "{v1}", "-k", "2", "--items", "all=9"], "--items: 'all' is the whole version; name its domains"),
        (
            ["choose", "{v1}", "-k", "2", "--items", "lwa=9", "--strict"],
            "--items: 'lwa' is in no version, and taken for a new domain; did you mean 'law'",
        ),
        (
            ["choose", "{v1}", "-k", "2", "--among", "ant-1"],
            "--among: there is no model 'ant-1' among 12; did you mean 'a",
        ),
        (
            ["choose", "{v1}", "-k", "2", "--force", "ant-1", "--strict"],
            "--force: 'ant-1' is in no version, and taken",
        ),
        (["choose", "{v1}", "-k", "2", "--price", "{place}/no_ant.csv"], "no price of 1 models, such as 'ant-1b'"),
        (
            ["choose", "{v1}", "-k", "2", "--price", "{place}/free.csv"],
            "price of 'ant-1b' is 0; prices must be above 0",
        ),
        (["choose", "{v1}", "-k", "2", "--price", "{place}/cost.csv"], "cost.csv has no column 'price'; it has"),
        (["choose", "{v1}", "-k", "2", "--price", "{place}/none.csv"], "--price: there is no file .*none.csv"),
        (["choose", "{v1}", "-k", "2", "--dims", "-1"], "'--dims': .* greater than or equal to 0"),
        (["choose", "none.parquet", "-k", "2"], "none.parquet"),
        (["choose", "bank:livexiv-vqa/v9", "-k", "2"], "bank 'livexiv-vqa' has no group 'v9'; it has old, v1, v2"),
        (["choose", "{place}/two.parquet", "-k", "1"], "the versions hold 2 models; at least 3 are needed"),
        (["estimate", "{v1}"], "only one version is given; name the earlier versions first, then the new one"),
        (
            ["estimate", "{v1}", "{place}/strangers.parquet"],
            "no model of version 'strangers' was run on an earlier one",
        ),
        (["estimate", "{v1}", "{v2}", "--rerun", "ant1b"], "--rerun: there is no model 'ant1b' among 12; did you mean"),
        (["estimate", "{v1}", "{v2}", "--seed", "3"], "--seed is of what --ranks draws"),
        (["estimate", "{v1}", "{v2}", "--family", "none"], "--family is for --suspects"),
        (["estimate", "{v1}", "{v2}", "--level", "95"], "95 must lie strictly between 0 and 1; did you mean 0.95"),
        (["estimate", "{v1}", "{v2}", "--json", "{place}"], "is a folder; --json takes a file"),
        (["estimate", "{v1}", "{v2}", "--out", "{v1}"], "is a file; --out takes a folder"),
        (["estimate", "{v1}", "{place}/two.parquet", "--suspects"], "no version has 5 families that are on another"),
        (["check", "{v1}", "--alarm", "5"], "5 must lie strictly between 0 and 1; did you mean 0.05"),
        (["check", "{place}/two.parquet"], "no version has 3 models or more"),
        (["check", "{v1}", "--family", "none"], "no version has 5 families that are on another version too"),
        (["check", "{v1}", "{v2}", "--family", "{place}/prices.csv"], "prices.csv has no column 'family'"),
        (["link", "livexiv-vqa", "livexiv-vqa"], "livexiv-vqa is named twice; name the old bank, then the new one"),
        (["link", "livexiv-vqa", "livexiv-tqa", "--strict"], "no answers are read; --strict and how to read them go"),
        (["link", "livexiv-vqa", "livexiv-tqa", "--answers-new", "{place}/none.csv"], "none.csv"),
        (["link", "livexiv-vqa", "livexiv-vqb"], "livexiv-vqb"),
        (["link", "livexiv-vqa", "livexiv-tqa", "--by", "eye"], "'eye' is not one of 'stocking-lord', 'haebara'"),
    ],
)
def test_bad_words_are_one_line(place: pathlib.Path, words: list[str], message: str, capsys) -> None:
    named = {"place": place, "v1": f"{place}/v1.parquet", "v2": f"{place}/v2.parquet"}
    assert run(["refresh", *(word.format(**named) for word in words)]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("error: ")
    assert re.search(message, said.err.splitlines()[-1])
