"""Tables, comparisons, pictures and citations of results."""

import pathlib

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.report import compare, plot, text
from lleval_jax.report.cite import BIBTEX, cite


def an_estimate(value=(0.60, 0.62, 0.80), error=0.03, group=None, status=None) -> ll.Estimate:
    value = np.array(value)
    n = len(value)
    half = 1.959963984540054 * error
    return ll.Estimate(
        target="accuracy",
        method="pirt",
        rows=tuple(f"[bold]model-{i}" for i in range(n)),
        group=group or ("all",) * n,
        value=value,
        low=value - half,
        high=value + half,
        level=0.95,
        std_error=np.full(n, error),
        n_seen=np.full(n, 60),
        status=status or ("ok",) * n,
        source=ll.Source(cite=("polo2024tiny",)),
    )


def test_a_difference_has_the_variance_of_both() -> None:
    found = compare.difference(an_estimate(), "[bold]model-2", "[bold]model-0")
    np.testing.assert_allclose(found.value, 0.2, rtol=1e-12)
    np.testing.assert_allclose(found.std_error, np.sqrt(2) * 0.03, rtol=1e-12)
    np.testing.assert_allclose(found.high - found.low, 2 * 1.959963984540054 * np.sqrt(2) * 0.03, rtol=1e-9)


def test_a_difference_with_itself_or_a_stranger_is_refused() -> None:
    with pytest.raises(ll.BadInput, match="two different rows"):
        compare.difference(an_estimate(), "[bold]model-2", "[bold]model-2")
    with pytest.raises(ll.BadInput, match="no row 'x' to compare; there are '.bold.model-0'"):
        compare.difference(an_estimate(), "[bold]model-2", "x")


def test_ranks_are_shared_where_intervals_do_not_tell_rows_apart() -> None:
    found = compare.ranks(an_estimate())
    assert found.order.tolist() == [2, 1, 0]
    assert found.best.tolist() == [1, 2, 2]
    assert found.worst.tolist() == [1, 3, 3]


def test_ranks_agree_with_the_differences() -> None:
    estimate = an_estimate(np.random.default_rng(3).uniform(0.3, 0.7, 12))
    found = compare.ranks(estimate)
    for place, i in enumerate(found.order):
        gaps = [compare.difference(estimate, o, estimate.rows[i]) for o in estimate.rows if o != estimate.rows[i]]
        assert found.best[place] == 1 + sum(g.low[0] > 0 for g in gaps)
        assert found.worst[place] == 12 - sum(g.high[0] < 0 for g in gaps)


def test_a_table_shows_every_entry_with_its_interval() -> None:
    lines = str(text.table(an_estimate())).splitlines()
    assert lines[0] == "estimated accuracy, 95% intervals (method: pirt)"
    assert lines[2].split() == ["[bold]model-0", "0.600", "[0.541,", "0.659]", "60"]


def test_groups_and_status_get_a_column_only_where_they_say_something() -> None:
    assert text.table(an_estimate()).head == ("model", "accuracy", "interval", "answers")
    found = text.table(an_estimate(group=("all", "a", "b"), status=("ok", "ok", "not converged")))
    assert found.head == ("model", "group", "accuracy", "interval", "answers", "status")


def test_the_truth_stands_beside_the_estimate() -> None:
    truth = {("[bold]model-0", "all"): 0.61, ("[bold]model-2", "all"): 0.5}
    found = text.table(an_estimate(), truth)
    assert [line[-2:] for line in found.lines] == [("0.610", "yes"), ("-", "-"), ("0.500", "no")]
    assert found.remarks == ("1 of 2 intervals contain the truth; mean absolute error 0.155",)


def test_marks_in_names_mean_nothing_on_a_terminal_and_in_a_file(capsys: pytest.CaptureFixture) -> None:
    for width in (200, None):
        text.show(text.leaderboard(an_estimate(), compare.ranks(an_estimate())), width)
        assert "[bold]model-2" in capsys.readouterr().out


