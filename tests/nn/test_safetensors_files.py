"""Checkpoints of safetensors files: as the `safetensors` package reads and writes them, and what is said of damage."""

import json
import pathlib
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm import safetensors_files
from lleval_jax.lm.tensors import Stored

VALUES = {
    "model.norm.weight": np.arange(3, dtype=np.float32),
    "model.embed.weight": np.arange(12, dtype=ml_dtypes.bfloat16).reshape(4, 3),
    "ids": np.array([[1, -2]], np.int64),
    "seen": np.array([True, False]),
    "eight": np.ones((2, 2), ml_dtypes.float8_e4m3fn),
    "none": np.empty((0, 5), np.float16),
    "one": np.array(7.0),
}


def stored(values: dict[str, np.ndarray]) -> dict[str, Stored]:
    return {n: Stored(pathlib.Path("made"), n, v.shape, v.dtype, lambda v=v: v) for n, v in values.items()}


def one_file(folder: pathlib.Path, header: dict, values: bytes) -> pathlib.Path:
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + values)
    return folder


def entry(kind: str = "F32", shape: tuple = (2,), places: tuple = (0, 8)) -> dict:
    return {"a": {"dtype": kind, "shape": shape, "data_offsets": places}}


def test_a_file_is_written_byte_for_byte_as_the_package_does(tmp_path):
    (file,) = safetensors_files.write(tmp_path, stored(VALUES))
    safetensors.numpy.save_file(VALUES, tmp_path / "theirs", {"format": "pt"})
    assert file.name == "model.safetensors"
    assert file.read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("shard", [1, 30, 10**9])
def test_what_is_written_is_read_again(tmp_path, shard):
    files = safetensors_files.write(tmp_path, stored(VALUES), shard=shard)
    assert len(files) == {1: 7, 30: 3}.get(shard, 1)
    found = safetensors_files.read(tmp_path)
    assert found.keys() == VALUES.keys()
    for name, values in VALUES.items():
        read = found[name].read()
        assert (read.dtype, read.shape) == (values.dtype, values.shape) == (found[name].dtype, found[name].shape)
        assert read.tobytes() == values.tobytes()
        assert not read.size or read.ctypes.data % 64 == 0, "a device of the CPU would copy it"


def test_files_and_index_are_named_as_transformers_names_them(tmp_path):
    safetensors_files.write(tmp_path, stored(VALUES), shard=30)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": sum(v.nbytes for v in VALUES.values())}
    assert set(index["weight_map"].values()) == {f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}


def twice(folder: pathlib.Path) -> None:
    text = f'{{"a": {json.dumps(entry()["a"])}, "a": {json.dumps(entry(places=(8, 16))["a"])}}}'.encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))


FAULTS = {
    "empty": (lambda d: (d / "model.safetensors").write_bytes(b""), "is no safetensors file"),
    "no header": (lambda d: (d / "model.safetensors").write_bytes(b"\xff" * 99), "header would be 18,446,744,073,709"),
    "cut header": (lambda d: (d / "model.safetensors").write_bytes(struct.pack("<Q", 90) + b"{}"), "within its header"),
    "no JSON": (lambda d: (d / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{x"), "header is no JSON"),
    "a list": (lambda d: (d / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"[]"), "is no JSON object"),
    "cut": (lambda d: one_file(d, entry(), b"1234"), r"model.safetensors: tensor 'a' is cut short: it ends at byte"),
    "too long": (lambda d: one_file(d, entry(), b"123456789"), "its tensors are 8 bytes, and it holds 9"),
    "type": (
        lambda d: one_file(d, entry("F3"), bytes(8)),
        "tensor 'a' is of type F3, which is not known; there are U64",
    ),
    "size": (lambda d: one_file(d, entry(shape=(3,)), bytes(8)), r"tensor 'a' of shape \(3,\) .* is 12 bytes, not 8"),
    "negative": (lambda d: one_file(d, entry(shape=(-2,)), bytes(8)), r"tensor 'a' of shape \(-2,\)"),
    "twice": (lambda d: twice(d), "model.safetensors is damaged: 'a' is there twice"),
    "one in another": (
        lambda d: one_file(d, entry() | {"b": entry(places=(4, 12))["a"]}, bytes(16)),
        "tensor 'b' lies in another one: it begins at byte 4, not 8",
    ),
    "a hole": (lambda d: one_file(d, entry(places=(8, 16)), bytes(16)), "'a' does not follow .* at byte 8, not 0"),
    "type of types": (lambda d: one_file(d, entry([]), bytes(8)), r"tensor 'a' is of type \[\], which is not known"),
    "no shape": (lambda d: one_file(d, {"a": {"dtype": "F32"}}, bytes(8)), "tensor 'a' is not described"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damage_is_named(tmp_path, fault):
    damage, message = FAULTS[fault]
    damage(tmp_path)
    with pytest.raises(BadFile, match=message):
        safetensors_files.read(tmp_path)


def test_a_file_cut_after_it_was_opened_is_named_too(tmp_path):
    (file,) = safetensors_files.write(tmp_path, stored(VALUES))
    found = safetensors_files.read(tmp_path)
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(BadFile, match="is cut short within tensor 'seen': 2 bytes are missing"):
        found["seen"].read()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"a": "gone.safetensors"}, "names gone.safetensors, and there is no such file"),
        ({"a": "../model.safetensors"}, "files of a checkpoint lie in its folder"),
        ({"b": "model.safetensors"}, "model.safetensors: tensor 'b' is missing; model.safetensors.index.json names it"),
        ({"a": "model.safetensors", "b": "again.safetensors"}, "tensor 'a' is in again.safetensors too"),
        (None, "has no 'weight_map'"),
    ],
)
def test_an_index_that_does_not_agree_is_named(tmp_path, where, message):
    one_file(tmp_path, entry(), bytes(8))
    (tmp_path / "again.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes())
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    with pytest.raises(BadFile, match=message):
        safetensors_files.read(tmp_path)


def test_a_folder_without_safetensors_says_what_it_has(tmp_path):
    with pytest.raises(BadInput, match="holds no weights: neither model.safetensors nor"):
        safetensors_files.read(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(BadInput, match=r"as a pickle only \(pytorch_model.bin\).*Convert it once"):
        safetensors_files.read(tmp_path)
    for name in "xy":
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match="holds 2 safetensors files, and no model.safetensors.index.json"):
        safetensors_files.read(tmp_path)


def test_a_tensor_that_comes_out_otherwise_than_planned_is_refused(tmp_path):
    other = Stored(pathlib.Path("made"), "a", (2,), np.dtype(np.float32), lambda: np.zeros(3, np.float32))
    with pytest.raises(BadInput, match=r"tensor 'a' is float32 \(3,\); float32 \(2,\) was planned"):
        safetensors_files.write(tmp_path, {"a": other})
