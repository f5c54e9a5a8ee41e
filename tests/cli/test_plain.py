"""`lleval estimate` without a bank."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK


@pytest.fixture
def answers(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three models on 60 questions in six groups; the third has answered half of them."""
    rng = np.random.default_rng(0)
    right = rng.random((3, 60)) < np.array([[0.9], [0.5], [0.45]])
    frame = pd.DataFrame(
        [(f"m{i}", f"q{j:02d}", int(right[i, j]), f"g{j % 6}") for i in range(3) for j in range(60 if i < 2 else 30)],
        columns=["model", "item", "score", "group"],
    )
    frame.to_csv(tmp_path / "answers.csv", index=False)
    return tmp_path / "answers.csv"


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["estimate", *words]) == OK
    return capsys.readouterr().out


def test_scores_and_what_they_are_of(answers, capsys):
    out = said([str(answers)], capsys)
    found = ll.plain.estimate(ll.read(answers))
    assert f"{found.value[0]:.3f}  [{found.low[0]:.3f}, {found.high[0]:.3f}]" in out
    assert "a large population of questions like these" in out
    assert "Models answered 30 to 60 questions" in out
    assert "No bank given" in out
    assert "'lleval calibrate'" in out


def test_json_says_the_same(answers, capsys):
    words = [str(answers), "--groups", "--leaderboard", "--compare", "m0", "m1", "--json", "-"]
    found = json.loads(said(words, capsys))
    want = ll.plain.compare(ll.read(answers), first="m0", second="m1", groups=True)
    assert found["schema"] == "lleval/estimate/1"
    assert len(found["estimates"]) == 3 * 7
    assert [line["row"] for line in found["ranks"]][0] == "m0"
    first = found["comparison"]["estimates"][0]
    assert (first["row"], first["p_value"], first["won"]) == ("m0 - m1", want.p_value[0], want.won[0])
    assert first["low"] == want.difference.low[0]
    assert len(found["comparison"]["estimates"]) == 7


def test_a_comparison_says_what_it_found(answers, capsys):
    out = said([str(answers), "--compare", "m0", "m1"], capsys)
    assert "m0 is better than m1." in out
    assert "Test: exact McNemar. Detectable with 80% power" in out
    out = said([str(answers), "--compare", "m1", "m2", "--cluster", "group"], capsys)
    assert "No significant difference between m1 and m2 at the 95% level." in out
    assert "clustered" in out


def test_a_leaderboard_has_rank_ranges(answers, capsys):
    out = said([str(answers), "--leaderboard", "--groups"], capsys)
    first = next(line for line in out.splitlines() if line.startswith("m0"))
    assert first.split()[:2] == ["m0", "1"]
    assert "2-3" in out
    assert "all ranges together contain the true ranks" in out


def test_a_whole_benchmark_is_known_exactly(answers, capsys):
    out = said([str(answers), "--population", "all", "--compare", "m0", "m1"], capsys)
    value = ll.plain.estimate(ll.read(answers)).value[0]
    assert f"{value:.3f}  [{value:.3f}, {value:.3f}]" in out
    assert "Test:" not in out
    assert "benchmark's own questions" in said([str(answers), "--population", "100"], capsys)


def test_a_picture_and_a_kept_estimate(answers, capsys, tmp_path):
    said([str(answers), "--plot", str(tmp_path / "scores.svg"), "--out", str(tmp_path / "kept")], capsys)
    assert "<svg" in (tmp_path / "scores.svg").read_text()[:1000]
    assert ll.load(tmp_path / "kept").rows == ("m0", "m1", "m2")


def test_known_scores_are_compared(answers, capsys, tmp_path):
    pd.DataFrame({"model": ["m0"], "score": [0.9]}).to_csv(tmp_path / "truth.csv", index=False)
    assert "1 of 1 intervals" in said([str(answers), "--truth", str(tmp_path / "truth.csv")], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--compare", "m0", "mm"], "there is no model 'mm' to compare; there are 'm0', 'm1', 'm2'"),
        (["--compare", "m0", "m0"], "two different models are needed"),
        (["--population", "30"], "more than the population of 30"),
        (["--population", "many"], "neither a number nor 'all'"),
        (["--population", "80", "--groups"], "Leave out --groups, or pass --population all"),
        (["--target", "ability"], "abilities are on the scale of a bank; add --bank"),
        (["--bank", "livexiv-vqa", "--cluster", "group"], "--cluster is for plain scores"),
        (["--by", "pirt"], "without a bank, --by 'pirt' is not known"),
    ],
)
def test_what_does_not_go_together_is_one_line(answers, capsys, words, message):
    assert run(["estimate", str(answers), *words]) == BAD_INPUT
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]


def test_plain_scores_need_no_jax(answers):
    """So they are there in a second."""
    code = (
        "import sys; from lleval_jax.cli.main import run; "
        f"code = run(['estimate', {str(answers)!r}, '--leaderboard', '--compare', 'm0', 'm1']); "
        "sys.exit(code or 'jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
