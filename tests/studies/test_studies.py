"""Studies: their tasks are the product of what is asked, and the table is the same however it is done."""

import itertools
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pandas as pd
import pytest
from jax.experimental.compilation_cache import compilation_cache

import lleval_jax as ll
from lleval_jax.cli.main import run as lleval
from lleval_jax.errors import BadInput
from lleval_jax.scale import chunks
from lleval_jax.scale.store import Folder
from lleval_jax.studies import parts, probe, programs, runs
from lleval_jax.studies.study import read_study, study_of
from lleval_jax.values.sparse import as_dense

TOML = """
out = "out"
chunk = 3
[[tasks]]
verb = "estimate"
input = "*.csv"
models = 2
[tasks.grid]
level = [0.5, 0.95]
[[tasks]]
verb = "calibrate"
input = "one.csv"
model = "rasch"
seeds = 3
[[tasks]]
verb = "ability"
input = "two.csv"
bank = "no-such-bank"
"""


ONE = {"verb": "estimate", "input": "one.csv"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    for name, models in (("one", 5), ("two", 4)):
        table = [
            {"model": f"{name}-{m}", "item": f"q{q}", "score": int(rng.random() < 0.3 + 0.1 * m)}
            for m, q in itertools.product(range(models), range(12))
        ]
        pd.DataFrame(table).to_csv(folder / f"{name}.csv", index=False)
    (folder / "study.toml").write_text(TOML)
    return folder


def at(place, tmp_path, **other):
    """The study with its own folder of results."""
    import tomllib

    return study_of(tomllib.loads(TOML) | {"out": str(tmp_path / "out")} | other, place)


def test_tasks_are_the_product_of_what_is_asked(place):
    study = read_study(place / "study.toml")
    tasks = [task for chunk in range(study.chunks) for task in study.tasks(chunk)]
    assert [task.number for task in tasks] == list(range(len(study)))
    first = [(*t.part[:3], t.settings["level"]) for t in tasks if t.verb == "estimate"]
    ends = [("one.csv", 0, 2), ("one.csv", 2, 4), ("one.csv", 4, 5), ("two.csv", 0, 2), ("two.csv", 2, 4)]
    assert first == [(str(place / name), *at, each) for (name, *at), each in itertools.product(ends, (0.5, 0.95))]
    assert [(t.seed, t.chosen) for t in tasks if t.verb == "calibrate"] == [(0, {}), (1, {}), (2, {})]


def test_the_table_holds_what_each_verb_finds(place, tmp_path):
    found = runs.run(at(place, tmp_path))
    answers = ll.read(place / "one.csv")
    known = ll.estimate(answers, level=0.5).to_frame().set_index("row")
    ours = found[(found["level"] == 0.5) & found["input"].str.endswith("one.csv")].set_index("row")
    pd.testing.assert_frame_equal(ours[["value", "low", "high"]], known[["value", "low", "high"]], check_names=False)
    fit = ll.irt.fit_many(as_dense(answers), row_weight=np.ones((1, 5)), model="rasch")[0]
    same = found[found["intercept"].notna() & (found["seed"] == 0)]
    np.testing.assert_allclose(same["intercept"], fit.params.intercept, atol=1e-4)
    failed = found[found["failed"].notna()]
    assert len(failed) == 1
    assert "there is no bank 'no-such-bank'" in failed["failed"].iloc[0]


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_chunks_change_nothing(place, tmp_path, chunk):
    once = runs.run(at(place, tmp_path / "once"))
    other = runs.run(at(place, tmp_path / "other", chunk=chunk))
    pd.testing.assert_frame_equal(once, other, atol=1e-5)


def test_an_executor_gives_the_same_table(place, tmp_path):
    text = TOML.replace('"out"', f'"{tmp_path / "pool"}"')
    (place / "pool.toml").write_text(text)
    with ThreadPoolExecutor(3) as pool:
        found = runs.run(place / "pool.toml", executor=pool, workers=3)
    pd.testing.assert_frame_equal(found, runs.run(at(place, tmp_path)))
    with pytest.raises(BadInput, match="must be a file that its workers can read"):
        runs.run(at(place, tmp_path), executor=pool)


def test_other_data_is_another_study(place, tmp_path):
    runs.run(at(place, tmp_path))
    before = (place / "two.csv").read_text()
    (place / "two.csv").write_text(before.replace(",0", ",1", 1))
    try:
        with pytest.raises(BadInput, match=r"another run: inputs.*two.csv is [0-9a-f]{12}\.\.\. there"):
            runs.run(at(place, tmp_path))
    finally:
        (place / "two.csv").write_text(before)
    with pytest.raises(BadInput, match="seed is 0 there and 3 here"):
        runs.run(at(place, tmp_path, seed=3))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chunks": 3}, "has no 'chunks'; did you mean 'chunk'"),
        ({"chunk": 0}, "chunk is 0; it is a whole number from 1"),
        ({"tasks": []}, "tasks is"),
        ({"tasks": [{"verb": "estimat", "input": "one.csv"}]}, "did you mean 'estimate'"),
        ({"tasks": [{"verb": "estimate"}]}, "tasks 1 has no 'input'"),
        ({"tasks": [{"verb": "estimate", "input": "none.csv"}]}, "no such file, folder or glob"),
        (
            {"tasks": [ONE | {"levl": 1}]},
            "estimate has no 'levl'; did you mean 'level'",
        ),
        ({"tasks": [ONE | {"grid": {"level": []}}]}, "grid.level is"),
        ({"tasks": [ONE | {"level": 1, "grid": {"level": [1]}}]}, "and in the grid"),
        (
            {"tasks": [ONE | {"seeds": 10**9}]},
            r"1,000,000,000 tasks \(1 x 1,000,000,000\)",
        ),
    ],
)
def test_a_mistake_is_one_line(place, tmp_path, change, says):
    with pytest.raises(BadInput, match=says):
        at(place, tmp_path, **change)


