import io
import zipfile

import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.errors import BadInput, DataWarning

NAMES = {"models": np.array(["a", "b"]), "items": np.array(["i", "j", "k"])}


def save(path, **arrays):
    np.savez(path, **(NAMES | arrays))
    return path


def test_floats_with_nan(tmp_path):
    scores = np.array([[0, 0.5, np.nan], [1, np.nan, 1]])
    found = data.read(save(tmp_path / "a.npz", responses=scores, groups=np.array(["g", "g", "h"])))
    assert found.rows == ("a", "b")
    assert found.items == ("i", "j", "k")
    assert found.groups == ("g", "h")
    np.testing.assert_array_equal(found.seen, np.isfinite(scores))
    np.testing.assert_array_equal(found.scores, np.nan_to_num(scores))


def test_whole_numbers_with_minus_one_and_a_row_without_answers(tmp_path):
    path = save(tmp_path / "a.npz", responses=np.array([[0, 1, -1], [-1, -1, -1]], np.int8))
    with pytest.warns(DataWarning, match="1 rows have no answer and were left out: 'b'"):
        found = data.read(path)
    assert found.seen.tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"responses": np.ones((2, 3)) * 5}, "scores run from 5 to 5. Pass scale="),
        ({"responses": np.ones((2, 3, 1))}, "must be a matrix"),
        ({"responses": np.ones((2, 4))}, "3 items for 4"),
        ({"responses": np.ones((2, 3), object)}, "pickled Python objects"),
        ({"responses": np.array([["x"] * 3] * 2)}, "not numbers"),
        ({"responses": np.ones((2, 3)), "models": np.array(["a", "a"])}, "'models' must be unique"),
        ({"responses": np.ones((2, 3)), "groups": np.array(["a"])}, "1 groups for 3 items"),
    ],
)
def test_errors(tmp_path, arrays, match):
    with pytest.raises(BadInput, match=match):
        data.read(save(tmp_path / "a.npz", **arrays))


def test_a_header_that_promises_more_than_there_is(tmp_path):
    path = tmp_path / "bomb.npz"
    save(path, responses=np.ones((2, 3)))
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()} | {"responses.npy": head.getvalue()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    with pytest.raises(BadInput, match="80000000.* bytes; the file has"):
        data.read(path)


def test_prompts(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, responses=np.ones((2, 1)), templates=np.array(["t1", "t2"]), items=np.array(["i"]))
    assert data.read(path, rows="prompt").rows == ("t1", "t2")
    with pytest.raises(BadInput, match="no array 'models'.*Pass rows='prompt'"):
        data.read(path)
