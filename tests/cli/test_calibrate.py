"""`lleval calibrate`: what it refuses before the fit, what it saves when, and what a bank and its estimates repeat."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.cli import calibrate as verb
from lleval_jax.cli import left_out
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, INTERRUPTED, OK
from lleval_jax.data import simulate

ITEMS = 60


def written(place: pathlib.Path, models: int, items: int = ITEMS) -> str:
    path = place / f"{models}x{items}.csv"
    simulate(models, items, seed=models)[0].to_frame().to_csv(path, index=False)
    return str(path)


def must_not(*_, **__) -> None:
    raise AssertionError("this was to be refused before")


@pytest.mark.parametrize(("models", "said"), [(1, "1 model"), (4, "4 models")])
def test_too_few_models_are_refused_before_the_fit(tmp_path, capsys, monkeypatch, models, said):
    monkeypatch.setattr(ll.irt, "fit", must_not)
    assert run(["calibrate", written(tmp_path, models), "--out", f"{tmp_path}/bank"]) == BAD_INPUT
    assert f"error: {said} cannot be calibrated; at least 5 are needed" in capsys.readouterr().err
    assert not (tmp_path / "bank").exists()


def test_strict_makes_errors_of_the_warnings(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ll.irt, "fit", must_not)
    assert run(["calibrate", written(tmp_path, 12), "--strict", "--out", f"{tmp_path}/bank"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "discriminations of a 2PL model are not identifiable from 12 models" in said
    assert "only 12 models for calibration; at least 30 are advised" in said


def test_chance_is_no_common_ability(tmp_path, capsys, monkeypatch):
    """Two items that 50 models answer by chance; with --strict nothing is fitted."""
    monkeypatch.setattr(ll.irt, "fit", must_not)
    scores = np.random.default_rng(0).integers(0, 2, (50, 2)).astype(float)
    ll.Responses.build(scores).to_frame().to_csv(tmp_path / "two.csv", index=False)
    assert run(["calibrate", f"{tmp_path}/two.csv", "--strict", "--out", f"{tmp_path}/bank"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "scores are no more consistent than chance" in said
    assert "2 items cannot identify 1 ability; at least 3 are needed" in said


def test_more_anchors_than_items_are_refused_before_the_fit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ll.irt, "fit", must_not)
    words = ["calibrate", written(tmp_path, 12), "--out", f"{tmp_path}/bank"]
    assert run([*words, "-k", "61"]) == BAD_INPUT
    assert "-k is 61; there are 60 items" in capsys.readouterr().err
    assert verb._anchors(None, 60) == 60
    assert verb._anchors(None, 101) == 100


def graded(place: pathlib.Path, models: int = 12) -> str:
    """Three grades of 20 items, as a table."""
    rng, path = np.random.default_rng(0), place / "graded.csv"
    z = rng.normal(size=(models, 1)) + rng.normal(size=20)
    level = np.digitize(z + rng.logistic(size=z.shape), [-0.7, 0.7])
    ll.Responses.build(level / 2).to_frame().to_csv(path, index=False)
    return str(path)


def test_kinds_of_answers_are_chosen_and_said(tmp_path, capsys):
    """In the table, in the JSON, and in the bank."""
    words = ["calibrate", graded(tmp_path), "--out", f"{tmp_path}/bank", "-k", "10", "--no-check", "--answers", "auto"]
    assert run([*words, "--json", f"{tmp_path}/out.json"]) == OK
    said = json.loads((tmp_path / "out.json").read_text())["bank"]["answers"]
    assert said == {"asked": "auto", "why": {"all": "graded-3: scores are 3 evenly spaced grades"}}
    assert run([*words[:3], f"{tmp_path}/two", *words[4:]]) == OK
    assert "graded-3: scores are 3 evenly spaced grades" in capsys.readouterr().out
    kinds = ll.load_bank(tmp_path / "bank").answers
    assert kinds is not None
    assert set(kinds.of_items) == {"graded-3"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--answers", "beta"], "answers cannot be 'beta': item '"),
        (["--answers", "graded", "--replay"], "--replay takes --answers bernoulli"),
        (["--answers", "graded", "--model", "3pl"], "They are fitted with --model 2pl and --dims 1"),
        (["--answers", "graded", "--dims", "2"], "They are fitted with --model 2pl and --dims 1"),
    ],
)
def test_kinds_of_answers_that_cannot_be_are_refused_before_the_fit(tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.setattr(ll.irt, "fit", must_not)
    assert run(["calibrate", graded(tmp_path), "--out", f"{tmp_path}/bank", *words]) == BAD_INPUT
    assert said in capsys.readouterr().err
    assert not (tmp_path / "bank").exists()


def interrupted(*_, **__) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_bank_is_saved_before_it_is_checked(tmp_path, capsys, monkeypatch):
    """Ctrl-C in either check leaves a bank that loads, and says that it was not checked."""
    words = ["calibrate", written(tmp_path, 12), "-k", "20", "--out", f"{tmp_path}/bank"]
    with monkeypatch.context() as patch:
        patch.setattr(ll.anchors, "_misfit", interrupted)
        assert run(words) == INTERRUPTED
    bank = ll.load_bank(tmp_path / "bank")
    assert bank.misfit is None
    assert "not checked on models left out" in bank.caveats[-1]
    with monkeypatch.context() as patch:
        patch.setattr(verb, "left_out", interrupted)
        assert run(words) == INTERRUPTED
    bank = ll.load_bank(tmp_path / "bank")
    assert bank.misfit is not None
    assert bank.verdict.random is None
    assert bank.caveats == ("bank 'bank': only 12 models for calibration; at least 30 are advised",)
    capsys.readouterr()
    assert run(["estimate", written(tmp_path, 12), "--bank", f"{tmp_path}/bank", "--json", f"{tmp_path}/e.json"]) == OK
    assert bank.caveats[0] in capsys.readouterr().out
    assert json.loads((tmp_path / "e.json").read_text())["caveats"] == list(bank.caveats)
    assert run(["ask", "--bank", f"{tmp_path}/bank", "--json", "-"]) == OK
    assert json.loads(capsys.readouterr().out)["caveats"] == list(bank.caveats)


@pytest.mark.slow
def test_no_check_checks_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ll.anchors, "_misfit", must_not)
    monkeypatch.setattr(verb, "left_out", must_not)
    words = ["calibrate", written(tmp_path, 12), "-k", "20", "--no-check", "--out", f"{tmp_path}/bank"]
    assert run(words) == OK
    said = capsys.readouterr().out
    assert "skipped (--no-check)" in said
    assert "bank 'bank': its intervals were not checked on models left out of its calibration" in said


@pytest.mark.slow
def test_anchors_that_are_all_items_are_no_evidence(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    words = ["calibrate", written(tmp_path, 12, 20), "--out", f"{tmp_path}/bank", "--plot", f"{tmp_path}/p.png"]
    assert run(words) == OK
    shown = capsys.readouterr()
    said = shown.out
    assert said.count("skipped: the anchors are all items, so nothing is predicted") == 2
    assert "choose fewer with -k" in said
    assert "p.png was not drawn; the check on models left out was skipped: the anchors are all items" in shown.err
    assert not (tmp_path / "p.png").exists()


def test_a_bank_shows_what_speaks_against_it(tmp_path, capsys):
    bank = ll.load_bank("livexiv-vqa")
    poor = ll.LeftOut(inside=3, of=10, error=0.08, bias=-0.08)
    verdict = ll.Verdict(17, ("only 17 models for calibration; at least 30 are advised",), ll.LeftOut(9, 10), poor)
    ll.save(dataclasses.replace(bank, verdict=verdict), tmp_path / "bank")
    assert run(["bank", "show", f"{tmp_path}/bank"]) == OK
    said = capsys.readouterr().out
    assert "strongest models left out  3 of 10 95% intervals contain the score; mean absolute error 0.080" in said
    assert verdict.warnings[0] in said
    assert "the strongest models left out of the calibration: 3 of 10 95% intervals contain the score" in said
    assert run(["bank", "show", f"{tmp_path}/bank", "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)["banks"][0]
    assert (found["check"]["inside"], found["check_strongest"]["bias"]) == (9, -0.08)
    assert found["caveats"] == [f"bank {bank.name!r}: {one}" for one in verdict.caveats]


def test_few_misses_are_no_caveat():
    """8 of 10 at 95% happen to one good bank in twelve; 3 of 10 to none."""
    assert not ll.LeftOut(8, 10).poor
    assert ll.LeftOut(3, 10).poor
    assert not ll.LeftOut(why_not="too few").poor


def test_models_are_drawn_by_name():
    truth = {f"m{i}": float(i) for i in range(40)}
    backwards = dict(reversed(truth.items()))
    assert left_out._drawn(truth, 40, 3) == left_out._drawn(backwards, 40, 3)
    assert left_out._best(backwards, 40) == [f"m{i}" for i in range(39, 31, -1)]
