import json
import math
import pathlib
import shutil

import numpy as np
import originals
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lleval_jax import data
from lleval_jax.errors import BadInput, DataWarning

FIXTURES = originals.FIXTURES
CHOICE = next((FIXTURES / "lm_eval" / "i82qcls7").glob("samples_tiny_choice*"))


@pytest.fixture
def details(tmp_path):
    """The true details of two models, with the names lighteval gave them."""
    shutil.copytree(FIXTURES / "lighteval", tmp_path / "out")
    for path in sorted((tmp_path / "out").rglob("*.parquet")):
        path.rename(path.with_name(path.name.replace("-0_2026", "|0_2026")))
    return tmp_path / "out"


def test_lighteval(details):
    found = data.read(details)
    assert found.rows == ("tiny/dummy-42", "tiny/dummy-7")
    assert found.groups == ("tiny_choice|0", "tiny_write|0")
    assert found.seen.all()
    assert found.scores.shape == (2, 16)
    metrics = [row["metric"] for path in sorted(details.rglob("*dummy-42/*/*.parquet")) for row in pd_rows(path)]
    assert found.scores[0].tolist() == [next(iter(metric.values())) for metric in metrics]
    assert found.origin(found.rows[0], found.items[1]).endswith(".parquet:2")


def pd_rows(path):
    return pd.read_parquet(path).to_dict(orient="records")


def test_lighteval_choice_probability(details):
    path = next(details.rglob("*dummy-7/*/*choice*"))
    found = data.read(path, metric="choice_probability")
    logs = [np.exp(np.asarray(row["model_response"]["logprobs"])) for row in pd_rows(path)]
    np.testing.assert_allclose(found.scores[0], [each[0] / each.sum() for each in logs], rtol=1e-6)
    with pytest.raises(BadInput, match="no log-probabilities"):
        data.read(next(details.rglob("*dummy-7/*/*write*")), metric="choice_probability")


@pytest.mark.parametrize("as_text", [True, False])
def test_old_lighteval(tmp_path, as_text):
    path = originals.lighteval_old(tmp_path / "details_sums|0_2024-01-01T00-00-00.parquet", as_text)
    found = data.read(path, metric="acc")
    assert found.scores.tolist() == [[0, 1, 0, 1]]
    assert found.items[0].startswith("sums|0/")
    with pytest.warns(DataWarning, match="read metric 'acc_norm'"):
        data.read(path)
    with pytest.raises(BadInput, match="has no metric 'f1'"):
        data.read(path, metric="f1")
    share = data.read(path, metric="choice_probability").scores
    np.testing.assert_allclose(share, 1 / (1 + math.e), rtol=1e-6)


def test_old_and_new_lighteval_share_items(tmp_path, details):
    old = originals.lighteval_old(tmp_path / "details_tiny_choice|0_2024-01-01T00-00-00.parquet")
    new = next(details.rglob("*dummy-7/*/*choice*"))
    assert set(data.read(old, metric="acc").items) < set(data.read(new).items)


def test_helm():
    with pytest.warns(DataWarning) as told:
        found = data.read(FIXTURES / "helm")
    assert any("read metric 'quasi_exact_match'" in str(w.message) for w in told)
    assert any("12 of 24 answers were given to perturbed instances and were left out" in str(w.message) for w in told)
    assert found.rows == ("simple/model1",)
    assert found.items[0] == "sums:method=multiple_choice/id0"
    assert found.weight.tolist() == [[2.0] * 6]
    assert found.scores.tolist() == [[0.5, 0.0, 0.5, 0.5, 0.0, 0.5]]
    with pytest.raises(BadInput, match="has no metric 'f1'"):
        data.read(FIXTURES / "helm", metric="f1")


def test_helm_without_run_spec(tmp_path):
    run = tmp_path / "mmlu:subject=anatomy,model=openai_gpt2,groups=x"
    run.mkdir()
    shutil.copy(FIXTURES / "helm" / "sums" / "per_instance_stats.json", run)
    with pytest.warns(DataWarning, match="perturbed"):
        found = data.read(run, metric="exact_match")
    assert found.rows == ("openai_gpt2",)
    assert found.items[0] == "mmlu:subject=anatomy,groups=x/id0"


def test_opencompass(tmp_path):
    (tmp_path / "model-a").mkdir()
    found = data.read(originals.opencompass(tmp_path / "model-a" / "sums.json"))
    assert (found.rows, found.items[0], found.scores.tolist()) == (("model-a",), "sums/sums_0", [[1, 0, 1, 0]])
    found = data.read(originals.opencompass(tmp_path / "model-a" / "sums.json", runs=3))
    np.testing.assert_allclose(found.scores, [[2 / 3, 1 / 3, 2 / 3, 1 / 3]], rtol=1e-6)
    assert found.weight.tolist() == [[3.0] * 4]
    assert data.read(originals.opencompass_choices(tmp_path / "m.json")).scores.tolist() == [[1, 0]]
    (tmp_path / "m.json").write_text('{"details": {"0": {"predictions": "5", "correct": null}}}')
    with pytest.raises(BadInput, match="does not say which answers are correct"):
        data.read(tmp_path / "m.json")