@pytest.mark.parametrize("models", [1, 3, 7, 100])
@pytest.mark.parametrize("size", [4, 10, 17])
def test_groups_of_rows_give_each_model_once_and_whole(tmp_path, models, size):
    rng, table = np.random.default_rng(size), []
    for m in range(23):
        table += [{"model": f"m{m:02}", "item": f"q{q}", "score": int(rng.random() < 0.5)} for q in range(5)]
    pd.DataFrame(table).to_parquet(tmp_path / "long.parquet", row_group_size=size)
    whole = ll.read(tmp_path / "long.parquet")
    found = [parts.value(part) for part in parts.of("long.parquet", tmp_path, models, "here")]
    assert [row for each in found for row in each.rows] == list(whole.rows)
    for each in found:
        some = whole.take([whole.rows.index(row) for row in each.rows])
        columns = [each.items.index(item) for item in some.items]
        np.testing.assert_array_equal(each.scores[:, columns], some.scores)


def test_a_table_that_is_not_sorted_is_refused(tmp_path):
    table = pd.DataFrame({"model": list("abab"), "item": list("xxyy"), "score": [0, 1, 1, 0]})
    table.to_parquet(tmp_path / "mixed.parquet", row_group_size=2)
    with pytest.raises(BadInput, match="is not sorted by model: group of rows 0 ends with 'b'"):
        list(parts.of("mixed.parquet", tmp_path, 1, "here"))


def test_a_probe_tries_each_table_and_writes_nothing(place, tmp_path):
    costs, memory = probe.probed(at(place, tmp_path))
    assert [(each.verb, each.tasks) for each in costs] == [("estimate", 10), ("calibrate", 3), ("ability", 1)]
    assert memory > 1e7
    assert Folder(tmp_path / "out").names() == set()


