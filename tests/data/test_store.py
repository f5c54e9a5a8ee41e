import dataclasses
import json
from typing import NamedTuple

import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.data import archive, store
from lleval_jax.errors import BadInput
from lleval_jax.values import Anchors, Calibration, Estimate, FitResult, ItemBank, Source, params
from lleval_jax.values.params import SlothParams, register
from lleval_jax.values.results import Ended


@register
class Curve(NamedTuple):
    slope: np.ndarray
    intercept: np.ndarray
    extra: np.ndarray | None = None


@register
class Rests(NamedTuple):
    mean: np.ndarray
    law: FitResult


def bank(version="1", items=11, dims=2, *, binary=True, seed=0):
    draw = np.random.default_rng(seed)
    answers = draw.random((3, items))
    root = draw.random((items, dims + 1, dims + 1))
    return ItemBank(
        name="tiny",
        version=version,
        items=tuple(f"été/{i}" for i in range(items)),
        slope=draw.random((items, dims)),
        intercept=draw.random(items).astype(np.float32),
        floor=np.zeros(items),
        ceiling=np.ones(items),
        weight=np.full(items, 1 / items),
        group=np.arange(items) % 2,
        groups=("a", "b"),
        covariance=root @ np.swapaxes(root, 1, 2),
        prior_mean=np.zeros(dims),
        prior_cov=np.eye(dims),
        anchors=Anchors(np.array([1, 4]), np.array([0.25, 0.75]), "irt"),
        calibration=Calibration(
            rows=("m1", "m2", "m3"),
            answers=(answers > 0.5).astype(np.float32) if binary else answers.astype(np.float32),
            seen=draw.random((3, items)) > 0.3,
            full=draw.random((3, 3)),
            outside=True,
        ),
        source=Source(files={"x.csv": "sha256:00"}, seed=7, cite=("polo2024tiny",)),
    )


def fit(found, **axes):
    return FitResult(
        params=found,
        axes={"models": ("a",), "items": ("i", "j")} | axes,
        ended=Ended("ok", 3, float("-inf")),
        method="2pl",
        settings={"dims": 1, "tol": np.float32(0.5), "nodes": [1, 2]},
    )


def fit_on_a_fit():
    return fit(Rests(np.ones(2), fit(Curve(np.ones((2, 1)), np.zeros(2)))))


def law_of_one():
    """A law of one model, two benchmarks and one skill."""
    one, two, cells = np.ones(1), np.ones(2), np.ones((1, 2))
    known, first = np.ones(1, bool), np.zeros(1, int)
    learned = SlothParams(
        loading=np.ones((2, 1)), shared=one, own=one, noise=two, centre=two, bend=two, floor=np.zeros(2), size=one,
        tokens=one, instruct=known, score=cells, seen=cells > 0, logit=cells, worth=cells, slope=one,
        slope_cov=np.eye(1), family=first, lineage=first,
    )  # fmt: skip
    return fit(learned, families=("f",), lineages=("f",))


def estimate():
    numbers = np.array([0.5, 0.25])
    return Estimate(
        "accuracy", "gpirt", ("a", "b"), ("all", "g"), numbers, numbers - 0.1, numbers + 0.1, 0.95,
        numbers / 10, np.array([3, 4]), ("ok", "ok"), Source(command="lleval", cite=("x",)),
    )  # fmt: skip


def same(one, two):
    assert type(one) is type(two)
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if isinstance(a, Source) or not dataclasses.is_dataclass(a):
            if isinstance(a, np.ndarray):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)
            else:
                assert a == b, field.name
        else:
            same(a, b)


@pytest.mark.parametrize("binary", [True, False])
def test_bank_round_trip(tmp_path, binary):
    value = bank(binary=binary)
    same(data.load(data.save(value, tmp_path / "b")), value)
    bare = dataclasses.replace(value, anchors=None, calibration=None)
    same(data.load_bank(data.save(bare, tmp_path / "b")), bare)
    assert set(data.verify(tmp_path / "b")) == {"bank.json", "bank.safetensors"}


def test_answers_are_bits(tmp_path):
    small = data.save(bank(items=4000, dims=1), tmp_path / "s") / "bank.safetensors"
    large = data.save(bank(items=4000, dims=1, binary=False), tmp_path / "l") / "bank.safetensors"
    assert large.stat().st_size - small.stat().st_size == 3 * 4000 * 4 - 3 * 4000 // 8


def test_fit_round_trip(tmp_path):
    data.save(fit(Curve(np.ones((2, 1)), np.zeros(2))), tmp_path)
    found = data.load(tmp_path)
    assert isinstance(found.params, Curve)
    assert found.params.extra is None
    np.testing.assert_array_equal(found.params.slope, np.ones((2, 1)))
    assert found.ended.value == float("-inf")
    assert found.settings == {"dims": 1, "tol": 0.5, "nodes": [1, 2]}
    assert found.items == ("i", "j")


def test_a_fit_within_a_fit_round_trip(tmp_path):
    found = data.load(data.save(fit_on_a_fit(), tmp_path))
    same(found.params.law.source, fit_on_a_fit().source)
    assert isinstance(found.params.law.params, Curve)
    assert found.params.law.axes == fit_on_a_fit().params.law.axes


