import json
import pathlib
import shutil

import pytest

from lleval_jax import data
from lleval_jax.errors import BadInput, DataWarning

LOGS = pathlib.Path(__file__).parents[1] / "fixtures" / "lm_eval"
CHOICE = next((LOGS / "i82qcls7").glob("samples_tiny_choice*"))
WRITE = next((LOGS / "i82qcls7").glob("samples_tiny_write*"))


def entries(path=CHOICE):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_true_log():
    found = data.read(CHOICE, metric="acc")
    assert found.rows == ("i82qcls7",)
    assert found.items == tuple(f"tiny_choice/{entry['doc_hash']}" for entry in entries())
    assert found.scores[0].tolist() == [entry["acc"] for entry in entries()]


def test_a_folder_of_two_models():
    with pytest.warns(DataWarning, match=r"read metric 'acc_norm'; the log also has \['acc'\].*1 more files"):
        found = data.read(LOGS, filter="flexible-extract")
    assert found.rows == ("0k9ep1fr", "i82qcls7")
    assert found.groups == ("tiny_choice", "tiny_write")
    assert found.n_seen.tolist() == [10, 16]
    with pytest.raises(BadInput, match="acc_norm"):
        data.read(LOGS, filter="flexible-extract", strict=True)


def test_filters_are_never_mixed():
    with pytest.raises(BadInput, match=r"\['strict-match', 'flexible-extract'\].*Pass filter="):
        data.read(WRITE)
    with pytest.raises(BadInput, match="no filter 'other'"):
        data.read(WRITE, filter="other")
    assert data.read(WRITE, filter="strict-match").scores.shape == (1, 8)


def test_metrics_that_are_not_there():
    with pytest.raises(BadInput, match=r"jsonl has no metric 'f1'; it has \['acc', 'acc_norm'\]"):
        data.read(CHOICE, metric="f1")


@pytest.mark.parametrize("value", [[1, 2], "yes", 3.5])
def test_a_score_that_is_none_names_its_line(tmp_path, value):
    lines = entries()
    lines[4]["acc"] = value
    with pytest.raises(BadInput, match=r"samples_t.jsonl:5: acc is .*must be a number in \[0, 1\]"):
        data.read(write(tmp_path / "samples_t.jsonl", lines), metric="acc")


def test_old_logs(tmp_path):
    old = [{k: v for k, v in e.items() if k not in ("filter", "metrics", "doc_hash", "acc_norm")} for e in entries()]
    path = tmp_path / "samples_t.jsonl"
    for text in ("".join(json.dumps(e) + "\n" for e in old), json.dumps(old, indent=2)):
        path.write_text(text)
        with pytest.warns(DataWarning, match="answers without doc_hash; their item is the doc_id"):
            found = data.read(path)
        assert found.items[:2] == ("t/0", "t/1")
        assert found.rows == (tmp_path.name,)


@pytest.mark.parametrize(
    ("totals", "name"),
    [
        ({"model_name": "org/m"}, "org/m"),
        ({"config": {"model": "hf", "model_args": "pretrained=org/m,dtype=float"}}, "org/m"),
        ({"config": {"model": "hf", "model_args": {"pretrained": "org/m"}}}, "org/m"),
        ({"config": {"model": "dummy", "model_args": ""}}, "dummy"),
    ],
)
def test_model_names(tmp_path, totals, name):
    shutil.copy(CHOICE, tmp_path)
    (tmp_path / "results.json").write_text(json.dumps(totals))
    assert data.read(tmp_path, metric="acc").rows == (name,)


def test_the_same_question_twice_in_the_data_set_is_two_items(tmp_path):
    lines = entries()
    lines[1]["doc_hash"] = lines[0]["doc_hash"]
    found = data.read(write(tmp_path / "samples_t.jsonl", lines), metric="acc")
    assert len(found.items) == 8
    assert found.items[1] == found.items[0] + "#2"


def test_a_log_appended_to_itself_is_counted_once(tmp_path):
    path = write(tmp_path / "samples_t.jsonl", entries() * 2)
    with pytest.warns(DataWarning, match="8 answers stand twice"):
        assert data.read(path, metric="acc").n_seen.tolist() == [8]


def test_tasks_as_prompts():
    with pytest.warns(DataWarning, match="acc_norm"):
        found = data.read([CHOICE, WRITE], filter="strict-match", rows="prompt")
    assert found.rows == ("tiny_choice", "tiny_write")
    assert found.scores.shape == (2, 8)
