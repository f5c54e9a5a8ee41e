"""Tables, facts and pictures of `report.refresh`."""

import dataclasses
import pathlib

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.report import refresh as report
from lleval_jax.report import refresh_plots
from lleval_jax.values.ranks import Standing
from lleval_jax.values.results import Ended

MODELS = ("ant", "bee", "cat", "dog")
GROUPS = ("all", "law", "math")
VALUE = np.array([[0.3, 0.2, 0.4], [0.5, 0.4, 0.6], [0.6, 0.5, 0.7], [0.8, 0.7, 0.9]])


def an_estimate(run: tuple[str, ...] = ("bee",), error: float = 0.02, **more) -> ll.Estimate:
    """Four models on two domains; those of `run` are known."""
    ran = np.array([name in run for name in MODELS])[:, None]
    error_of = np.where(ran, 0, error) * np.ones((4, 3))
    return ll.Estimate.crossed(
        MODELS,
        GROUPS,
        [VALUE, VALUE - 2 * error_of, VALUE + 2 * error_of, error_of],
        n_seen=np.where(ran, (100, 50, 50), 0),
        target="accuracy",
        method="refresh d=1",
        level=0.95,
        source=ll.Source(),
        **({"status": "ok"} | more),
    )


def ranked(order: tuple[int, ...], rows: tuple[str, ...] = MODELS) -> ll.Estimate:
    place = np.array(order, float)[:, None]
    numbers = [place, np.maximum(place - 1, 1), np.minimum(place + 1, len(rows)), np.full(place.shape, 0.5)]
    words = {"target": "rank", "method": "refresh d=1", "level": 0.95, "source": ll.Source(), "status": "ok"}
    return ll.Estimate.crossed(rows, ("all",), numbers, n_seen=0, **words)


def truth(shift: float = 0.01) -> dict[tuple[str, str], float]:
    return {(m, g): float(VALUE[i, j] + shift) for i, m in enumerate(MODELS) for j, g in enumerate(GROUPS)}


def a_fit() -> ll.FitResult:
    return ll.FitResult(
        params=None,
        axes={
            "models": MODELS,
            "cells": ("v1/law", "v1/math", "v2/law", "v2/math"),
            "domains": ("law", "math"),
            "versions": ("v1", "v2"),
        },
        ended=Ended("ok", 17, -1.0),
        method="refresh d=1",
        settings={"dims": 1},
    )


def test_a_line_a_model_best_first_and_then_by_domain() -> None:
    whole, parts = report.tables(an_estimate(), "v3")
    assert whole.title == "estimated accuracy on v3, 95% intervals (method: refresh d=1)"
    assert whole.head == ("model", "accuracy", "interval", "answers", "source")
    assert [line[0] for line in whole.lines] == ["dog", "cat", "bee", "ant"]
    assert [line[-1] for line in whole.lines] == ["predicted", "predicted", "measured", "predicted"]
    assert whole.lines[2][2:4] == ("[0.500, 0.500]", "100")
    assert whole.remarks == (report.SURE,)
    assert [line[:2] for line in parts.lines[:2]] == [("law", "dog"), ("law", "cat")]
    assert len(parts.lines) == 8


def test_the_error_of_a_group_that_is_not_there_is_refused() -> None:
    assert report.error(an_estimate(), "law") == pytest.approx(0.02 * np.sqrt(3 / 4))
    with pytest.raises(ll.BadInput, match="no score of 'lwa'; there are all, law, math"):
        report.error(an_estimate(), "lwa")


def test_ranks_and_truth_stand_beside() -> None:
    ranks, first = ranked((4, 3, 2, 1)), np.arange(4)[::-1]
    holds = np.array([0.9, 0.8, 0.7, 0.6])
    standing = Standing(first, ranks.low[first], ranks.high[first], ranks, np.eye(4)[::-1], holds)
    whole, parts = report.tables(an_estimate(), "v3", standing=standing, truth=truth(0.05))
    assert whole.head[:4] == ("model", "rank", "ranks", "rank holds")
    assert whole.lines[0][:4] == ("dog", "1", "1-2", "60%")
    assert whole.lines[0][-2:] == ("0.850", "no")
    assert whole.remarks[0] == "0 of 3 intervals contain the score that was hidden; mean absolute error 0.050"
    assert parts.remarks[0].startswith("0 of 6 intervals")


def test_partly_run_and_not_converged_are_said() -> None:
    found = dataclasses.replace(an_estimate(status="not converged"), n_seen=np.full(12, 3))
    (whole, _) = report.tables(found, "v3")
    assert whole.lines[0][-2:] == ("partly measured", "not converged")
    assert whole.remarks == ()


