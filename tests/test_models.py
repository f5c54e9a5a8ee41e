"""The banks that ship: whole, remade by their recipes, and fit to be shown."""

import importlib.util
import pathlib
import tomllib

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll

MODELS = pathlib.Path(__file__).parents[1] / "models"
BANKS = sorted(place.parent.name for place in MODELS.glob("*/recipe.toml"))
BOARDS = ["sloth-open-llm"]
FILES = ("answers.npz", "bank.json", "bank.safetensors", "card.md", "demo.parquet", "demo_truth.csv", "recipe.toml")
MOST_BYTES, MOST_DATA_BYTES = 5_000_000, 2_000_000
each_bank = pytest.mark.parametrize("name", BANKS)


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("models_build", MODELS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recipe_of(name: str) -> dict:
    return tomllib.loads((MODELS / name / "recipe.toml").read_text())


def test_every_folder_is_a_bank_or_a_leaderboard():
    folders = sorted(place.name for place in MODELS.iterdir() if place.is_dir() and place.name != "__pycache__")
    assert folders == sorted([*BANKS, *BOARDS])
    assert {"livexiv-vqa", "livexiv-tqa"} <= set(BANKS)
    assert set(BANKS) <= set(ll.list_banks())
    table = (MODELS / "README.md").read_text()
    assert all(f"[{name}]({name}/card.md)" in table for name in folders)


@each_bank
def test_whole_and_small(name):
    files = ll.verify(MODELS / name)
    assert sorted(files) == sorted(FILES)
    assert all((MODELS / name / file).stat().st_size < MOST_BYTES for file in files)
    recipe = recipe_of(name)
    assert files[recipe["data"]] == recipe["sha256"]
    assert (MODELS / name / recipe["data"]).stat().st_size < MOST_DATA_BYTES
    card = (MODELS / name / "card.md").read_text()
    assert all(word in card for word in ("What for", "Trained on", "Coverage", "Limits", "Apache", "2410.10783"))


@each_bank
def test_holds_what_the_recipe_says(name, build):
    bank, recipe = ll.load_bank(MODELS / name), recipe_of(name)
    data = build.answers(MODELS / name / recipe["data"])
    assert bank.name == name
    assert bank.items == data.items
    assert bank.groups == tuple(recipe["versions"])
    assert bank.calibration.rows == tuple(row for row in data.rows if row not in recipe["left_out"])
    assert len(set(bank.anchor_items)) == recipe["k"] == 100
    assert bank.anchors.weight.sum() == pytest.approx(1)
    # versions share the anchors by their size, not by their place in the file: 1e-5 two-sided is |z| < 4.4
    held = np.bincount(bank.group[bank.anchors.index], minlength=len(bank.groups))
    mass = np.bincount(bank.group, minlength=len(bank.groups)) / len(bank.items)
    assert (np.abs(held - 100 * mass) < 4.4 * np.sqrt(100 * mass * (1 - mass))).all()


@each_bank
def test_demonstration(name):
    bank, recipe = ll.load_bank(MODELS / name), recipe_of(name)
    asked = ll.read(MODELS / name / "demo.parquet")
    assert sorted(asked.rows) == sorted(recipe["left_out"])
    assert set(asked.items) == set(bank.anchor_items)
    assert asked.seen.all()
    truth = pd.read_csv(MODELS / name / "demo_truth.csv").set_index(["model", "group"])["score"]
    found = ll.tiny.estimate(asked, bank, groups=True)
    assert set(found.group) == {"all", *recipe["versions"]}
    for row, group, value, low, high in zip(found.rows, found.group, found.value, found.low, found.high, strict=True):
        true = truth[row, group]
        print(
            f"{name} {row} {group}: {value:.3f} [{low:.3f}, {high:.3f}], truth {true:.3f}, inside {low <= true <= high}"
        )
        assert np.isfinite(abs(value - true))
        assert 0 <= low <= value <= high <= 1


@pytest.mark.slow
@each_bank
def test_recipe_remakes_the_bank(name, build, tmp_path):
    recipe = build.recipe_of(name)
    data = build.answers(MODELS / name / recipe["data"])
    bank = build.make(recipe, data)
    ll.save(bank, tmp_path)
    kept, made = arrays(MODELS / name), arrays(tmp_path)
    assert kept.keys() == made.keys()
    for key in kept:
        np.testing.assert_allclose(made[key].astype(float), kept[key].astype(float), rtol=0, atol=1e-5, err_msg=key)
    asked, truth = build.demo(recipe, data, bank)
    pd.testing.assert_frame_equal(
        asked.reset_index(drop=True), pd.read_parquet(MODELS / name / "demo.parquet"), check_dtype=False
    )
    pd.testing.assert_frame_equal(truth, pd.read_csv(MODELS / name / "demo_truth.csv"), atol=1e-5)


@pytest.mark.slow
@each_bank
def test_data_are_those_of_the_source(name, build, shared):
    recipe, data = recipe_of(name), build.answers(MODELS / name / "answers.npz")
    for group, version in enumerate(recipe["versions"]):
        source = np.load(shared / "data" / "livexiv" / f"{recipe['modality']}_{version}.npz", allow_pickle=False)
        mine = np.flatnonzero(data.group == group)
        rows = [data.rows.index(model) for model in source["models"].tolist()]
        assert [data.items[i] for i in mine] == source["items"].tolist()
        np.testing.assert_array_equal(data.scores[np.ix_(rows, mine)], source["responses"])
        assert data.seen[:, mine].sum() == source["responses"].size


def arrays(folder: pathlib.Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "bank.safetensors")
