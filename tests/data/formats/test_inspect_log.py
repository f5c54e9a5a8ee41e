import json
import math
import pathlib
import shutil
import zipfile
import zlib

import pytest
import zstandard

from lleval_jax import data
from lleval_jax.data import files
from lleval_jax.data.formats import inspect_log
from lleval_jax.errors import BadInput, DataWarning

LOGS = pathlib.Path(__file__).parents[1] / "fixtures" / "inspect"


def log():
    return json.loads((LOGS / "tiny-sums.json").read_bytes())


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            archive.writestr(name, json.dumps(value))
    return path


def test_epochs_are_repeats():
    found = data.read(LOGS / "tiny-sums.eval")
    assert found.rows == ("mockllm/model",)
    assert found.items == tuple(f"tiny_sums/sum-{i}" for i in range(8))
    assert found.weight.tolist() == [[2.0] * 8]
    assert set(found.scores.ravel().tolist()) <= {0.0, 0.5, 1.0}


def test_the_mean_is_the_one_inspect_reports():
    with files.Zip(LOGS / "tiny-sums.eval") as archive:
        header = json.loads(archive.content("header.json"))
    reported = header["results"]["scores"][0]["metrics"]["accuracy"]["value"]
    assert data.read(LOGS / "tiny-sums.eval").scores.mean() == pytest.approx(reported, abs=1e-6)


def test_json_and_summaries_agree_with_the_samples(tmp_path):
    with files.Zip(LOGS / "tiny-sums.eval") as archive:
        names = [n for n in archive.namelist() if n.startswith("samples/") or n == "header.json"]
        members = {name: json.loads(archive.content(name)) for name in names}
    whole, summaries = data.read(zipped(tmp_path / "a.eval", members)), data.read(LOGS / "tiny-sums.eval")
    assert whole.select(summaries.items).scores.tolist() == summaries.scores.tolist()
    assert data.read(LOGS / "tiny-sums.json").items == ("tiny_sums/sum-0", "tiny_sums/sum-1")


def test_scorers_are_never_mixed():
    with pytest.raises(BadInput, match=r"\['match', 'includes'\].*Pass metric='match'"):
        data.read(LOGS / "tiny-two.eval")
    with pytest.raises(BadInput, match="no scorer 'f1'"):
        data.read(LOGS / "tiny-two.eval", metric="f1")
    assert data.read(LOGS / "tiny-two.eval", metric="includes").scores.shape == (1, 8)


@pytest.mark.parametrize(
    ("value", "number"),
    [("C", 1), ("I", 0), ("P", 0.5), ("N", 0), ("yes", 1), ("No", 0), (True, 1), ("0.25", 0.25), (0.5, 0.5)],
)
def test_values(value, number):
    assert inspect_log.to_number(value) == number


def test_values_that_are_none():
    assert math.isnan(inspect_log.to_number("N", "missing"))
    assert inspect_log.to_number("good") is None
    assert inspect_log.to_number([1]) is None


def test_unscored_failed_and_unfinished_are_counted(tmp_path):
    changed = log()
    first, second, third, _ = changed["samples"]
    first["scores"]["match"]["value"] = float("nan")
    second |= {"scores": None, "error": {"message": "boom"}}
    third["scores"] = {}
    changed["status"] = "error"
    with pytest.warns(DataWarning) as told:
        assert data.read(write(tmp_path / "a.json", changed)).n_seen.tolist() == [1]
    said = " ".join(str(w.message) for w in told)
    for part in (
        "1 of 4 answers was stopped by an error",
        "1 of 4 answers was not finished",
        "1 of 4 answers was not scored",
        "'error'",
    ):
        assert part in said


def test_a_log_in_progress(tmp_path):
    start = {"version": 2, "eval": {"task": "t", "model": "m"}}
    part = [{"id": 1, "epoch": 1, "scores": {"match": {"value": "C"}}}]
    path = zipped(tmp_path / "a.eval", {"_journal/start.json": start, "_journal/summaries/1.json": part})
    with pytest.warns(DataWarning, match="status is 'started'"):
        assert data.read(path).items == ("t/1",)