def test_a_choice_says_what_it_saves() -> None:
    chosen = ll.Choice(("bee", "dog"), ((), ()), ("because", "also this"), whole=True)
    outlooks = [an_estimate(()), an_estimate(("bee",)), an_estimate(("bee", "dog"))]
    found = report.choice(chosen, a_fit(), outlooks, report.Cost(2.0, 4.0, 100))
    assert found.head[:2] == ("", "model")
    assert found.lines == (("1", "bee", "because  "), ("2", "dog", "also this"))
    assert "no ranking" in found.remarks[0]
    assert found.remarks[1] == "expected RMSE over 4 models: 2.00 points without re-running any, 1.41 with these"
    assert found.remarks[2].startswith("saved: 50% of the cost of all; 2 of 4 models are run, 200 answers instead of")
    assert found.remarks[3] == "learned from v1, v2: 4 models, refresh d=1, ok after 17 steps"
    price = {"bee": 3.0, "dog": 1.0, "ant": 1.0, "cat": 1.0}
    words = {"ask": "law", "price": price}
    found = report.choice(chosen, a_fit(), outlooks, report.Cost(4.0, 6.0, 100), **words)
    assert found.lines[0][:3] == ("1", "bee", "3")
    assert found.title.endswith("the scores of all models on law")
    assert "saved: 33% of the cost of all, 4 instead of 6;" in found.remarks[2]


def test_facts_are_plain_json() -> None:
    found = report.facts(a_fit())
    assert (found["models"], found["versions"], found["domains"]) == (4, ["v1", "v2"], ["law", "math"])
    assert {type(value) for value in found.values()} <= {str, int, list}


def test_scores_against_truth(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    axes = refresh_plots.scores(an_estimate(), truth(0.05), tmp_path / "a.png", title="v3")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    titles = [one.get_title("left") for one in axes.flat]
    assert titles == [f"{name}\n0 of 3 contain the truth\nmean error 0.050" for name in GROUPS]
    named = [text.get_text() for text in axes[0, 0].texts]
    assert len(set(named) & {"ant", "cat", "dog"}) == len(named) == refresh_plots.NAMED
    marks = [(line.get_marker(), len(line.get_xdata())) for line in axes[0, 1].lines if line.get_marker() in "oD"]
    assert sorted(marks) == [("D", 1), ("o", 0), ("o", 3)]
    with pytest.raises(ll.BadInput, match="no score of these models is known"):
        refresh_plots.scores(an_estimate(), {})


def test_scores_without_truth_are_a_forest(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    axes = refresh_plots.scores(an_estimate(status="not converged"), path=tmp_path / "a.svg")
    assert [one.get_title("left") for one in axes.flat] == list(GROUPS)
    assert [text.get_text() for text in axes[0, 0].get_yticklabels()] == list(MODELS)
    assert axes[0, 0].figure._suptitle.get_text().endswith("not converged")


def test_each_model_run_is_named_at_its_step(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    outlooks = [an_estimate(()), an_estimate(("bee",)), an_estimate(("bee", "dog"))]
    axes = refresh_plots.choice(outlooks, outlooks[:2], tmp_path / "a.pdf", group="law")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["none", "1  bee", "2  dog"]
    even, chosen = axes.lines
    assert chosen.get_ydata() == pytest.approx([2, 3**0.5, 2**0.5])
    assert len(even.get_xdata()) == 2
    assert axes.get_ylabel() == "expected error on law, points"
    with pytest.raises(ll.BadInput, match="nothing to draw"):
        refresh_plots.choice([])


def test_sets_that_do_not_hold_each_other_are_counted(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    outlooks = [an_estimate(()), an_estimate(("ant",)), an_estimate(("bee", "dog"))]
    axes = refresh_plots.choice(outlooks, outlooks[:2], tmp_path / "b.png")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "1", "2"]
    assert axes.get_xlabel() == "models run; the best 2: bee, dog"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["spread evenly", "best set of each size"]


def test_no_interval_covers_another() -> None:
    found = ranked((1, 2, 3, 4))  # 1-2, 1-3, 2-4, 3-4
    aside = refresh_plots._aside(found)
    assert aside == pytest.approx([0, refresh_plots.LANE, 2 * refresh_plots.LANE, 0])
    assert set(refresh_plots._aside(dataclasses.replace(found, low=found.value, high=found.value))) == {0}


def test_ranks_from_version_to_version(tmp_path: pathlib.Path) -> None:
    """Ant falls from the first to the last place and eel is new."""
    pytest.importorskip("matplotlib")
    new = ranked((5, 2, 3, 1, 4), (*MODELS, "eel"))
    axes = refresh_plots.ranks(ranked((1, 2, 3, 4)), new, versions=["v1", "v2"], path=tmp_path / "a.png")
    assert axes.get_title("left") == "Ranks with 95% intervals: 2 of 5 models change significantly from v1 to v2"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["v1", "v2"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["ant  1", "bee  2", "cat  3", "dog  4"]
    with pytest.raises(ll.BadInput, match="there are 1 versions"):
        refresh_plots.ranks(new)
    with pytest.raises(ll.BadInput, match="there are 3 names and 2 versions"):
        refresh_plots.ranks(new, new, versions=["a", "b", "c"])
