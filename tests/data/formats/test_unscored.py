"""What every reader does with an answer that was not scored, and with a file that gives none: the same."""

import json
import re
import zipfile

import numpy as np
import pytest
from logs import ABSENT, LOGS, NAN, Log, asked, every_eval, helm, inspect, jsonl, lm_eval, put

from lleval_jax import data
from lleval_jax.data.unscored import is_unscored
from lleval_jax.errors import BadFile, BadInput, DataWarning

KINDS = [pytest.param(log, missing, id=f"{name}-{missing}") for name, log in LOGS.items() for missing in log.missing]
EACH = pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
METRIC = {"metric": "acc"}  # a second one stands in old details, so that a row without the first has some


def options(log: Log) -> dict[str, str]:
    return METRIC if log is LOGS["lighteval_old"] else {}


@pytest.mark.parametrize(("log", "missing"), KINDS)
def test_what_was_not_scored_is_missing_and_counted(log, missing, tmp_path):
    path = log.write(tmp_path, "a", asked([missing, 1.0, 0.0, missing, 1.0]))
    with pytest.warns(DataWarning, match=f"{re.escape(path.name)}: 2 of 5 answers were not scored and were left out$"):
        found = data.read(path, **options(log))
    assert found.scores[found.seen].tolist() == [1, 0, 1]
    with pytest.raises(BadInput, match=r"2 of 5 answers were not scored and were left out \(strict=True\)"):
        data.read(path, strict=True, **options(log))


@EACH
def test_it_is_said_once_for_all_files_of_a_kind(log, tmp_path):
    for model, score in zip("abc", (log.missing[0], log.missing[-1], 1.0), strict=True):
        log.write(tmp_path, model, asked([1.0, score, 0.0]))
    with pytest.warns(DataWarning) as told:
        data.read(tmp_path, **options(log))
    said = [str(each.message) for each in told]
    assert len(said) == 1
    assert re.search(r"^[\w. -]+: 2 of 6 answers in 2 files were not scored and were left out; the first is ", said[0])


@EACH
def test_a_file_without_any_score_is_an_error_alone_and_left_out_among_others(log, tmp_path):
    path = log.write(tmp_path, "a", asked([log.missing[0]] * 3))
    with pytest.raises(
        BadFile,
        match=r"none of its .*scored|no answer that was scored|no scored|which answers are correct|has no metric",
    ):
        data.read(path, **options(log))
    log.write(tmp_path, "b", asked([1.0, 0.0, 1.0]))
    with pytest.warns(DataWarning, match=rf"{re.escape(path.name)}.* It was left out\.$"):
        found = data.read(tmp_path, **options(log))
    assert found.scores.tolist() == [[1, 0, 1]]
    with pytest.raises(BadInput, match=r"left out\. \(strict=True\)"):
        data.read(tmp_path, strict=True, **options(log))


