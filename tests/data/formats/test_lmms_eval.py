import json
import pathlib

import originals
import pytest
from logs import asked, jsonl, lmms_eval, put

from lleval_jax import data
from lleval_jax.errors import BadInput, DataWarning

NAME = "20260102_030405_samples_sums_vqa.jsonl"


@pytest.fixture
def log(tmp_path):
    """A log in the folder of its model."""
    (tmp_path / "org__m").mkdir()
    return originals.lmms_eval(tmp_path / "org__m" / NAME)


def entries(path: pathlib.Path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_log(log):
    found = data.read(log)
    assert (found.rows, found.items[:2]) == (("org__m",), ("sums_vqa/0", "sums_vqa/1"))
    assert found.scores.tolist() == [[0, 1, 0, 1]]
    assert found.origin("org__m", "sums_vqa/2") == f"{NAME}:3"
    assert data.read(log, rows="prompt").parts["prompt"] == ("sums_vqa",)


def test_the_totals_beside_it_name_the_model(log):
    put(log.with_name("20260102_030405_results.json"), {"model_name": "org/m", "results": {}})
    assert data.read(log.parent).rows == ("org/m",)  # and are skipped without a word
    put(log.with_name("20260102_030405_results.json"), {"config": {"model_args": "pretrained=org/n,dtype=float"}})
    assert data.read(log.parent).rows == ("org/n",)


def test_metrics_that_are_objects(log):
    lines = [line | {"sums_acc": line["sums_acc"] | {"length": 0.5}} for line in entries(log)]
    jsonl(log, lines)
    assert data.read(log, metric="sums_acc").scores.tolist() == [[0, 1, 0, 1]]
    assert data.read(log, metric="sums_acc/length").scores.tolist() == [[0.5] * 4]
    with pytest.raises(
        BadInput, match=r"has no metric 'x'; it has \['sums_acc', 'sums_acc/question_id', .*'submission/id'"
    ):
        data.read(log, metric="x")
    jsonl(log, [{name: each for name, each in line.items() if name != "sums_acc"} for line in lines])
    with pytest.raises(BadInput, match=r"no metric to read unasked; it has \['submission/id'\]"):
        data.read(log)


def test_a_metric_that_only_some_lines_have(log):
    lines = entries(log)
    for line in lines[:1]:
        line["other"] = line.pop("sums_acc")
    with pytest.warns(DataWarning) as told:
        assert data.read(jsonl(log, lines)).items == ("sums_vqa/1", "sums_vqa/2", "sums_vqa/3")
    said = " ".join(str(each.message) for each in told)
    assert "read metric 'sums_acc'; the log also has ['other']" in said
    assert "1 of 4 answers was not scored" in said


def test_several_filters_without_names(tmp_path):
    path = lmms_eval(tmp_path, "m", asked([1.0, 0.0]))
    twice = jsonl(path, entries(path) * 2)
    with pytest.warns(DataWarning, match="2 answers stand twice, with the same score"):
        assert data.read(twice).scores.tolist() == [[1, 0]]
    jsonl(path, [*entries(path)[:2], entries(path)[0] | {"acc": 0.0}])
    with pytest.raises(BadInput, match=r"jsonl:3: doc_id 0 stands twice, with scores 1 and 0\. .* several filters"):
        data.read(path)


def test_scores_on_a_scale(tmp_path):
    path = lmms_eval(tmp_path, "m", asked([7, 3]))
    with pytest.raises(BadInput, match=r"jsonl:1: score 7 lies outside \[0, 1\]"):
        data.read(path)
    assert data.read(path, scale=(0, 10)).scores.ravel().tolist() == pytest.approx([0.7, 0.3])


@pytest.mark.parametrize("metric", [None, "judge", "judge/rating"])
def test_a_rating_that_the_judge_did_not_give(tmp_path, metric):
    path = lmms_eval(tmp_path, "m", asked([5, -1, 0]))
    lines = [line | {"judge": {"rating": line.pop("acc"), "explanation": ""}} for line in entries(path)]
    with pytest.warns(DataWarning, match="1 of 3 answers was not scored"):
        assert data.read(jsonl(path, lines), scale=(0, 10), metric=metric).scores.tolist() == [[0.5, 0]]