def test_the_shell_goes_on_and_says_what_failed(place, tmp_path, capsys):
    (place / "shell.toml").write_text(TOML.replace('"out"', f'"{tmp_path / "shell"}"'))
    assert lleval(["run", "-q", str(place / "shell.toml"), "--shard", "0/2"]) == 0
    assert "chunks are left: run it again" in capsys.readouterr().out
    assert lleval(["run", "-q", str(place / "shell.toml"), "--out", str(tmp_path / "found.parquet")]) == 0
    said = capsys.readouterr().out
    assert "tasks that failed" in said
    assert "there is no bank 'no-such-bank'" in said
    assert len(pd.read_parquet(tmp_path / "found.parquet")) == 18 + 3 * 12 + 1
    assert lleval(["run", "-q", str(place / "shell.toml"), "--workers", "2", "--shard", "auto"]) == 2
    assert "name --workers, of this machine, or --shard" in capsys.readouterr().err


@pytest.mark.slow
def test_a_study_that_is_killed_again_and_again_gives_the_same_table(place, tmp_path):
    (place / "kill.toml").write_text(
        TOML.replace('"out"', f'"{tmp_path / "killed"}"').replace("chunk = 3", "chunk = 1")
    )
    code = "import sys; from lleval_jax.studies import runs; from lleval_jax.scale.leases import Leases; "
    code += "from lleval_jax.scale.store import Folder; s = Folder(sys.argv[2]); print('ready', flush=True); "
    code += "runs.run(sys.argv[1], leases=Leases(s, patience=0.2))"
    rng = np.random.default_rng(0)
    for _ in range(4):
        words = [sys.executable, "-c", code, str(place / "kill.toml"), str(tmp_path / "killed")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(float(rng.uniform(0.05, 2)))
            process.send_signal(signal.SIGKILL)
    words[2] = code
    assert subprocess.run(words, check=False).returncode == 0
    found = runs.collect(read_study(place / "kill.toml"))
    pd.testing.assert_frame_equal(found, runs.run(at(place, tmp_path)), atol=1e-5)


@pytest.fixture
def own_programs(tmp_path):
    """Programs are kept where a study says, not where all tests keep them; what other tests compiled stays there."""
    before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


WARM = """
out = "{out}"
chunk = 3
[[tasks]]
verb = "ability"
input = "demo:livexiv-vqa"
models = {models}
bank = "{bank}"
[tasks.grid]
level = [0.5, 0.95]
by = ["map", "wle"]
"""


@pytest.mark.slow
def test_a_warm_up_leaves_nothing_to_compile(tmp_path, own_programs, capsys):
    (tmp_path / "warm.toml").write_text(WARM.format(out=tmp_path / "warm", models=1, bank="livexiv-vqa"))
    assert lleval(["run", "-q", str(tmp_path / "warm.toml"), "--warmup", "--json", str(tmp_path / "warm.json")]) == 0
    said, found = capsys.readouterr().out, json.loads((tmp_path / "warm.json").read_text())
    assert f"compiled into {tmp_path / 'warm' / 'programs'}" in said
    study = read_study(tmp_path / "warm.toml")
    assert len(study) == 8
    assert (found["shapes"], found["failed"], found["there"]) == (2, 0, 0)
    assert found["programs"] >= 2
    assert not list(chunks.done(Folder(study.out), study.chunks))  # nothing is done yet
    jax.clear_caches()  # as a worker begins
    with programs.Count() as count:
        assert lleval(["run", "-q", str(tmp_path / "warm.toml")]) == 0
    assert count.programs == count.there >= 2
    assert not jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]


def test_a_warm_up_says_what_cannot_be(tmp_path, own_programs, capsys):
    (tmp_path / "no.toml").write_text(WARM.format(out=tmp_path / "no", models=1000, bank="no-such-bank"))
    assert lleval(["run", "-q", str(tmp_path / "no.toml"), "--warmup"]) == 0
    assert "2 of these tasks failed, as they will in the study" in capsys.readouterr().out
    assert lleval(["run", "-q", str(tmp_path / "no.toml"), "--warmup", "--workers", "2"]) == 2
    assert "--warmup does no chunk; leave out" in capsys.readouterr().err
    (tmp_path / "far.toml").write_text(WARM.format(out=f"memory://{tmp_path.name}", models=1000, bank="none"))
    assert lleval(["run", "-q", str(tmp_path / "far.toml"), "--warmup"]) == 2
    assert "is in an object store, and there is no folder to keep programs in; name one" in capsys.readouterr().err
