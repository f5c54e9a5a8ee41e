import pathlib
import random
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lleval_jax import data
from lleval_jax.data.tables import load
from lleval_jax.errors import BadInput, DataWarning
from lleval_jax.values import Responses, SparseResponses

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One small true file of each format."""
    folder = tmp_path_factory.mktemp("originals")
    frame = pd.DataFrame({"model": list("aabb"), "item": list("ijij"), "score": [0, 1, 1, 0.5]})
    frame.to_parquet(folder / "a.parquet")
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_json(folder / "a.jsonl", orient="records", lines=True)
    frame.to_json(folder / "a.jsonl.gz", orient="records", lines=True)
    wide = pd.DataFrame([[0, 1], [1, None]], index=["a", "b"], columns=["i", "j"]).rename_axis("model")
    wide.to_csv(folder / "wide.csv")
    wide.T.rename_axis("question").to_csv(folder / "turned.csv")
    frame.assign(score=["C", "I", "P", "N"]).to_json(folder / "list.json", orient="records")
    np.savez_compressed(folder / "a.npz", responses=np.eye(2), models=np.array(["a", "b"]), items=np.array(["i", "j"]))
    logs = [*FIXTURES.rglob("*.eval"), *FIXTURES.rglob("*.jsonl"), FIXTURES / "inspect" / "tiny-sums.json"]
    return [path.read_bytes() for path in [*sorted(folder.iterdir()), *sorted(logs)]]


def damaged(content, kind, seed):
    draw = random.Random(seed)
    out = bytearray(content)
    if kind == "cut":
        return bytes(out[: draw.randrange(len(out))])
    if kind == "insert":
        at = draw.randrange(len(out))
        return bytes(out[:at] + draw.randbytes(draw.randrange(1, 20)) + out[at:])
    for _ in range(draw.randrange(1, 8)):
        out[draw.randrange(len(out))] = draw.randrange(256)
    return bytes(out)


def read_quietly(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return data.read(path)


def test_any_bytes_give_a_result_or_bad_input(originals, tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / "the-file"

    @settings(deadline=None, max_examples=400, database=None)
    @given(
        st.sampled_from(range(len(originals))),
        st.sampled_from(["cut", "insert", "flip"]),
        st.integers(0, 10**9),
    )
    def check(which, kind, seed):
        path.write_bytes(damaged(originals[which], kind, seed))
        try:
            found = read_quietly(path)
        except BadInput as error:
            found = error
        assert isinstance(found, Responses | SparseResponses) or "the-file" in str(found)

    check()


@settings(deadline=None, max_examples=60, database=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"PK\x03\x04", b"PAR1", b"\x1f\x8b\x08", b'{"model": ', b"["]),
)
def test_noise_is_bad_input(tmp_path_factory, noise, start):
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(start + noise)
    with pytest.raises(BadInput, match="noise"):
        data.read(path)


def test_files_are_joined_by_name(tmp_path):
    (tmp_path / "one.csv").write_text("model,item,score\na,i,1\na,j,0\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "two.csv").write_text("model,item,score\nb,j,1\nb,k,0\n")
    for paths in (
        tmp_path,
        str(tmp_path / "**" / "*.csv"),
        [tmp_path / "deep" / "two.csv", tmp_path / "one.csv"],
    ):
        found = data.read(paths).select(("i", "j", "k"))
        assert sorted(found.rows) == ["a", "b"]
        assert found.take([found.rows.index("a")]).seen.tolist() == [[True, True, False]]
        assert set(found.source.files) == {"one.csv", "deep/two.csv"}


def test_disagreeing_files_are_named(tmp_path):
    for name, score in (("one", 1), ("two", 0)):
        (tmp_path / f"{name}.csv").write_text(f"model,item,score\na,i,{score}\n")
    with pytest.raises(BadInput, match=r"1 \(one.csv:2, weight 1\) and 0 \(two.csv:2"):
        data.read(tmp_path, repeats="error")


def test_what_is_skipped_in_a_folder_is_an_error_when_named(tmp_path):
    (tmp_path / "a.csv").write_text("model,item,score\na,i,1\n")
    (tmp_path / "b.txt").write_text("hello")
    (tmp_path / "c.txt").write_text("")
    with pytest.warns(DataWarning) as told:
        data.read(tmp_path)
    assert {"b.txt: is not a file of answers and was skipped", "c.txt: is empty and was skipped"} == {
        str(w.message) for w in told
    }
    with pytest.raises(BadInput, match="begins 'hello'. Known: .*lm-eval"):
        data.read(tmp_path / "b.txt")
    (tmp_path / "a.csv").unlink()
    with pytest.raises(BadInput, match="no file in .* holds answers"):
        data.read(tmp_path)


def test_paths_that_lead_nowhere(tmp_path):
    for path in (tmp_path / "nothing", str(tmp_path / "*.csv"), tmp_path, "\0"):
        with pytest.raises(BadInput, match=r"no such file|no file in the folder|cannot look"):
            data.read(path)
    with pytest.raises(BadInput, match="no path"):
        data.read([])


def test_order_of_rows_does_not_matter(tmp_path):
    frame = data.simulate(6, 9, seed=1, missing=0.3)[0].to_frame()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "b.csv", index=False)
    one, two = data.read(tmp_path / "a.csv"), data.read(tmp_path / "b.csv")
    two = two.take([two.rows.index(row) for row in one.rows]).select(one.items)
    np.testing.assert_array_equal(one.scores, two.scores)
    np.testing.assert_array_equal(one.seen, two.seen)


def test_importing_data_does_not_import_jax():
    code = "import lleval_jax.data, sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("option", [{"metric": "acc"}, {"filter": "strict-match"}])
def test_an_option_that_no_reader_uses_is_refused(tmp_path, option):
    (tmp_path / "a.csv").write_text("model,item,score\na,i,1\n")
    [(name, value)] = option.items()
    said = (
        rf"a.csv: {name} '{value}' was given, but the reader of table does not use .* It is used by: .*(lm-eval|Insp)"
    )
    with pytest.raises(BadInput, match=said):
        data.read(tmp_path, **option)


def test_in_a_mixed_folder_one_reader_that_uses_an_option_is_enough(tmp_path):
    (tmp_path / "a.csv").write_text("model,item,score\na,i,1\n")
    log = next((FIXTURES / "lm_eval" / "i82qcls7").glob("samples_tiny_choice*"))
    assert len(data.read([tmp_path / "a.csv", log], metric="acc").rows) == 2
    (tmp_path / "b.jsonlines").write_text('{"subject_id": "a", "responses": {"i": 1}}\n')
    with pytest.raises(BadInput, match="b.jsonlines: rows 'prompt' was given, but the reader of py-irt data does not"):
        data.read([log, tmp_path / "b.jsonlines"], metric="acc", rows="prompt")
    with pytest.raises(BadInput, match=r"b.jsonlines: .*no_answer.* the reader of py-irt data does not use"):
        data.read(tmp_path / "b.jsonlines", no_answer="missing")


def test_a_foreign_parquet_is_no_table_of_answers(tmp_path):
    (tmp_path / "a.csv").write_text("model,item,score\na,i,1\n")
    pd.DataFrame({"city": ["x"], "mayor": ["y"]}).to_parquet(tmp_path / "b.parquet")
    with pytest.warns(DataWarning, match="b.parquet: is not a file of answers"):
        data.read(tmp_path)
    with pytest.raises(BadInput, match=r"b.parquet has no columns 'model', 'item', 'score'; it has 'city', 'mayor'"):
        data.read(tmp_path / "b.parquet")


@pytest.mark.parametrize("kind", [KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError, MemoryError])
def test_our_own_mistakes_are_not_blamed_on_the_file(tmp_path, monkeypatch, kind):
    (tmp_path / "a.csv").write_text("model,item,score\na,i,1\n")

    def wrong(*_, **__):
        raise kind("of ours")

    monkeypatch.setattr(load, "sheet", wrong)
    with pytest.raises(kind, match="of ours"):
        data.read(tmp_path / "a.csv")
