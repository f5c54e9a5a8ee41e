import dataclasses
import io
import json
import subprocess
import sys
import warnings

import pytest

from lleval_jax import data
from lleval_jax.data import parallel
from lleval_jax.data.answers import Options
from lleval_jax.data.formats import table
from lleval_jax.errors import BadFile, BadInput


@pytest.fixture
def folder(tmp_path):
    for n in range(5):
        (tmp_path / f"{n}.csv").write_text(f"model,item,score\nm{n},i,1\nm{n},j,0\n")
    return tmp_path


def test_processes_say_what_one_says(folder):
    told = []
    many = data.read(folder, workers=2, cache=False, tell=lambda now: told.append((now.done, now.total)))
    one = data.read(folder, workers=1, cache=False)
    assert many.to_frame(origins=True).equals(one.to_frame(origins=True))
    assert many.source == one.source
    assert sorted(told)[-1][0] == told[0][1] == sum(path.stat().st_size for path in folder.iterdir())


def test_errors_come_through_in_order(folder):
    (folder / "2.csv").write_text("model,item,score\na,i,5\n")
    (folder / "3.csv").write_text("model,item,score\na,i,6\n")
    with pytest.raises(BadInput, match="2.csv:2: score 5 lies outside"):
        data.read(folder, workers=2, cache=False)


@pytest.mark.parametrize("text", ["model,item,score\na,i,5\n", 'model,item,score\na,"i'])
def test_an_error_keeps_its_kind_and_its_hints(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadInput) as here:
        data.read(tmp_path / "a.csv")
    job = {"path": str(tmp_path / "a.csv"), "format": table.FORMAT.name, "options": dataclasses.asdict(Options())}
    answers = io.BytesIO()
    parallel.work(io.BytesIO(json.dumps(job | {"place": None}).encode() + b"\n"), answers)
    said = json.loads(answers.getvalue())
    error = here.value
    assert (said["error"], said["python"], said["shell"]) == (error.what, error.python, error.shell)
    assert said["whole"] == isinstance(error, BadFile) == ("5" not in text)


def test_a_script_without_a_main_guard(folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import lleval_jax as ll\nprint('once')\n"
        f"print(ll.read({str(folder)!r} + '/*.csv', workers=2, cache=False).scores.shape)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["once", "(5, 2)", ""]


def test_another_package_in_the_current_folder(folder, tmp_path, monkeypatch):
    (tmp_path / "here" / "lleval_jax").mkdir(parents=True)
    (tmp_path / "here" / "lleval_jax" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path / "here")
    assert data.read(str(folder / "*.csv"), workers=2, cache=False).scores.shape == (5, 2)


def test_without_processes_one_does_all(folder, monkeypatch):
    monkeypatch.setattr(parallel.sys, "executable", "/bin/false")
    with pytest.warns(RuntimeWarning, match="5 files were read by one process"):
        assert data.read(folder, workers=2, cache=False).scores.shape == (5, 2)


def test_small_files_need_one_process():
    assert parallel.count(None, [10, 10]) == 1
    assert parallel.count(3, [10, 10]) == 2
    assert parallel.count(3, [10]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parallel.count(None, [parallel.WORTH, parallel.WORTH]) >= 1
