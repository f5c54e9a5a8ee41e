"""`lleval estimate --bayes`."""

import json
import pathlib

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, OK
from lleval_jax.data.simulate import simulate


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Five models on 30 questions in two groups."""
    path = tmp_path_factory.mktemp("bayes") / "answers.csv"
    simulate(5, 30, seed=1, groups=2)[0].to_frame().to_csv(path, index=False)
    return path


def test_json_says_the_posterior_its_engine_and_diagnostics(answers, capsys):
    words = ["--bayes", "--engine", "laplace", "--leaderboard", "--compare", "row-0", "row-1", "--seed", "3"]
    assert run(["estimate", str(answers), *words, "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    posterior = bayes.sample(bayes.irt("2pl"), ll.read(answers), engine="laplace", key=3)
    want = posterior.estimate("rate", groups=False)
    assert found["schema"] == "lleval/estimate/1"
    assert found["engine"] == "laplace"
    assert found["diagnostics"] == posterior.diagnostics.to_dict()
    assert [entry["value"] for entry in found["estimates"]] == want.value.tolist()
    assert found["ranks"][0]["row"] == want.rows[int(np.argmax(want.value))]
    assert sum(entry["p_best"] for entry in found["ranks"]) == pytest.approx(1)
    gap = found["comparison"]["estimates"][0]
    above = posterior.estimate("ahead", first="row-0", second="row-1")
    assert (gap["row"], gap["first_is_better"]) == ("row-0 - row-1", above.value[0])


@pytest.mark.slow
def test_tables_say_what_intervals_are_of_and_what_failed(answers, capsys):
    assert (
        run(["estimate", str(answers), "--bayes", "--draws", "20", "--leaderboard", "--compare", "row-0", "row-1"])
        == OK
    )
    out = capsys.readouterr().out
    assert "P(best)" in out
    assert "P(first is better)" in out
    assert "the probability of a right answer on these questions" in out
    assert "take more draws" in out


@pytest.mark.slow
def test_strict_fails_where_chains_do_not_agree(answers, capsys):
    assert run(["estimate", str(answers), "--bayes", "--draws", "20", "--strict"]) == FAILED
    assert "rate" in capsys.readouterr().out


def test_what_does_not_go_together_is_one_line(answers, capsys):
    assert run(["estimate", str(answers), "--bayes", "--bank", "livexiv-vqa"]) == BAD_INPUT
    assert capsys.readouterr().err.strip() == "error: --bank does not go with --bayes; leave one of them out"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    """Two versions of two domains; two of six models are run on the second."""
    folder, made = tmp_path_factory.mktemp("versions"), []
    for v in range(2):
        answers = simulate(6, 20, seed=v, groups=2)[0]
        table = answers.take([0, 3] if v else range(6)).to_frame()
        table["item"] = f"v{v}-" + table["item"].astype(str)
        made.append(folder / f"v{v}.csv")
        table.to_csv(made[-1], index=False)
    return made


def test_refresh_says_the_posterior(versions, capsys):
    words = ["--dims", "0", "--bayes", "--engine", "laplace", "--draws", "50", "--seed", "2", "--ranks", "--json", "-"]
    assert run(["refresh", "estimate", *map(str, versions), *words]) == OK
    found = json.loads(capsys.readouterr().out)
    value = {path.stem: ll.read(path) for path in versions}
    engine = bayes.engine("laplace", value, draws=50)
    posterior = bayes.sample(bayes.refresh(dims=0), value, engine=engine, key=2)
    want = posterior.estimate("score")
    assert (found["engine"], found["diagnostics"]) == ("laplace", posterior.diagnostics.to_dict())
    assert [entry["value"] for entry in found["estimates"]] == want.value.tolist()
    assert found["method"] == "refresh, laplace"
    assert len(found["ranks"]) == 6


@pytest.mark.slow
def test_sloth_says_the_posterior(tmp_path, capsys):
    random = np.random.default_rng(0)
    table = ["model,family,params,tokens,one"]
    for i, size in enumerate([1e9, 3e9, 7e9, 13e9, 30e9, 70e9]):
        score = 1 / (1 + np.exp(-0.4 * np.log(size / 7e9) + 0.2 * random.normal()))
        table.append(f"m{i},{'ab'[i % 2]},{size},2e12,{score}")
    path = tmp_path / "board.csv"
    path.write_text("\n".join(table))
    words = ["--predict", "a:20B:2T", "--bayes", "--engine", "laplace", "--draws", "50", "--seed", "2", "--json", "-"]
    assert run(["sloth", str(path), "--skills", "1", *words]) == OK
    found = json.loads(capsys.readouterr().out)
    board, wanted = ll.read_leaderboard(path), [ll.sloth.Target("a", 20e9, 2e12)]
    engine = bayes.engine("laplace", board, draws=50)
    posterior = bayes.sample(
        bayes.sloth(wanted, skills=1), board, engine=engine, key=2, fit=ll.sloth.fit(board, skills=1, seed=2)
    )
    assert found["diagnostics"] == posterior.diagnostics.to_dict()
    assert [entry["value"] for entry in found["estimates"]] == posterior.estimate("score").value.tolist()
    assert run(["sloth", str(path), "--skills", "1", "--bayes", "--explain"]) == BAD_INPUT
    assert "--bayes is of predictions" in capsys.readouterr().err


@pytest.mark.slow
def test_prompts_says_the_posterior(tmp_path, capsys):
    random = np.random.default_rng(5)
    path = tmp_path / "grid.csv"
    cells = [(p, i) for p in range(5) for i in range(12) if random.random() < 0.6]
    path.write_text("prompt,item,score\n" + "\n".join(f"p{p},i{i},{int(random.random() < 0.6)}" for p, i in cells))
    words = ["--bayes", "--engine", "laplace", "--draws", "50", "--seed", "2", "--per-prompt", "--quantiles", "50"]
    assert run(["prompts", str(path), *words, "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    grid = ll.read(path, rows="prompt")
    engine = bayes.engine("laplace", grid, draws=50)
    posterior = bayes.sample(bayes.prompts(), grid, engine=engine, key=2, fit=ll.prompts.fit(grid, seed=2))
    score = posterior.outcome("score")[:, :, 0]
    assert found["diagnostics"] == posterior.diagnostics.to_dict()
    means = {entry["row"]: entry["value"] for entry in found["estimates"]}
    np.testing.assert_allclose([means[row] for row in grid.rows], score.mean(0))
    np.testing.assert_allclose(means["q50"], np.median(score, 1).mean())
    fitted = ll.prompts.fit(grid, seed=2).params.draws  # another prior of the effects, the same answers
    assert (np.abs(score.mean(0) - fitted.mean(0)) < np.hypot(score.std(0), fitted.std(0))).all()
    assert run(["prompts", str(path), "--bayes", "--reference"]) == BAD_INPUT
    assert "--reference does not go with --bayes" in capsys.readouterr().err
