"""Folders that 0.1.0 wrote load, and give the estimates that 0.1.0 made of them (`fixtures/fit_1`)."""

import json
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.data import schema_1
from lleval_jax.errors import BadInput
from lleval_jax.estimators import adaptive, pepr, prompts, refresh, sloth, tiny
from lleval_jax.estimators.refresh import published as refresh_published
from lleval_jax.estimators.sloth import downstream, passk
from lleval_jax.estimators.sloth import published as sloth_published
from lleval_jax.estimators.tiny import anchors

FOLDERS = pathlib.Path(__file__).parent / "fixtures" / "fit_1"
TARGETS = [sloth.Target("family-3", 9e9, 3e12), sloth.Target("new", 5e10, 1e13)]
METHODS = ("weighted", "pirt", "gpirt", "kriged", "head", "mixed")
COLUMNS = ("value", "low", "high", "std_error")


def answers(items: int, seed: int) -> ll.Responses:
    """Three models' answers to all items, as the folders' maker drew them."""
    random = np.random.default_rng(seed)
    chance = 1 / (1 + np.exp(-(random.normal(size=(3, 1)) + random.normal(size=(1, items)))))
    right = (random.random((3, items)) < chance).astype(float)
    return ll.Responses.build(right, rows=["m0", "m1", "m2"], items=[f"i{j}" for j in range(items)])


def of_items(fit: ll.FitResult) -> list[ll.Estimate]:
    bank = anchors.choose(fit, responses=None, k=5, by="irt")
    return [tiny.estimate(answers(14, 4), bank=bank, groups=True, by="pirt")]


def of_bank(bank: ll.ItemBank) -> list[ll.Estimate]:
    new = answers(24, 12)
    return [*(tiny.estimate(new, bank=bank, by=one, groups=True) for one in METHODS), adaptive.estimate(new, bank=bank)]


def of_prompts(fit: ll.FitResult) -> list[ll.Estimate]:
    what = ("mean", "worst", "spread")
    return [prompts.estimate(fit, of=what, per_prompt=True), prompts.won(fit, "x", "y")]


ESTIMATES: dict[str, Callable] = {
    "bank": of_bank,
    "downstream": lambda fit: [downstream.estimate(fit, family=TARGETS)],
    "irt": of_items,
    "passk": lambda fit: [passk.estimate(fit, family=TARGETS, k=(1, 5), draws=50)],
    "pepr": lambda fit: [pepr.estimate(fit), pepr.estimate(fit, subsets="all")],
    "prompts": of_prompts,
    "prompts_one_model": lambda fit: [prompts.estimate(fit, of=("mean",), per_prompt=True)],
    "prompts_published": lambda fit: [prompts.estimate(fit, of=("mean",), per_prompt=True)],
    "refresh": lambda fit: [refresh.estimate(fit, version="feb")],
    "refresh_published": lambda fit: [refresh_published.estimate(fit, version=1)],
    "sloth": lambda fit: [sloth.estimate(fit, family=TARGETS)],
    "sloth_published": lambda fit: [sloth_published.estimate(fit, family=TARGETS)],
}


def test_every_method_that_could_be_saved_has_a_folder():
    folders = {path.name for path in FOLDERS.iterdir() if path.is_dir()}
    assert folders == set(ESTIMATES)
    held = {json.loads((FOLDERS / name / "fit.json").read_text())["params"]["class"] for name in folders - {"bank"}}
    assert held == set(schema_1.FORMS)


@pytest.mark.parametrize("name", ESTIMATES)
def test_an_old_folder_gives_the_estimates_it_gave(name, tmp_path):
    value = ll.load(FOLDERS / name)
    wanted = json.loads((FOLDERS / name / "expected.json").read_text())
    for one in (value, ll.load(ll.save(value, tmp_path))):
        found = ESTIMATES[name](one)
        assert [row for part in found for row in part.rows] == wanted["rows"]
        assert [group for part in found for group in part.group] == wanted["group"]
        for column in COLUMNS:
            whole = np.concatenate([getattr(part, column) for part in found])
            np.testing.assert_allclose(whole, wanted[column], rtol=1e-9, atol=1e-9, err_msg=column)


@pytest.mark.parametrize("name", ESTIMATES)
def test_what_is_saved_again_is_of_todays_form(name, tmp_path):
    kind = "bank" if name == "bank" else "fit"
    folder = ll.save(ll.load(FOLDERS / name), tmp_path)
    facts = json.loads((folder / f"{kind}.json").read_text())
    assert facts["schema"] == f"lleval/{kind}/2"
    assert not {"rows", "loglik", "group", "covariance"} & set(facts) or kind == "bank"


def test_settings_hold_what_was_asked_and_nothing_else():
    for name in set(ESTIMATES) - {"bank"}:
        settings = ll.load(FOLDERS / name).settings
        assert not {"axes", "law", "families", "lineages", "versions", "models", "kinds", "unit"} & set(settings)


def test_a_law_within_a_fit_is_the_law():
    law = ll.load(FOLDERS / "sloth")
    for name in ("downstream", "passk"):
        inside = ll.load(FOLDERS / name).params.law
        assert (inside.axes, inside.settings) == (law.axes, law.settings)
        assert (inside.status, inside.steps, inside.ended.value) == (law.status, law.steps, law.ended.value)
        np.testing.assert_array_equal(inside.params.slope_cov, law.params.slope_cov)


def test_an_unknown_class_is_named():
    facts = json.loads((FOLDERS / "irt" / "fit.json").read_text())
    facts["params"]["class"] = "OtherParams"
    with pytest.raises(BadInput, match="holds a 'OtherParams', which this version of lleval_jax does not know"):
        schema_1.fit(facts, {})
