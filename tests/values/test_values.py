"""What every value does: copies are equal, prompts are short, notebooks get a table."""

import copy
import dataclasses
import html
import importlib
import json
import multiprocessing
import pickle
import pkgutil

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax import values
from lleval_jax.values.results import Entry
from lleval_jax.values.value import Value
from tests import worlds


def every() -> dict[str, Value]:
    """One of each of the types that a user takes home."""
    answers, bank = worlds.new(), worlds.bank()
    estimate = ll.tiny.estimate(answers, bank=bank)
    row, item = np.nonzero(answers.seen)
    cells = row, item, answers.scores[row, item], answers.weight[row, item]
    whole = np.arange(len(answers.rows))
    return {
        "Responses": answers,
        "SparseResponses": ll.SparseResponses(*cells, answers.rows, answers.items, answers.group, answers.groups),
        "ItemBank": bank,
        "Estimate": estimate,
        "Draws": ll.Draws("b", ("x", "y"), np.array([0.5, 0.25])),
        "Choice": ll.adaptive.choose(answers, bank=bank, k=2),
        "Ranking": ll.ranking.estimate(answers, bank=bank),
        "FitResult": ll.irt.fit(worlds.known(), max_steps=2, standard_errors=False, tol=1e9),
        "Ranks": ll.report.compare.ranks(estimate),
        "Distribution": values.findings.Distribution(*(whole.astype(float) for _ in range(4))),
    }


EVERY = every()


@pytest.mark.parametrize("kind", EVERY)
def test_copies_are_equal_and_others_are_not(kind: str) -> None:
    value = EVERY[kind]
    for again in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert again == value
        assert hash(again) == hash(value)
    others = [other for name, other in EVERY.items() if name != kind]
    assert all(value != other for other in others)


@pytest.mark.parametrize("kind", sorted(EVERY.keys() - {"Choice", "FitResult"}))  # which have no array of their own
def test_an_array_that_differs_makes_a_value_differ(kind: str) -> None:
    value = copy.deepcopy(EVERY[kind])
    arrays = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    name = next(name for name, found in arrays.items() if isinstance(found, np.ndarray) and found.size)
    changed = arrays[name].copy()
    changed.flat[0] = ~changed.flat[0] if changed.dtype == bool else changed.flat[0] + 1
    object.__setattr__(value, name, changed)
    assert value != EVERY[kind]


@pytest.mark.parametrize("kind", EVERY)
def test_prompts_are_short_and_notebooks_get_html(kind: str) -> None:
    assert len(repr(EVERY[kind])) < 200
    assert repr(EVERY[kind]).startswith(f"<{kind}: ")
    shown = EVERY[kind]._repr_html_()
    assert shown.count("<") == shown.count(">")


def test_every_value_with_arrays_is_equal_by_what_it_holds() -> None:
    """No dataclass of `values` compares by identity, and none prints its arrays."""
    for module in pkgutil.iter_modules(values.__path__):
        for found in vars(importlib.import_module(f"lleval_jax.values.{module.name}")).values():
            if isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__.endswith(module.name):
                assert found.__eq__ is not object.__eq__, found
                assert found.__repr__ is Value.__repr__ or not _holds_arrays(found), found


def _holds_arrays(kind: type) -> bool:
    return any("ndarray" in str(field.type) or "NDArray" in str(field.type) for field in dataclasses.fields(kind))


def test_values_go_to_other_processes() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (again,) = pool.map(copy.copy, [EVERY["Estimate"]])
    assert again == EVERY["Estimate"]


def test_errors_go_to_other_processes() -> None:
    error = ll.BadInput("what.", python="In Python.", shell="In the shell.")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.in_shell()) == ("what. In Python.", "what. In the shell.")


def estimate() -> ll.Estimate:
    numbers = [np.array([[0.5, 0.4], [0.7, 0.6]]) + more for more in (0, -0.1, 0.1)]
    said = {"n_seen": 9, "status": "ok", "target": "accuracy", "method": "m", "level": 0.9, "source": ll.Source()}
    return ll.Estimate.crossed(["<a>", "b"], ["all", "law"], [*numbers, np.full((2, 2), 0.06)], **said)


def test_entries_of_an_estimate() -> None:
    found = estimate()
    assert len(found) == 4
    assert [entry[:2] for entry in found] == [("<a>", "all"), ("<a>", "law"), ("b", "all"), ("b", "law")]
    assert found["b"] == Entry("b", "all", 0.7, pytest.approx(0.6), pytest.approx(0.8), 0.06, 9, "ok", "")
    assert found["b", "law"].value == 0.6
    assert str(found["b", "law"]) == "b / law  0.600  [0.500, 0.700]  from 9 answers"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c", "there is no row 'c'; there are 2, such as '<a>', 'b'"),
        (("b", "low"), "'b' has no group 'low'; there is all, law; did you mean 'law'"),
        (0, "entries are asked for by the name of a row; 0 is of type int"),
    ],
)
def test_entries_that_are_none(name, message: str) -> None:
    with pytest.raises(ll.BadInput, match=message):
        estimate()[name]


def test_several_groups_without_the_whole_are_asked_for_by_name() -> None:
    parts = dataclasses.replace(estimate(), group=("math", "law") * 2)
    with pytest.raises(ll.BadInput, match=r"say which group: math, law. Write estimate\['b', 'math'\]"):
        parts["b"]


def test_names_are_escaped_in_html() -> None:
    assert html.escape("<a>") in estimate()._repr_html_()
    assert "<a>" not in estimate()._repr_html_()


def test_arrow_keeps_what_is_said_of_all_entries() -> None:
    table = estimate().to_arrow()
    assert table.to_pandas().equals(estimate().to_frame())
    assert json.loads(table.schema.metadata[b"lleval"])["level"] == 0.9
    answers = worlds.new()
    assert answers.to_arrow().num_rows == answers.seen.sum()


def test_xarray_is_a_grid_of_rows_and_groups(monkeypatch) -> None:
    class Fake:
        Dataset = staticmethod(lambda variables, coords, attrs: (variables, coords, attrs))

    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name: Fake if name == "xarray" else original(name))
    variables, coords, said = estimate().to_xarray()
    assert (coords["row"], coords["group"], said["target"]) == (["<a>", "b"], ["all", "law"], "accuracy")
    np.testing.assert_array_equal(variables["value"][1], [[0.5, 0.4], [0.7, 0.6]])
    variables, coords, _ = worlds.new().to_xarray()
    assert variables["score"][1].shape == (len(coords["row"]), len(coords["item"]))


def test_without_xarray_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xarray", None)
    with pytest.raises(ll.RunFailed, match=r"xarray is not installed. Run: pip install xarray"):
        estimate().to_xarray()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ll.tiny.estimate(worlds.new(), bank="livexiv-vqa"),
            r"bank is a name, 'livexiv-vqa'. Pass bank=ll.load_",
        ),
        (lambda: ll.adaptive.choose(None, bank="livexiv-vqa"), r"bank is a name, 'livexiv-vqa'. Pass bank=ll.load_"),
        (lambda: ll.tiny.estimate(worlds.bank(), bank=worlds.new()), "The answers come first"),
        (lambda: ll.ability.estimate(worlds.new(), bank=EVERY["FitResult"]), "bank is a fit. Make a bank of it"),
        (lambda: ll.ability.estimate([[1, 0]], bank=worlds.bank()), r"responses is of type list.*Pass ll.read"),
    ],
)
def test_slips_are_named(call, message: str) -> None:
    with pytest.raises(ll.BadInput, match=message):
        call()