def cut(log, path):
    """The file as a full disk leaves it; of a table half a row, since fewer rows are a table too."""
    content = path.read_bytes()
    path.write_bytes(content + b'b,"question' if log is LOGS["table"] else content[: len(content) * 2 // 3])
    return path


@EACH
def test_a_file_cut_short_does_not_stop_the_others(log, tmp_path):
    log.write(tmp_path, "a", asked([1.0, 0.0] * 20))
    alone = data.read(tmp_path, **options(log))
    dead = cut(log, log.write(tmp_path, "b", asked([1.0, 0.0] * 20)))
    with pytest.warns(DataWarning, match=re.escape(dead.name)):
        found = data.read(tmp_path, **options(log))
    assert (found.rows, found.scores.tolist()) == (alone.rows, alone.scores.tolist())
    for paths in (dead, [tmp_path, dead], dead.parent):
        with pytest.raises(BadInput, match=re.escape(dead.name)):
            data.read(paths, **(options(log) | ({"strict": True} if paths == dead.parent else {})))


@pytest.mark.parametrize("value", [None, NAN, "", "NaN", "n/a", "null"])
def test_the_notion(value):
    assert is_unscored(value)


@pytest.mark.parametrize("value", [0, 0.0, -1, False, "C", "0", [], {}])
def test_what_is_no_missing_score(value):
    assert not is_unscored(value)


RULER = [(4096, 0.0), (8192, 1.0), (4096, 1.0), (8192, 0.0), (4096, 1.0), (8192, 1.0)]


def ruler(folder):
    """A metric a length: -1 under 4096 where that is not the line's own, and no 8192 where it is 4096."""
    path = lm_eval(folder, "m", asked([0.0] * len(RULER)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, (length, score) in zip(lines, RULER, strict=True):
        del line["acc"]
        line |= {"metrics": ["4096", "8192"], "4096": -1.0} | {str(length): score}
    return jsonl(path, lines)


def test_ruler(tmp_path):
    path = ruler(tmp_path)
    for length in (4096, 8192):
        with pytest.warns(DataWarning, match="3 of 6 answers were not scored"):
            found = data.read(path, metric=str(length))
        at = [i for i, (own, _) in enumerate(RULER) if own == length]
        assert found.scores.tolist() == [[RULER[i][1] for i in at]]
        assert [found.origin(found.rows[0], item) for item in found.items] == [f"{path.name}:{i + 1}" for i in at]
    with pytest.warns(DataWarning) as told:
        data.read(path)
    assert "read metric '4096'; the log also has ['8192']" in str(told[0].message)
    with pytest.raises(BadInput, match=r"has no metric '16384'; it has \['4096', '8192'\]"):
        data.read(path, metric="16384")


def test_ruler_by_way_of_every_eval_ever(tmp_path):
    path = every_eval(tmp_path, "m", asked([0.0, -1.0, 1.0]))
    lines = [json.loads(line) | {"evaluation_result_id": "4096"} for line in path.read_text().splitlines()]
    with pytest.warns(DataWarning, match="1 of 3 answers was not scored"):
        found = data.read(jsonl(path, lines))
    assert found.scores[found.seen].tolist() == [0, 1]


def test_minus_one_is_a_score_where_the_metric_is_no_length(tmp_path):
    path = lm_eval(tmp_path, "m", asked([1.0, -1.0]))
    with pytest.raises(BadInput, match=r":2: acc is '-1.0'; it must be a number in \[0, 1\]"):
        data.read(path)
    assert data.read(path, scale=(-1, 1)).scores.tolist() == [[1, 0]]


def test_the_metric_is_the_one_that_most_lines_have(tmp_path):
    path = lm_eval(tmp_path, "m", asked([1.0, 0.0, 1.0]))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0] |= {"metrics": ["acc", "acc_norm"], "acc_norm": 0.0}
    with pytest.warns(DataWarning, match=r"read metric 'acc'; the log also has \['acc_norm'\]"):
        assert data.read(jsonl(path, lines)).scores.tolist() == [[1, 0, 1]]


def test_a_metric_asked_for_that_no_line_has_is_an_error_in_a_folder_too(tmp_path):
    lm_eval(tmp_path, "a", asked([1.0, ABSENT]))
    lm_eval(tmp_path, "b", asked([1.0, 0.0]), metric="f1")
    with pytest.raises(BadInput, match=r"has no metric 'f1'; it has \['acc'\].*Pass metric=") as caught:
        data.read(tmp_path, metric="f1")
    assert caught.value.in_shell().endswith("Pass --metric with one of these.")


def test_one_value_of_a_scorer_with_several(tmp_path):
    path = inspect(tmp_path, "m", asked([{"kind": 1.0, "true": 0.0}, {"kind": None, "true": 1.0}, None]))
    with pytest.warns(DataWarning, match="2 of 3 answers were not scored"):
        assert data.read(path, metric="match/kind").scores.tolist() == [[1]]
    with pytest.warns(DataWarning, match="1 of 3 answers was not scored"):
        assert data.read(path, metric="match/true").scores.tolist() == [[0, 1]]


def test_samples_marked_invalid(tmp_path):
    path = inspect(tmp_path, "m", asked([1.0, 0.0, 1.0, 1.0]))
    log = json.loads(path.read_text())
    log["samples"][1]["invalidation"] = {"timestamp": "2026-01-01T00:00:00+00:00", "author": "a", "reason": "leak"}
    log["samples"][2]["limit"] = {"type": "token", "limit": 100}  # scored all the same, as Inspect counts it
    put(path, log | {"invalidated": True})
    with pytest.warns(DataWarning, match=r"m.json: 1 of 4 answers was marked invalid and was left out"):
        assert data.read(path).items == ("quiz/0", "quiz/2", "quiz/3")


def test_a_zero_that_stands_for_an_error(tmp_path):
    """The converter of Every Eval Ever gives a sample of Inspect that ended in an error a score."""
    path = every_eval(tmp_path, "m", asked([1.0, 0.0, 0.0]))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["error"] = "RuntimeError: sandbox"
    with pytest.warns(DataWarning, match="1 of 3 answers was stopped by an error and was left out"):
        assert data.read(jsonl(path, lines)).items == ("quiz/0", "quiz/2")
    with pytest.raises(BadFile, match="no answer that was scored"):
        data.read(jsonl(path, lines[1:2]))


def test_summaries_do_not_say_what_is_invalid(tmp_path):
    """So the samples are read where the header says that there are any."""
    log = json.loads(inspect(tmp_path, "m", asked([1.0, 0.0])).read_text())
    path = tmp_path / "m.eval"
    with zipfile.ZipFile(path, "w") as archive:
        header = {name: log[name] for name in ("version", "status", "eval")} | {"invalidated": True}
        archive.writestr("header.json", json.dumps(header))
        archive.writestr("summaries.json", json.dumps(log["samples"]))
        for number, sample in enumerate(log["samples"]):
            sample |= {"invalidation": {"author": "a"} if number else None}
            archive.writestr(f"samples/{number}_epoch_1.json", json.dumps(sample))
    with pytest.warns(DataWarning, match="m.eval: 1 of 2 answers was marked invalid"):
        assert data.read(path).scores.tolist() == [[1]]


def test_a_run_that_died_before_its_first_answer(tmp_path):
    good = inspect(tmp_path, "a", asked([1.0, 0.0]))
    log = json.loads(good.read_text())
    log["eval"]["model"] = "b"
    dead = put(tmp_path / "b.json", log | {"status": "error", "samples": []})
    with pytest.warns(DataWarning, match=r"b.json holds no scored sample \(status 'error'\)\. It was left out\.$"):
        assert data.read(tmp_path).rows == ("a",)
    with pytest.raises(BadFile, match=r"b.json holds no scored sample \(status 'error'\)"):
        data.read(dead)
    put(dead, log | {"samples": [sample | {"scores": None, "error": {"message": "x"}} for sample in log["samples"]]})
    with pytest.raises(BadFile, match=r"\(status 'success'; 2 of 2 were stopped by an error\)"):
        data.read(dead)


def test_splits_of_helm_are_not_mixed(tmp_path):
    path = helm(tmp_path, "m", asked([1.0, 0.0, 0.0] * 3))
    both = json.loads(path.read_text()) + json.loads(
        helm(tmp_path / "valid", "m", asked([1.0] * 3, ids=[10, 11, 12]), split="valid").read_text()
    )
    put(path, both)
    with pytest.warns(DataWarning, match="3 of 12 answers were of another split than 'test' and were left out"):
        found = data.read(path)
    assert found.scores.mean() == pytest.approx(1 / 3)
    assert data.read(tmp_path / "valid").scores.tolist() == [[1, 1, 1]]
    text = json.dumps(both).replace('"split": "test"', '"split": "train"')
    path.write_text(text)
    with pytest.warns(DataWarning, match="9 of split 'train', 3 of split 'valid'; they were read together"):
        assert data.read(path).scores.shape == (1, 12)


@pytest.mark.parametrize("order", ["sorted", "samples first"])
def test_keys_of_an_inspect_log_in_any_order(order, tmp_path):
    path = inspect(tmp_path, "m", asked([1.0, 0.0]))
    log = json.loads(path.read_text())
    long = log["eval"] | {"dataset": {"name": "quiz", "sample_ids": list(range(20_000))}, "created": "2026"}
    if order == "sorted":
        path.write_text(json.dumps(log | {"eval": long}, sort_keys=True))
    else:
        put(path, {name: log[name] for name in ("samples", "status", "eval", "version")})
    assert data.read(path).scores.tolist() == [[1, 0]]


JSON = ("lm_eval", "lmms_eval", "inspect", "helm", "opencompass", "every_eval", "pyirt")


@pytest.mark.parametrize("log", [LOGS[name] for name in JSON], ids=JSON)
def test_keys_in_another_order_after_a_long_value(log, tmp_path):
    """As any program leaves them that sorts keys when it writes JSON again."""
    path = log.write(tmp_path, "m", asked([1.0, 0.0]))
    text = path.read_text()
    whole = [json.loads(text)] if text[0] == "[" or "\n " in text else list(map(json.loads, text.splitlines()))
    for each in whole:
        (each[0] if isinstance(each, list) else each)["aaa"] = "x" * 100_000
    path.write_text("".join(json.dumps(each, sort_keys=True) + "\n" for each in whole))
    assert data.read(path).scores.tolist() == [[1, 0]]


def test_responses_of_several_trials(tmp_path):
    lines = [
        {"subject_id": "a", "responses": {"i": {"successes": 3, "trials": 4}, "j": 1, "k": None}},
        {"subject_id": "b", "successes": {"i": 1, "j": 0}, "trials": {"i": 2, "j": 0}},
        {"subject_id": "c", "successes": {"i": 2, "j": 5}, "trials": 5},
    ]
    path = jsonl(tmp_path / "p.jsonlines", lines)
    with pytest.warns(DataWarning, match="2 of 7 answers were not scored"):
        found = data.read(path).select(("i", "j"))
    np.testing.assert_allclose(found.scores, [[0.75, 1], [0.5, 0], [0.4, 1]], rtol=1e-6)
    assert found.seen.tolist() == [[True, True], [True, False], [True, True]]
    assert found.weight[found.seen].tolist() == [4, 1, 2, 5, 5]
    for successes, trials in ((6, 5), (-1, 5), ("x", 5), (1, float("inf"))):
        jsonl(path, [{"subject_id": "c", "responses": {"i": {"successes": successes, "trials": trials}}}])
        with pytest.raises(BadInput, match="p.jsonlines:1: item 'i' has .* k of n are needed"):
            data.read(path)
