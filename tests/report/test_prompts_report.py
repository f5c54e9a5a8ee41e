"""Tables, facts and pictures of `report.prompts`."""

import dataclasses
import pathlib
import re

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.estimators.prompts import PromptParams
from lleval_jax.report import prompts as report
from lleval_jax.report.cite import BIBTEX
from lleval_jax.values.findings import Best, Distribution
from lleval_jax.values.params import coded
from lleval_jax.values.results import Ended

N = 12


def a_fit(models: list[str] | None = None, status: str = "ok") -> ll.FitResult[PromptParams]:
    """Twelve prompts on ten examples; the last prompt was not asked."""
    draws = np.random.default_rng(0).uniform(0.2, 0.8, (50, N))
    zero, answered = np.zeros(N), np.array([3] * (N - 1) + [0])
    code, names = (None, ()) if models is None else coded(models)
    named = {} if models is None else {"models": names, "templates": names}
    return ll.FitResult(
        params=PromptParams(
            draws=draws,
            level=np.asarray(0.2),
            effect=zero,
            effect_sd=zero + 1,
            example=np.zeros(10),
            coef=np.array([0.25]),
            coef_sd=np.array([0.1]),
            scale=np.array([0.1, 0.4, 1.3]),
            scale_low=np.array([0.05, 0.2, 1.0]),
            scale_high=np.array([0.2, 0.6, 1.6]),
            dispersion=np.asarray(1.0),
            answered=answered,
            example_var=np.zeros(10),
            model=code,
            prompt=code,
        ),
        axes={
            "prompts": tuple(f"[bold]p{i}" for i in range(N)),
            "examples": tuple(f"e{j}" for j in range(10)),
            "kinds": ("features", "prompt", "example"),
            "features": ("words",),
        }
        | named,
        ended=Ended(status, 3, 0.0),
        method="extended rasch",
    )


def a_best() -> Best:
    chance = np.array([0.2, 0.0, 0.7, 0.1])
    value = np.array([0.55, 0.2, 0.6, 0.5])
    numbers = [value, value - 0.1, value + 0.1, np.full(4, 0.05)]
    words = {"target": "accuracy", "method": "extended rasch", "level": 0.95, "source": ll.Source(), "status": "ok"}
    seen = np.array([[800], [0], [1200], [7]])
    scores = ll.Estimate.crossed(tuple("abcd"), ("all",), numbers, n_seen=seen, **words)
    return Best("c", 0.7, scores, (0.5, 0.99), (0.0, 0.031), 0.01, tuple("abcd"), chance, 1500.0, "")


def a_curve() -> Distribution:
    value = np.linspace(0.3, 0.6, N)
    return Distribution((np.arange(N) + 0.5) / N, value, value - 0.05, value + 0.05)


def test_a_table_says_how_large_effects_are_and_what_was_answered() -> None:
    found = report.table(a_fit(), ll.prompts.estimate(a_fit(), quantiles=(0.05, 0.5)))
    lines = str(found).splitlines()
    assert lines[0] == "estimated accuracy, 95% intervals (method: extended rasch)"
    assert lines[1].split() == ["prompts", "accuracy", "interval", "answers"]
    assert [line.split()[0] for line in lines[2:4]] == ["q05", "q50"]
    said = "features 0.10 [0.05, 0.20], prompt 0.40 [0.20, 0.60], example 1.30 [1.00, 1.60]"
    assert lines[4] == f"effects in logits (sd, 90% intervals): {said}"
    assert lines[5] == "33 of 120 cells answered: 12 prompts x 10 examples"
    assert lines[6:] == ["'[bold]p11' has no answer; estimated from the others"]
    failed = report.table(a_fit(status="not converged"), ll.prompts.estimate(a_fit()))
    assert failed.remarks[-1] == "the fit is not converged"