def test_bad_values(tmp_path):
    changed = log()
    changed["samples"][0]["scores"]["match"]["value"] = "wonderful"
    with pytest.raises(BadInput, match="sample 'sum-0': match is 'wonderful'"):
        data.read(write(tmp_path / "a.json", changed))
    changed["samples"][0]["scores"]["match"]["value"] = 7
    with pytest.raises(BadInput, match=r"score 7 lies outside \[0, 1\]"):
        data.read(write(tmp_path / "a.json", changed))


def test_a_cut_zip_is_named(tmp_path):
    path = tmp_path / "a.eval"
    path.write_bytes((LOGS / "tiny-sums.eval").read_bytes()[:-100])
    with pytest.raises(BadInput, match="^read as Inspect log: a.eval is damaged or cut short .* Copy or write it"):
        data.read(path)


@pytest.mark.parametrize("field", ["CRC", "file_size"])
def test_a_damaged_member_does_not_stop_the_other_logs(tmp_path, field):
    shutil.copy(LOGS / "tiny-sums.json", tmp_path)
    with zipfile.ZipFile(tmp_path / "b.eval", "w") as archive:
        archive.writestr("header.json", zstandard.compress(b"{}"))
        info = archive.getinfo("header.json")
        info.compress_type, info.file_size, info.CRC = files.ZSTD, 2, zlib.crc32(b"{}")
        setattr(info, field, 3)
    with pytest.warns(
        DataWarning, match=r"b.eval: header.json (is cut short|does not have the checksum).* It was left out"
    ):
        assert len(data.read(tmp_path).items) == 2


def test_a_member_larger_than_it_says_is_refused(tmp_path):
    path, bomb = tmp_path / "a.eval", zstandard.compress(b" " * 10_000_000)
    zipped(path, {"header.json": 1})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", bomb)
        info = archive.getinfo("header.json")
        info.compress_type, info.file_size = files.ZSTD, 100
    with pytest.raises(BadInput, match="larger than the 100 bytes"):
        data.read(path)


TRAPS = [
    {"value": math.nan, "explanation": 'a line\n  "value": NaN,\n  NaN,\nInfinity\n'},
    {"value": {"a": math.nan, "b": 1.0}, "answer": '"value": NaN'},
    {"value": "C", "answer": "NaN", "metadata": {"list": [math.nan, math.inf, -math.inf, "NaN", ["NaN"]]}},
    {"value": math.inf, 'key "NaN": ': math.nan, "NaN": "Infinity"},
    {"value": -math.inf, "history": [], "metadata": {"NaN,": math.nan, "\\": math.nan}},
]


@pytest.mark.parametrize("indent", [2, 1, None])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_nan_is_read_as_the_slow_parser_reads_it(tmp_path, indent, end):
    changed = log()
    changed["samples"] = [{"id": i, "epoch": 1, "scores": {"match": trap}} for i, trap in enumerate(TRAPS)]
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(changed, indent=indent).replace("\n", end).encode())
    _, samples = inspect_log._read_json(path)
    numbers = [
        [(scorer, inspect_log.to_number(value)) for scorer, value in flat.items()]
        for *_, flat in map(inspect_log._flat, samples)
    ]
    slow = [inspect_log._flat(sample).scores for sample in json.loads(path.read_bytes())["samples"]]
    assert str(numbers) == str([[(s, inspect_log.to_number(v)) for s, v in flat.items()] for flat in slow])


def test_an_indented_log_with_nan_needs_no_slow_parser(tmp_path, monkeypatch):
    changed = log()
    changed["samples"][1]["scores"]["match"] = TRAPS[0]
    changed["stats"] = {"lots": ["x" * 1000] * 3000, "last": math.nan}  # more than one block
    (tmp_path / "a.json").write_text(json.dumps(changed, indent=2))
    monkeypatch.setattr(inspect_log.json, "loads", lambda content: pytest.fail("the slow parser was used"))
    with pytest.warns(DataWarning, match="1 of 4 answers was not scored and was left out"):
        assert data.read(tmp_path / "a.json").weight.sum() == 3