def test_parameters_that_no_method_registered(tmp_path, monkeypatch):
    """They are refused when saved, and named when an older lleval_jax meets a newer method's."""
    data.save(fit(Curve(np.ones((2, 1)), np.zeros(2))), tmp_path)
    monkeypatch.delitem(params.REGISTERED, "Curve")
    with pytest.raises(BadInput, match="params is a Curve, which cannot be saved"):
        data.save(fit(Curve(np.ones((2, 1)), np.zeros(2))), tmp_path / "other")
    with pytest.raises(BadInput, match="holds a 'Curve', which this version of lleval_jax does not know"):
        data.load(tmp_path)


def test_estimate_round_trip(tmp_path):
    data.save(estimate(), tmp_path)
    same(data.load(tmp_path), estimate())
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps(estimate().to_dict()))
    same(data.load(plain), estimate())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": 0.9}, r"accuracy of 'a' \(all\): low <= value <= high fails; 0.9 is not inside its interval"),
        ({"low": 0.6}, "low <= value <= high fails; 0.5 is not inside"),
        ({"std_error": -1.0}, r"std_error of 'a' \(all\) is -1; it must not be negative"),
        ({"n_seen": -3}, r"n_seen of 'a' \(all\) is -3; it must not be negative"),
    ],
)
def test_an_estimate_of_a_stranger_is_looked_at(tmp_path, change, words):
    facts = estimate().to_dict()
    facts["estimates"][0] |= change
    (tmp_path / "e.json").write_text(json.dumps(facts))
    with pytest.raises(BadInput, match=words):
        data.load(tmp_path / "e.json")


@pytest.mark.parametrize("file", ["bank.json", "bank.safetensors"])
def test_a_changed_byte_is_found(tmp_path, file):
    data.save(bank(), tmp_path)
    path = tmp_path / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=file):
        data.load(tmp_path)


def test_errors(tmp_path):
    with pytest.raises(BadInput, match="no folder"):
        data.load(tmp_path / "nothing")
    with pytest.raises(BadInput, match="holds no bank.json"):
        data.load(tmp_path)
    data.save(bank(), tmp_path)
    facts = json.loads((tmp_path / "bank.json").read_text())
    (tmp_path / "bank.json").write_text(json.dumps(facts | {"schema": "lleval/bank/9"}))
    with pytest.raises(BadInput, match="made by a newer version"):
        data.load(tmp_path)
    with pytest.raises(BadInput, match="there is no bank 'nobody'.*known banks are"):
        data.load_bank("nobody")
    with pytest.raises(BadInput, match="cannot be saved"):
        data.save("text", tmp_path)
    with pytest.raises(BadInput, match="settings.f is .*plain"):
        data.save(dataclasses.replace(fit(Curve(np.ones(1), np.ones(1))), settings={"f": print}), tmp_path / "f")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("alive", range(12))
def test_a_killed_writer_leaves_a_bank_that_loads(tmp_path, monkeypatch, alive):
    """Killed after any number of its steps: old or new comes back whole; then saving again works."""
    data.save(bank("old"), tmp_path)
    steps = iter(range(100))

    def step(real):
        def run(*args):
            if next(steps) >= alive:
                raise Killed
            return real(*args)

        return run

    with monkeypatch.context() as patch:
        for name in ("replace", "fsync"):
            patch.setattr(archive.os, name, step(getattr(archive.os, name)))
        try:
            data.save(bank("new", seed=1), tmp_path)
            finished = True
        except Killed:
            finished = False
    found = data.load(tmp_path)
    same(found, bank("old") if found.version == "old" else bank("new", seed=1))
    assert found.version == "new" or not finished
    data.save(bank("third", seed=2), tmp_path)
    same(data.load(tmp_path), bank("third", seed=2))


def test_banks_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BANK_FOLDERS", (tmp_path / "package", tmp_path / "checkout"))
    data.save(bank("1"), tmp_path / "checkout" / "tiny")
    assert data.list_banks() == {"tiny": tmp_path / "checkout" / "tiny"}
    data.save(bank("2"), tmp_path / "package" / "tiny")
    assert data.load_bank("tiny").version == "2"


def test_laws_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BANK_FOLDERS", (tmp_path / "package", tmp_path / "checkout"))
    law = law_of_one()
    data.save(law, tmp_path / "checkout" / "board-v1")
    data.save(dataclasses.replace(law, ended=Ended("ok", 5, 0.0)), tmp_path / "package" / "board-v1")
    data.save(bank(), tmp_path / "package" / "tiny")
    assert data.list_laws() == {"board-v1": tmp_path / "package" / "board-v1"}
    assert list(data.list_banks()) == ["tiny"]
    assert data.load_law("board-v1").steps == 5
    assert data.load_law(tmp_path / "checkout" / "board-v1").steps == 3
    with pytest.raises(BadInput, match="there is no law 'board-v3'.*laws are: board-v1; did you mean 'board-v1'"):
        data.load_law("board-v3")
    with pytest.raises(BadInput, match="there is no law 'tiny'"):
        data.load_law("tiny")
    with pytest.raises(BadInput, match="does not hold a scaling law"):
        data.load_law(data.save(fit(Curve(np.ones(1), np.ones(1))), tmp_path / "irt"))
