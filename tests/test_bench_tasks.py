"""The small tasks that adapters are trained on, and how their figures are made."""

import importlib
import pathlib

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def study(monkeypatch):
    """A module of the study, by name."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"bench.compress.{name}")


def test_there_are_64_tasks_and_what_is_asked_is_not_learned(study):
    tasks, texts = study("tasks"), study("texts")
    assert len(set(map(tasks.folder_of, tasks.NAMES))) == 64
    for name in set(tasks.NAMES) - set(texts.TASKS):
        learned, apart = tasks.learned_and_held_out(name, 40, 10)
        assert len(apart) == 10
        assert len(learned) >= 20
        assert not {question for question, _ in learned} & {question for question, _ in apart}
        assert (learned, apart) == tasks.learned_and_held_out(name, 40, 10)


@pytest.mark.parametrize(
    ("function", "given", "wanted"),
    [
        ("roman", 94, "XCIV"),
        ("ordinal", 112, "112th"),
        ("ordinal", 23, "23rd"),
        ("spelled", 47, "forty-seven"),
        ("spelled", 13, "thirteen"),
        ("plural", "cherry", "cherries"),
        ("plural", "turkey", "turkeys"),
        ("plural", "wolf", "wolves"),
        ("going", "run", "running"),
        ("going", "take", "taking"),
        ("going", "see", "seeing"),
    ],
)
def test_answers_are_right(study, function, given, wanted):
    assert getattr(study("tasks"), function)(given) == wanted


def test_an_interval_over_tasks_is_that_of_the_mean(study):
    """Of normal numbers: 1.96 standard errors to each side."""
    values = np.random.default_rng(1).standard_normal(400)
    value, low, high = study("quality_tables").interval(lambda some: float(values[some].mean()), 400)
    error = values.std() / 20
    assert value == pytest.approx(values.mean())
    np.testing.assert_allclose([value - low, high - value], 1.96 * error, rtol=0.1)


def test_the_rank_of_equal_memory_is_the_largest(study):
    quality = study("quality")
    held = quality._held((192, 576), 100, 4, 16)
    rank = quality._matching((192, 576), 100, held)
    assert quality._held((192, 576), 100, 1, rank) <= held < quality._held((192, 576), 100, 1, rank + 1)


def test_adapters_that_are_turned_keep_their_singular_values_and_those_drawn_their_norms(study):
    quality = study("quality")
    rng = np.random.default_rng(0)
    stack = quality.stacks.unit(quality.Stack(*(rng.standard_normal((1, 3, 2, d)).astype("f4") for d in (7, 9))))
    before, turned = (np.asarray(quality.stacks.dense(each)) for each in (stack, quality._turned(stack)))
    np.testing.assert_allclose(np.linalg.svd(before)[1], np.linalg.svd(turned)[1], atol=1e-5)
    assert np.abs(before - turned).max() > 0.05
    np.testing.assert_allclose(quality.stacks.norms(quality._drawn(stack)), 1, rtol=1e-5)