def test_every_eval_ever():
    place = FIXTURES / "every_eval_ever" / "lm_eval"
    with pytest.warns(DataWarning, match="read metric 'acc_norm'"):
        found = data.read(place, filter="flexible-extract")
    assert found.rows == ("tiny/0k9ep1fr", "tiny/i82qcls7")
    assert found.groups == ("tiny_choice", "tiny_write")
    with pytest.warns(DataWarning, match="acc_norm"):
        log = data.read(FIXTURES / "lm_eval", filter="flexible-extract")
    assert found.n_seen.tolist() == log.n_seen.tolist()
    assert found.scores.sum(1).tolist() == log.scores.sum(1).tolist()
    with pytest.raises(BadInput, match="2 filters"):
        data.read(place, metric="acc")


def test_every_eval_ever_prompts():
    with pytest.warns(DataWarning, match="acc_norm"):
        found = data.read(FIXTURES / "every_eval_ever" / "lm_eval", filter="strict-match", rows="prompt")
    assert found.rows[:2] == ("tiny/0k9ep1fr/tiny_choice", "tiny/i82qcls7/tiny_choice")
    assert not any("/" in item for item in found.items)


def test_every_eval_ever_epochs():
    found = data.read(FIXTURES / "every_eval_ever" / "inspect")
    log = data.read(FIXTURES / "inspect" / "tiny-sums.json")
    assert found.scores.tolist() == log.scores.tolist()
    assert found.weight.tolist() == log.weight.tolist() == [[2, 2]]


def test_py_irt(tmp_path):
    with pytest.warns(DataWarning, match="1 of 4 answers was not scored"):
        found = data.read(originals.pyirt(tmp_path / "a.jsonlines"))
    assert found.rows == ("a", "b")
    assert found.seen.tolist() == [[True, True], [True, False]]
    assert found.origin("b", "i") == "a.jsonlines:2"
    with pytest.raises(BadInput, match="py-irt data does not use 'rows'"):
        data.read(tmp_path / "a.jsonlines", rows="prompt")


def test_torch_measure(tmp_path):
    path = originals.torch_measure(tmp_path / "responses.parquet")
    found = data.read(path)
    assert (found.rows, found.items, found.weight.tolist()) == (("a", "b"), ("i", "j"), [[2, 2], [2, 2]])
    assert found.scores.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert data.read(path, repeats="first").scores.tolist() == [[0, 1], [0, 1]]
    with pytest.raises(BadInput, match="4 repeats"):
        data.read(path, repeats="error")
    originals.torch_measure(path, ("shots=0", "shots=5"))
    with pytest.raises(BadInput, match="2 test conditions"):
        data.read(path)
    assert data.read(path, filter="shots=5").scores.shape == (2, 2)
    assert data.read(path, rows="prompt").rows == ("a/shots=0", "a/shots=5", "b/shots=0", "b/shots=5")


def test_choice_probability():
    found = data.read(CHOICE, metric="choice_probability")
    lines = [json.loads(line) for line in CHOICE.read_text().splitlines()]
    logs = np.array([[float(pair[0]) for pair in line["filtered_resps"]] for line in lines])
    want = np.exp(logs)[np.arange(8), [int(line["target"]) for line in lines]] / np.exp(logs).sum(1)
    np.testing.assert_allclose(found.scores[0], want, rtol=1e-6)
    write = next(CHOICE.parent.glob("samples_tiny_write*"))
    with pytest.raises(BadInput, match=":1 has no log-probabilities"):
        data.read(write, metric="choice_probability")


def test_a_mixed_folder_is_one_call(tmp_path):
    originals.make(tmp_path)
    for name in ("details_old_2024-01-01T00-00-00.parquet", "a.csv", "a.jsonl", "a.jsonl.gz", "a.npz", "a.parquet"):
        (tmp_path / name).unlink()
    for name in ("inspect", "helm", "every_eval_ever"):
        shutil.copytree(FIXTURES / name, tmp_path / name)
    (tmp_path / "inspect" / "tiny-two.eval").unlink()
    with pytest.warns(DataWarning):
        found = data.read(tmp_path, filter="strict-match")
    assert {"a", "b", "mockllm/model", "simple/model1", "tiny/i82qcls7"} <= set(found.rows)
    origins = found.to_frame(origins=True)["file"].unique()
    assert set(found.source.files) - set(origins) == {"inspect/tiny-sums.json"}  # a copy of a part


def test_a_parquet_that_promises_too_many_rows(tmp_path):
    path = tmp_path / "bomb.parquet"
    one = pa.table({"model": pa.DictionaryArray.from_arrays(np.zeros(4 * 10**6, np.int32), ["a"])})
    pq.write_table(one.append_column("item", one["model"]).append_column("score", pa.array(np.ones(4 * 10**6))), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(BadInput, match="refused as a bomb"):
        data.read(path)


def test_a_gzip_bomb(tmp_path):
    text = b"model,item,score\n" + b"a,i,1\n" * 20_000_000
    path = originals.zipped(tmp_path / "bomb.csv.gz", text)
    with pytest.raises(BadInput, match="refused as a bomb"):
        data.read(path)


def test_fixtures_are_small():
    for path in pathlib.Path(FIXTURES).rglob("*"):
        assert path.is_dir() or path.stat().st_size < 100_000
