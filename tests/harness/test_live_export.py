"""An export of a living benchmark, run by the true lm-eval and read again: every item is known by its question."""

import csv
import pathlib
import subprocess
import sys
from importlib.util import find_spec

import pytest

from lleval_jax import data
from lleval_jax.errors import DataWarning
from lleval_jax.live import run
from lleval_jax.live.exports import write
from lleval_jax.live.recipe import parsed
from lleval_jax.live.steps import Blobs
from lleval_jax.live.values import Element, Paper, question

RECIPE = b'name = "2026-11"\n[papers]\ncategories = ["cs.LG"]\nfirst = 2026-11-01\nlast = 2026-11-30\n'


@pytest.fixture
def exported(tmp_path) -> pathlib.Path:
    paper = Paper(
        id="2611.00001", version=1, title="T", authors=("A. B.",), categories=("cs.LG",), created="2026-11-02",
        updated="2026-11-02", licence="http://creativecommons.org/licenses/by/4.0/", source="oai",
    )  # fmt: skip
    cells = (("Model", "Score"), *((f"M{i}", f"{i}.5") for i in range(12)))
    element = Element(paper="2611.00001v1", kind="table", number="1", caption="C", reader="latex", cells=cells)
    made = [
        question(
            element=element.name, kind="look-up", text=f"What is the Score of M{i}?",
            options=[f"{(i + j) % 12}.5" for j in range(4)], answer=f"{i}.5", made_by="exact",
        )
        for i in range(12)
    ]  # fmt: skip
    version = run.Version(parsed(RECIPE), (paper,), (element,), tuple(made), (), (), ())
    write.write(version, Blobs(tmp_path / "blobs"), tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.slow
def test_true_lm_eval_runs_an_export(exported, tmp_path, monkeypatch):
    if find_spec("lm_eval") is None:
        pytest.skip('needs lm-eval: pip install "lleval-jax[harness]"')
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    task = "live_2026_11_cc_by_tables"
    words = ["--model", "dummy", "--include_path", str(exported / "lm_eval"), "--tasks", task]
    command = [sys.executable, "-m", "lm_eval", *words, "--output_path", str(tmp_path / "log"), "--log_samples"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    with (exported / "items.csv").open() as stream:
        names = {row["lm_eval"]: row["id"] for row in csv.DictReader(stream)}
    assert len(names) == 12
    with pytest.warns(DataWarning, match="invalid"):
        assert set(data.read(tmp_path / "log").items) == set(names)


@pytest.mark.slow
def test_true_inspect_loads_an_export(exported, monkeypatch):
    if find_spec("inspect_ai") is None:
        pytest.skip('needs Inspect: pip install "lleval-jax[harness]"')
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import task; from inspect_ai import eval; "
        "from inspect_ai.model import ModelOutput, ModelUsage, get_model; "
        "said = ModelOutput.from_content('m', 'ANSWER: A'); said.usage = ModelUsage(input_tokens=9, output_tokens=3); "
        "model = get_model('mockllm/model', custom_outputs=[said] * 12); "
        "(log,) = eval(task.live_2026_11_cc_by_tables(), model=model, log_dir=sys.argv[1] + '/log', display='none'); "
        "assert log.status == 'success', log.error; print(sorted(str(s.id) for s in log.samples))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(exported / "inspect")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with (exported / "items.csv").open() as stream:
        assert done.stdout.splitlines()[-1] == str(sorted(row["id"] for row in csv.DictReader(stream)))
    read = data.read(exported / "inspect" / "log")
    assert {name.rpartition("/")[2] for name in read.items} == set(eval_ids(done.stdout))


def eval_ids(text: str) -> list[str]:
    import ast

    return ast.literal_eval(text.splitlines()[-1])
