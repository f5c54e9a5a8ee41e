"""Banks and fits as a stranger or a faulty tool may hand them over: hashes fit, and only values are wrong.

For every array of a whole bank and of a law: `load` and `verify` refuse a NaN, another shape, and what is out of range,
in one line that names the array.
"""

import pathlib
import re
import tempfile
import tracemalloc

import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.data import archive
from lleval_jax.errors import BadInput
from lleval_jax.values import Anchors, Calibration, ItemBank
from lleval_jax.values.bank import Learned, Misfit, Replayed
from lleval_jax.values.trust import LeftOut, Verdict
from tests.data.test_store import law_of_one

ITEMS, MODELS = 6, 4
UNBOUNDED = re.compile(
    r"slope|intercept|bias|prior_mean|coef|single|ability|loading|shared|own|noise|centre|bend|logit"
)


def whole_bank() -> ItemBank:
    """With all parts that a bank can have."""
    draw = np.random.default_rng(0)
    one, two, three = np.ones(1), np.ones(2), np.ones(3)
    full = draw.random((MODELS, 3))
    return ItemBank(
        name="whole", version="1", items=tuple("abcdef"), slope=np.ones((ITEMS, 1)), intercept=np.zeros(ITEMS),
        floor=np.zeros(ITEMS), ceiling=np.ones(ITEMS), weight=np.full(ITEMS, 1 / ITEMS), group=np.arange(ITEMS) % 2,
        groups=("x", "y"), covariance=np.tile(np.eye(2), (ITEMS, 1, 1)), prior_mean=np.zeros(1), prior_cov=np.eye(1),
        anchors=Anchors(np.array([1, 4]), np.array([0.25, 0.75]), "irt", np.array([0.5])),
        calibration=Calibration(tuple("klmn"), np.eye(MODELS, ITEMS), np.ones((MODELS, ITEMS), bool), full),
        learned=Learned(np.arange(3), np.ones((ITEMS, 3)), np.array(1.0), np.ones((ITEMS, 2)), three, three),
        misfit=Misfit(np.zeros(3), {"pirt": three}, np.asarray(8.0)),
        replayed=Replayed(two, two, two, two, one, one, three / 2, three, three),
        verdict=Verdict(4, ("few",), LeftOut(9, 10, 0.1), LeftOut(why_not="too few")),
    )  # fmt: skip


def arrays_of(value, kind: str) -> tuple[dict, archive.Arrays]:
    with tempfile.TemporaryDirectory() as folder:
        return archive.read(data.save(value, folder), kind, data.store.SCHEMAS[kind])


BANK, LAW = arrays_of(whole_bank(), "bank"), arrays_of(law_of_one(), "fit")
CASES = [("bank", name) for name in sorted(BANK[1])] + [("fit", name) for name in sorted(LAW[1])]


def refused(place: pathlib.Path, kind: str, facts: dict, arrays: archive.Arrays, words: str) -> None:
    """By `load` and by `verify`, in one line."""
    archive.write(place, kind, {name: facts[name] for name in facts if name not in ("arrays", "sha256")}, arrays)
    for look in (data.load, data.verify):
        with pytest.raises(BadInput, match=words) as error:
            look(place)
        assert "\n" not in str(error.value)


def broken(found: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """What may be wrong with an array, and words for it."""
    wrong = {"shape": np.stack([found, found])}
    if found.dtype.kind == "f":
        for value in (np.nan, np.inf):
            wrong[f"finite.*{value}"] = np.where(np.arange(found.size).reshape(found.shape) == 0, value, found)
    if not UNBOUNDED.search(name.split(".")[-1]) or name == "params.slope_cov":
        wrong["must .* it is -7"] = np.where(np.arange(found.size).reshape(found.shape) == 0, -7, found)
    if found.dtype.kind == "i":
        wrong["whole numbers"] = found + 0.5
    return wrong


def field_of(name: str) -> str:
    """As messages name it."""
    return {"misfit.width.pirt": "width of 'pirt'"}.get(name, name.split(".")[-1])


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda word: word)
def test_every_array_is_looked_at(tmp_path, kind, name):
    facts, arrays = BANK if kind == "bank" else LAW
    if name in facts["packed"]:
        shape = facts["packed"][name]["shape"]
        for wrong, words in (
            ([shape[0] + 1, *shape[1:]], "(bits|shape)"),
            ([10**5, 10**5], "10,000,000,000 bits"),
            ([-1, -1], "packed bits"),
        ):
            packed = facts["packed"] | {name: {"shape": wrong, "dtype": "bool"}}
            refused(tmp_path, kind, facts | {"packed": packed}, arrays, f"{field_of(name)}.*{words}")
        packed = facts["packed"] | {name: facts["packed"][name] | {"shape": [*shape, 1]}}
        refused(tmp_path, kind, facts | {"packed": packed}, arrays, f"{field_of(name)}.* shape")
        packed = facts["packed"] | {name: facts["packed"][name] | {"dtype": "S1000000"}}
        refused(tmp_path, kind, facts | {"packed": packed}, arrays, "packed as 'S1000000'; known are")
        return
    for words, value in broken(arrays[name], name).items():
        refused(tmp_path, kind, facts, arrays | {name: value}, f"{field_of(name)}.*{words}")