def test_facts_are_plain_json() -> None:
    found = report.facts(a_fit())
    assert found["unanswered"] == ["[bold]p11"]
    assert found["features"] == [{"name": "words", "value": 0.25, "sd": 0.1}]
    assert found["scales"][1] == {"name": "prompt", "value": 0.4, "low": 0.2, "high": 0.6}
    assert {type(value) for value in found.values()} <= {str, int, float, list}


def test_a_comparison_names_the_better_one_and_claims_no_certainty() -> None:
    gap = ll.prompts.difference(a_fit(), "[bold]p0", "[bold]p1")
    assert report.comparison(gap, "a", "b", 0.25).remarks == ("b is better with probability 0.75",)
    assert report.comparison(gap, "a", "b", 1.0).remarks == ("a is better with probability over 0.99",)


def test_a_choice_shows_some_cells_or_why_it_is_enough() -> None:
    cells = [("p", f"e{j}") for j in range(20)]
    chosen = ll.Choice(("p",), (tuple(item for _, item in cells),), ("to be balanced",))
    found = report.choice(chosen, ("prompt", "item"), cells, 5)
    assert found.title == "run next: 20 cells, 1 prompts on 20 examples"
    assert len(found.lines) == report.CELLS
    assert found.remarks == ("to be balanced", "and 8 more; --out FILE writes them all")
    assert report.choice(chosen, ("prompt", "item"), cells, 5, "next.csv").remarks[-1] == "all written to next.csv"
    enough = report.choice(ll.Choice(("p",), ((),), ("the budget is spent",)), ("prompt", "item"), [], 1234)
    assert str(enough).splitlines() == ["enough", "answers  why", "1,234    the budget is spent"]


def test_the_best_prompt_with_its_rivals() -> None:
    found = report.best(a_best())
    assert found.lines == (("c", "0.70"), ("a", "0.20"), ("d", "0.10"))
    assert found.remarks == (
        "c: P(best) = 0.70. Its regret is at most 0.0 points with probability 0.5, 3.1 points with probability 0.99",
        "Its score: 0.600 [0.500, 0.700], from 1,200 answers of its own",
    )


def test_rivals_are_drawn_best_on_top_and_the_rest_is_counted() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="needs the extra `plot`")
    pyplot.switch_backend("agg")
    axes = report.rivals(a_best(), title="simulated: ", most=2)
    right = axes.child_axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["c", "a", "and 2 more"]
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["0.70", "0.20", "0.10"]
    assert axes.yaxis_inverted()
    assert axes.figure.get_suptitle() == "simulated: best so far: c, P(best) = 0.70"
    axes = report.rivals(a_best())
    assert [tick.get_text() for tick in axes.child_axes[0].get_yticklabels()] == ["0.70", "0.20", "0.10", "<0.01"]
    full, hollow = axes.get_lines()
    assert (full.get_xdata().tolist(), hollow.get_xdata().tolist()) == ([0.6, 0.55, 0.5], [0.2])
    assert hollow.get_label() == "without answers of its own"
    pyplot.close("all")


def test_a_grid_shows_what_was_answered_and_what_is_to_run() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="needs the extra `plot`")
    pyplot.switch_backend("agg")
    seen = np.array([[True, False, False], [False, False, True]])
    answers = ll.Responses.build(seen.astype(np.float32), seen=seen, rows=("p", "q"), items=tuple("xyz"))
    axes = report.cells(answers, ll.Choice(("q",), (("y", "x"),), ("",)))
    assert axes.get_images()[0].get_array().tolist() == [[1, 0, 0], [2, 2, 1]]
    assert axes.figure.get_suptitle() == "run next: 2 cells, 1 prompts on 2 examples"
    said = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert said == ["answered: 2", "run next: 2", "not asked: 2"]
    axes = report.cells(answers, ll.Choice(("q",), ((),), ("the budget is spent",)))
    assert axes.figure.get_suptitle() == "enough: the budget is spent"
    pyplot.close("all")


