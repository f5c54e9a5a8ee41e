"""Bad input of language models: whatever lies in the files, and whatever is asked, is one clear line."""

import errno
import io
import json
import pathlib
import shutil
import struct

import numpy as np
import pytest
from nn.test_load import in_gguf, model, tokens  # noqa: F401  (a fixture and what it needs)
from nn.test_safetensors_files import stored

from bench.lm import damaged
from lleval_jax import lm
from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm import safetensors_files

WEIGHTS, CONFIG, TOKENIZER, GGUF = "model.safetensors", "config.json", "tokenizer.json", "tiny.gguf"


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):  # noqa: F811
    folder = lm.save(model, tmp_path_factory.mktemp("models") / "tiny")
    in_gguf(folder / GGUF, model)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy that a test may damage."""
    shutil.copytree(whole, tmp_path / "tiny")
    return tmp_path / "tiny"


def clear(error: pytest.ExceptionInfo, place: pathlib.Path) -> bool:
    said = str(error.value)
    return str(place) in said and "\n" not in said and len(said) < damaged.LONGEST


# ---- files


@pytest.mark.parametrize("part", [0, 7, 8, 0.01, 0.5, -1])
@pytest.mark.parametrize("name", [WEIGHTS, GGUF])
def test_weights_that_are_cut_anywhere(folder, name, part):
    file = folder / name
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content)) if isinstance(part, float) else part])
    with pytest.raises(
        BadFile, match=f"{name}.*(cut short|no {'GGUF' if name == GGUF else 'safetensors'} file|empty)"
    ) as found:
        lm.load(file if name == GGUF else folder)
    assert clear(found, file)


@pytest.mark.parametrize(("kind", "value"), [("float32", np.nan), ("bfloat16", np.inf), ("float16", -np.inf)])
def test_weights_that_are_not_finite(folder, kind, value):
    tensors = safetensors_files.read(folder)
    values = {name: tensor.read().astype(kind) for name, tensor in tensors.items()}
    values["model.layers.1.mlp.down_proj.weight"][3, 5] = value
    safetensors_files.write(folder, stored(values))
    said = rf"tensor 'model.layers.1.mlp.down_proj.weight' holds {value} at \(3, 5\); the file is damaged, or training"
    with pytest.raises(BadFile, match=said) as found:
        lm.load(folder)
    assert clear(found, folder / WEIGHTS)


def test_the_largest_weights_there_are_are_finite(folder):
    values = {name: tensor.read().astype("bfloat16") for name, tensor in safetensors_files.read(folder).items()}
    values["model.norm.weight"][:] = np.finfo(np.float32).max / 2
    safetensors_files.write(folder, stored(values))
    assert lm.load(folder, dtype="bfloat16").name == "tiny"


def test_weights_of_gguf_that_are_not_finite(folder):
    file = folder / GGUF
    content = file.read_bytes()
    file.write_bytes(content[:-4] + struct.pack("<f", np.nan))  # the last value of the last tensor
    with pytest.raises(BadFile, match="tensor '.*' holds nan at .*; the file is damaged") as found:
        lm.load(file)
    assert clear(found, file)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, TOKENIZER])
def test_a_folder_in_place_of_a_file(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    said = {CONFIG: "holds no config.json", WEIGHTS: "holds no weights", TOKENIZER: "holds no tokenizer"}
    with pytest.raises(BadInput, match=said[name]) as found:
        lm.load(folder)
    assert clear(found, folder)


def test_a_folder_named_as_a_gguf_file(tmp_path):
    (tmp_path / "a.gguf").mkdir()
    with pytest.raises(BadInput, match="a.gguf holds no config.json"):
        lm.load(tmp_path / "a.gguf")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, TOKENIZER, "tokenizer_config.json", GGUF])
def test_a_file_that_may_not_be_read(folder, monkeypatch, name):
    """As the system says it, with the file's name; the tests may run as one who may read everything."""
    real = io.open

    def guarded(file, *args, **more):
        if str(file) == str(folder / name):
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return real(file, *args, **more)

    monkeypatch.setattr(io, "open", guarded)
    with pytest.raises(PermissionError, match=f"Permission denied: .*{name}"):
        lm.load(folder / name if name == GGUF else folder)


def test_two_files_with_the_same_tensor(folder):
    shutil.copy(folder / WEIGHTS, folder / "again.safetensors")
    names = list(safetensors_files.read(folder))
    where = {name: WEIGHTS for name in names[1:]} | {names[0]: "again.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    with pytest.raises(BadFile, match="tensor 'model.* is in again.safetensors too"):
        lm.load(folder)


# Found by `python -m bench run lm.damaged`, each once.
ODD = {
    "a base that is text": (CONFIG, '"rope_theta": 10000.0', '"rope_theta": "../x"'),
    "layers beyond memory": (CONFIG, '"num_hidden_layers": 2', '"num_hidden_layers": 99999999999'),
    "a half of a character": ("tokenizer_config.json", '"eos_token": "', '"eos_token": "\\ud800'),
}


@pytest.mark.parametrize("name", ODD)
def test_values_that_escaped_once(folder, name):
    file, old, new = ODD[name]
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    assert damaged.outcome(folder, file, (folder / file).read_bytes())[0] in ("loaded", "refused")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, TOKENIZER, "tokenizer_config.json", GGUF])
def test_any_bytes_give_a_model_or_one_clear_line(whole, name):
    """A few of the cases that `python -m bench run lm.damaged` runs by the thousand."""
    found = damaged.tried(whole, name, cases=5, seed=1)
    assert found["bad"] == []
    assert found["loaded"] + found["refused"] == 5


# ---- what is asked


def test_prompts_that_do_not_fit(model):  # noqa: F811
    long = "apples " * 100
    with pytest.raises(BadInput, match=r"prompt 1 has \d+ tokens; tiny reads and writes 64 at most"):
        lm.generate(model, ["a", long], limit=2)
    with pytest.raises(
        BadInput, match=r"prompt 0 has 1 tokens; .* and with limit=64 that is 65; shorten it, or ask for 63"
    ):
        lm.generate(model, ["a"], limit=64)
    with pytest.raises(BadInput, match="64"):
        lm.score(model, ["a", long], ["b", "b"])


def test_prompts_and_answers_that_are_none(model):  # noqa: F811
    with pytest.raises(BadInput, match="one text; give a list of texts"):
        lm.generate(model, "a")
    with pytest.raises(BadInput, match="prompt 1 is a int"):
        lm.generate(model, ["a", 3])
    with pytest.raises(BadInput, match="answer"):
        lm.score(model, ["a"], [""])
    with pytest.raises(BadInput, match="half"):
        lm.generate(model, ["a\ud800"])
