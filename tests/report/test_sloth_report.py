"""Tables, facts and pictures of what the next size will score."""

import pathlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.report import sloth_plots, sloth_tables
from lleval_jax.values.params import coded
from lleval_jax.values.results import Ended

SIZES, TOKENS = np.geomspace(1e9, 1e11, 7), np.geomspace(5e11, 2e13, 5)


def a_board() -> ll.Leaderboard:
    """Two families of three sizes; one model of 'b' was trained on more tokens."""
    table = {
        "model": [f"m{i}" for i in range(6)],
        "family": ["a:x", "a:x", "a:x", "b", "b", "b"],
        "params": [2e9, 7e9, 7e10] * 2,
        "tokens": [2e12] * 5 + [8e12],
        "MMLU": [0.3, 0.5, 0.7, 0.2, 0.4, 0.6],
        "GSM8K": [0.1, 0.3, np.nan, 0.0, 0.2, 0.5],
    }
    return ll.Leaderboard.from_frame(pd.DataFrame(table))


def a_fit(status: str = "ok") -> ll.FitResult:
    board = a_board()
    family, families = coded(board.families)
    return ll.FitResult(
        params=SimpleNamespace(size=board.params, tokens=board.tokens, family=family),
        axes={"models": board.models, "benchmarks": board.benchmarks, "families": families},
        ended=Ended(status, 1234, 1.0),
        method="sloth d=2 monotone",
        settings={"skills": 2, "link": "monotone"},
    )


def an_estimate(rows: list[str], groups: tuple[str, ...] = ("MMLU", "GSM8K"), status: str = "ok") -> ll.Estimate:
    """Scores that grow with parameters and tokens."""
    keys = [(row, group) for row in rows for group in groups]
    value = np.array([0.1 * np.log10(sloth_tables.parts(r).size * sloth_tables.parts(r).tokens) - 1.6 for r, _ in keys])
    return ll.Estimate(
        target="score",
        method="sloth d=2 monotone",
        rows=tuple(row for row, _ in keys),
        group=tuple(group for _, group in keys),
        value=value,
        low=value - 0.05,
        high=value + 0.05,
        level=0.95,
        std_error=np.full(len(keys), 0.025),
        n_seen=np.array([6 if group == "MMLU" else 5 for _, group in keys]),
        status=(status,) * len(keys),
    )


def test_rows_are_taken_apart_from_the_right() -> None:
    assert sloth_tables.parts("a:x:7e10:1.5e13") == ("a:x", 7e10, 1.5e13)
    for row in ("model-a", "a:b", "a:7B:2T"):
        with pytest.raises(ll.BadInput, match="is not named family:size:tokens"):
            sloth_tables.parts(row)


@pytest.mark.parametrize(
    ("count", "word"), [(7e9, "7B"), (1.5e13, "15T"), (2.5e12, "2.5T"), (5.6e8, "560M"), (9.999e8, "1B"), (12.0, "12")]
)
def test_counts_are_written_as_people_do(count: float, word: str) -> None:
    assert sloth_tables.short(count) == word


def test_a_table_a_target_and_the_law_below() -> None:
    first, second = sloth_tables.tables(a_fit(), an_estimate(["a:x:7e+10:2e12", "new:4e11:2e12"]))
    lines = str(first).splitlines()
    assert lines[0] == "a:x:7e+10:2e12, estimated score, 95% intervals (method: sloth d=2 monotone)"
    assert lines[1].split() == ["benchmark", "score", "interval", "models"]
    assert lines[2].split() == ["MMLU", "0.715", "[0.665,", "0.765]", "6"]
    assert lines[3].split()[-1] == "5"
    assert first.remarks == ("a:x: 3 models in the leaderboard, of 2B to 70B parameters",)
    assert second.remarks[0] == "new: unseen family"
    assert second.remarks[1] == "400B parameters are outside of the leaderboard's 2B to 70B"
    assert second.remarks[2].startswith("prediction intervals: for the score that will be observed")
    said = "6 models of 2 families on 2 benchmarks, ok after 1,234 steps"
    assert second.remarks[3:] == (f"the law, sloth d=2 monotone: {said}",)


def test_one_benchmark_is_one_table() -> None:
    (found,) = sloth_tables.tables(a_fit("not converged"), an_estimate(["b:7e9:2e12", "b:2e9:2e12"], ("MMLU",)))
    assert found.title == "estimated score, 95% intervals (method: sloth d=2 monotone): MMLU"
    assert [line[0] for line in found.lines] == ["b:7e9:2e12", "b:2e9:2e12"]
    assert found.remarks[0] == "b: 3 models in the leaderboard, of 2B to 70B parameters"
    assert found.remarks[-1].endswith("not converged after 1,234 steps")