def test_a_grid_too_fine_for_a_picture_loses_no_cell_to_run(monkeypatch) -> None:
    monkeypatch.setattr(report, "FINE", 4)
    kind = np.zeros((3, 10), np.int8)
    kind[0, 0], kind[0, 9], kind[2, 1], kind[2, 2] = 1, 2, 1, 2
    assert report._coarse(kind).tolist() == [[1, 0, 0, 2], [0, 0, 0, 0], [2, 0, 0, 0]]


def test_two_probabilities_on_one_screen_have_two_names() -> None:
    """Ties are shared in P(best), so that it sums to one over the prompts; P(best or tied) counts them whole."""
    tied = report.best(dataclasses.replace(a_best(), probability=0.75)).remarks[0]
    assert tied.startswith("c: P(best) = 0.70; P(best or tied) = 0.75. Its regret")
    numbers = set(re.findall(r"(?<![\d.])0\.7\d", str(report.best(a_best()))))
    assert numbers == {"0.70"}


def test_the_reason_of_a_choice_is_one_sentence() -> None:
    each = ll.Choice(("a", "b", "c"), (("x",),) * 3, ("P(best) = 0.01", "P(best) = 0.02", "P(best) = 0.03"))
    assert each.to_dict()["why"] == "P(best) = 0.01 (a); the reasons of the other 2 rows stand with each"
    said = dataclasses.replace(each, summary="a leads with 0.30")
    assert said.to_dict()["why"] == "a leads with 0.30"
    assert [one["why"] for one in said.to_dict()["choices"]] == list(each.why)
    assert ll.Choice(("a", "b"), ((), ()), ("enough", "enough")).to_dict()["why"] == "enough"


def test_only_the_prompts_of_an_estimate() -> None:
    fit = a_fit()
    found = report.only_prompts(fit, ll.prompts.estimate(fit, of=("mean",), per_prompt=True))
    assert found.rows == fit.rows
    np.testing.assert_allclose(found.value, ll.prompts.estimate(fit, quantiles=(), per_prompt=True).value)


def test_pictures_are_drawn_and_carry_what_they_should(tmp_path: pathlib.Path) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    fit = a_fit()
    each = ll.prompts.estimate(fit, quantiles=(), per_prompt=True)
    known = {(row, "all"): 0.5 for row in fit.rows}
    truth = np.linspace(0.6, 0.3, N)
    path = tmp_path / "a.svg"
    axes = report.plot(fit, {"": a_curve()}, 0.9, truth={"": truth}, each=each, known=known, title="T: ", path=path)
    assert path.stat().st_size > 1000
    assert len(axes.flat) == 2
    left = axes[0, 0]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["90% band", "estimate", "truth"]
    np.testing.assert_allclose(left.lines[1].get_ydata(), np.sort(truth))
    assert left.figure.get_suptitle() == "T: 33 of 120 cells answered (12 prompts x 10 examples)"
    labels = [text.get_text() for text in axes[0, 1].get_yticklabels()]
    assert labels[-1] == each.rows[int(each.value.argmax())]
    many = report.plot(a_fit(status="not finite"), dict.fromkeys("abcdefgh", a_curve()), 0.95)
    assert [one.get_title(loc="left") for one in many.flat] == list("abcdef")
    assert many[0, 0].figure.get_suptitle().endswith("not finite")
    plt.close("all")


def test_a_regret_curve_has_a_line_and_a_band_for_each_rule() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    runs = {"one run": np.array([[0.1], [0.0]]), "many": np.random.default_rng(0).uniform(0, 0.1, (2, 30))}
    axes = report.regret([100, 200], runs)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.1, 0.0])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), runs["many"].mean(1))
    assert len(axes.collections) == 2
    plt.close("all")


def test_what_is_cited_can_be_cited() -> None:
    from lleval_jax.estimators import prompts
    from lleval_jax.estimators.prompts import best

    for key in {*best.CITE, *prompts.CITE}:
        assert BIBTEX[key].startswith("@inproceedings{" + key + ",")
    source = dataclasses.replace(a_fit().source, cite=prompts.CITE)
    assert "2405.17202" in ll.cite(source)