def test_a_whole_bank_and_a_law_load(tmp_path):
    assert data.load(data.save(whole_bank(), tmp_path / "bank")).verdict == whole_bank().verdict
    assert data.load(data.save(law_of_one(), tmp_path / "law")).axes == law_of_one().axes


def test_answers_that_are_no_bits(tmp_path):
    facts, arrays = BANK
    few = {name: each for name, each in facts["packed"].items() if name != "calibration.answers"}
    for value, words in (np.nan, "finite"), (7.0, r"lie in \[0, 1\]"):
        answers = np.full((MODELS, ITEMS), value)
        refused(
            tmp_path, "bank", facts | {"packed": few}, arrays | {"calibration.answers": answers}, f"answers.*{words}"
        )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("weight", [5, -5, 0.25, 0.25, 0.25, 0.25], "weight must not be negative; at 1 it is -5"),
        ("weight", [0.5, 0.5, 0.5, 0.5, 0.5, 0.5], "weight must sum to 1; the sum is 3"),
        ("weight", [1, 0, 0, 0, 0, 0], "each group must have some weight; 'y' has none"),
        ("floor", [0, 0, 0, 5, 0, 0], r"floor must lie in \[0, 1\]; at 3 it is 5"),
        ("ceiling", [0, 1, 1, 1, 1, 1], None),
        ("group", [0, 1, 0, 1, 0, 2], "group must lie in 0..1, the positions of groups; at 5 it is 2"),
        ("prior_cov", [[-1.0]], "prior_cov must have no negative variance"),
        ("anchors.index", [1, 99], "index must lie in 0..5, the positions of items; at 1 it is 99"),
        ("anchors.index", [4, 4], "anchors must all be different items"),
        ("learned.models", [0, 1, 9], "models must lie in 0..3, the positions of models"),
    ],
)
def test_words(tmp_path, name, value, words):
    facts, arrays = BANK
    changed = arrays | {name: np.array(value, arrays[name].dtype)}
    if words is None:
        archive.write(tmp_path, "bank", {n: facts[n] for n in facts if n not in ("arrays", "sha256")}, changed)
        assert data.load(tmp_path).ceiling[0] == 0
    else:
        refused(tmp_path, "bank", facts, changed, words)


@pytest.mark.parametrize(
    ("cov", "words"),
    [([[1.0, 0.5], [0.2, 1.0]], "be symmetric"), ([[1.0, 2.0], [2.0, 1.0]], "no negative eigenvalue")],
)
def test_a_covariance_that_is_none(tmp_path, cov, words):
    facts, arrays = BANK
    changed = arrays["covariance"].copy()
    changed[3] = cov
    refused(tmp_path, "bank", facts, arrays | {"covariance": changed}, f"covariance must.*{words}.* at .*3")


def test_names(tmp_path):
    for name, value in ("items", ["a", "b", "c", "d", "e", 7]), ("items", list("aabcde")), ("groups", ["x", "x"]):
        refused(tmp_path, "bank", BANK[0] | {name: value}, BANK[1], "(texts|unique)")


def test_bits_are_counted_before_they_are_unpacked(tmp_path):
    facts, arrays = BANK
    packed = facts["packed"] | {"calibration.answers": {"shape": [10**9], "dtype": "float64"}}
    tracemalloc.start()
    refused(tmp_path, "bank", facts | {"packed": packed}, arrays, "1,000,000,000 bits; the file holds 24")
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_float32_covariance_at_the_edge_is_let_through():
    """Rounding may push a correlation of one beyond it."""
    spread = np.float32([[1e-3, 1e-3], [1e-3, 1e-3 * (1 - 1e-6)]])
    bank = whole_bank()
    ItemBank(**({name: getattr(bank, name) for name in vars(bank)} | {"covariance": np.tile(spread, (ITEMS, 1, 1))}))