def test_a_narrow_terminal_loses_nothing(capsys: pytest.CaptureFixture) -> None:
    text.show(text.table(an_estimate()), 20)
    assert "[0.541, 0.659]" in capsys.readouterr().out


def test_a_long_name_makes_room_on_a_narrow_terminal(capsys: pytest.CaptureFixture) -> None:
    long = text.Table("t", ("model", "score"), (("meta-llama/Meta-Llama-3-70B-Instruct", "0.5"), ("a", "0.25")))
    text.show(long, 30)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "meta-llama/…0B-Instruct    0.5"
    assert max(map(len, lines)) == 30


def test_the_comparison_says_what_it_cannot_tell() -> None:
    assert "No significant difference" in text.comparison(an_estimate(), "[bold]model-0", "[bold]model-1").remarks[0]
    assert "is better" in text.comparison(an_estimate(), "[bold]model-0", "[bold]model-2").remarks[0]


def test_a_forest_is_drawn_best_on_top(tmp_path: pathlib.Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="needs the extra `plot`")
    pyplot.switch_backend("agg")
    axes = plot.forest(an_estimate(), {("[bold]model-0", "all"): 0.61}, tmp_path / "forest.png")
    assert [tick.get_text() for tick in axes.get_yticklabels()][-1] == "[bold]model-2"
    assert (tmp_path / "forest.png").stat().st_size > 1000
    pyplot.close("all")


def test_a_forest_shows_goals_and_of_very_many_rows_no_names() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="needs the extra `plot`")
    pyplot.switch_backend("agg")
    axes = plot.forest(an_estimate(), goals={"threshold 0.6": 0.6})
    line = axes.get_lines()[-1]
    assert (line.get_xdata(), line.get_label()) == ([0.6, 0.6], "threshold 0.6")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["estimate and interval", "threshold 0.6"]
    many = plot.forest(an_estimate().take([0, 1, 2] * 1000))
    assert many.get_ylabel() == "3,000 rows, best on top"
    assert many.figure.get_figheight() < 20
    pyplot.close("all")


def test_entries_are_taken_in_the_order_asked_for() -> None:
    found = an_estimate(status=("ok", "ok", "not converged")).take([2, 0])
    assert found.rows == ("[bold]model-2", "[bold]model-0")
    assert found.status == ("not converged", "ok")
    assert found.value.tolist() == an_estimate().value[[2, 0]].tolist()


def test_groups_that_differ_are_named_in_one_sentence() -> None:
    def said(low, high) -> list[str]:
        low, high = np.array(low), np.array(high)
        numbers = [(low + high) / 2, low, high, (high - low) / 4]
        words = {"target": "difference", "method": "m", "level": 0.95, "source": ll.Source(), "status": "ok"}
        groups = ("all", "law", "math", "art")
        return compare.verdicts(ll.Estimate.crossed(("a - b",), groups, numbers, n_seen=9, **words), "a", "b")

    judged = "Groups with a significant difference, each judged by itself:"
    whole = "No significant difference between a and b at the 95% level."
    assert said([-0.1] * 4, [0.1] * 4) == [whole, f"{judged} none of 3."]
    some = "a is better on law, art; b is better on math"
    assert said([-0.1, 0.1, -0.3, 0.1], [0.1, 0.3, -0.1, 0.3]) == [whole, f"{judged} 3 of 3; {some}."]
    assert said([0.1, 0.1, -0.3, -0.1], [0.2, 0.3, 0.1, 0.3]) == [
        "a is better than b.",
        f"{judged} 1 of 3; a is better on law.",
    ]


def test_citations_are_the_entries_used() -> None:
    assert cite(an_estimate()) == BIBTEX["polo2024tiny"]
    with pytest.raises(ll.BadInput, match="no BibTeX for 'nobody'"):
        cite(ll.Source(cite=("nobody",)))