def test_without_targets_the_law_stands_alone() -> None:
    (found,) = sloth_tables.tables(a_fit(), an_estimate([]))
    assert str(found).startswith("the law, sloth d=2 monotone: 6 models")


def test_facts_are_plain_json() -> None:
    found = sloth_tables.facts(a_fit())
    assert (found["models"], found["families"], found["benchmarks"]) == (6, 2, ["MMLU", "GSM8K"])
    assert {type(value) for value in found.values()} <= {str, int, list}


def test_curves_have_a_line_a_family_and_dots_where_observed(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    grid = an_estimate([f"{name}:{size:.4g}:2e12" for name in ("a:x", "b", "new") for size in SIZES])
    axes = sloth_plots.curves(grid, a_board(), an_estimate(["new:7e9:2e12"]), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert axes.shape == (1, 2)
    assert [one.get_title("left") for one in axes.flat] == ["MMLU", "GSM8K"]
    assert axes[0, 0].get_xlim() == (1e9, 1e11)
    lines = [one for one in axes[0, 1].lines if one.get_linestyle() == "-"]
    assert len(lines) == 3
    assert lines[0].get_xdata().tolist() == sorted(lines[0].get_xdata())
    dots = [len(one.get_xdata()) for one in axes[0, 1].lines if one.get_marker() == "o"]
    assert sum(dots) == 5  # one score is not known
    labels = [text.get_text() for text in axes[0, 0].figure.legends[0].get_texts()]
    assert labels == [
        "a:x, 2T tokens",
        "b, 2T tokens",
        "new, 2T tokens",
        "observed",
        "observed, other tokens",
        "asked for",
    ]


def test_a_dot_belongs_to_the_line_of_nearest_tokens() -> None:
    two = [sloth_plots._dots(a_board(), "MMLU", "b", tokens, (2e12, 8e12)) for tokens in (2e12, 8e12)]
    assert [len(found["observed"][0]) for found in two] == [2, 1]
    assert [len(found["observed, other tokens"][0]) for found in two] == [0, 0]
    assert sloth_plots._dots(a_board(), "ARC", "b", 2e12, (2e12,)) == {}


def test_too_many_lines_are_refused() -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(ll.BadInput, match="7 families and numbers of tokens; a picture holds 6"):
        sloth_plots.curves(an_estimate([f"new:7e9:{t}e12" for t in range(1, 8)]), a_board())


def test_observed_scores_beside_predicted(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    found = an_estimate(["a:x:7e9:2e12", "b:7e10:8e12"])
    keys = list(zip(found.rows, found.group, strict=True))
    truth = {key: float(v) + gap for key, v, gap in zip(keys[:3], found.value, (0.01, -0.02, 0.09), strict=False)}
    axes = sloth_plots.observed(found, truth, tmp_path / "a.svg")
    title = " ".join(axes.figure.get_suptitle().split())
    said = "2 of 3 95% intervals contain the truth (67%); mean absolute error 0.040, sloth d=2 monotone"
    assert title == said
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["MMLU", "GSM8K"]
    with pytest.raises(ll.BadInput, match="no score of these targets is known"):
        sloth_plots.observed(found, {})


def test_lines_of_equal_score_and_compute(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    grid = [f"b:{size:.4g}:{tokens:.4g}" for size in SIZES for tokens in TOKENS]
    axes = sloth_plots.levels(an_estimate(grid), a_board(), "b", "MMLU", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
    said = [text.get_text() for text in axes.texts]
    assert {"0.20", "0.40", "0.60"} <= set(said)  # what was observed
    assert {"$10^{22}$", "$10^{23}$", "$10^{24}$"} <= set(said)
    with pytest.raises(ll.BadInput, match="7 entries of 'b' on 'MMLU'; a grid of params and tokens is needed"):
        sloth_plots.levels(an_estimate(grid[::5]), a_board(), "b", "MMLU")


def test_loadings_are_grey_where_they_may_be_nothing(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    value = np.array([0.9, 0.1, -0.5, 0.4])
    found = ll.Estimate(
        target="loading",
        method="sloth d=2 monotone",
        rows=("MMLU", "MMLU", "GSM8K", "GSM8K"),
        group=("knowledge", "reasoning") * 2,
        value=value,
        low=value - 0.2,
        high=value + 0.2,
        level=0.95,
        std_error=np.full(4, 0.1),
        n_seen=np.full(4, 6),
        status=("ok", "ok", "ok", "not converged"),
    )
    axes = sloth_plots.loadings(found, tmp_path / "a.png")
    assert [text.get_text() for text in axes.texts] == ["0.90", "0.10", "-0.50", "0.40"]
    grey = [len(set(patch.get_facecolor()[:3])) == 1 for patch in axes.patches]
    assert grey == [False, True, False, False]
    assert axes.figure._suptitle.get_text().endswith("not converged")
