"""`lm.load` and `lm.save`: folders, GGUF files and names; a model comes back as it was; bad input is one clear line."""

import json
import pathlib

import gguf
import numpy as np
import pytest
from flax import nnx
from nn import tiny_tokens

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm import families, registry, weights
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.load import LanguageModel, Source, load, save
from lleval_jax.lm.mesh import mesh
from lleval_jax.lm.tokens import Tokens

CONFIG = Config(vocab=400, layers=2, width=32, heads=4, kv_heads=2, head_dim=8, hidden=48, context=64, tied=True)
TEXT = "She sold 48/2 = 24 clips in May. <|im_end|> naïve ☃"


def tokens() -> Tokens:
    facts = tiny_tokens.gguf_facts(tiny_tokens.byte_level(), "gpt-2")
    return Tokens.from_gguf(facts | {"tokenizer.chat_template": tiny_tokens.CHAT, "tokenizer.ggml.bos_token_id": 0})


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel("tiny", Decoder(CONFIG, rngs=nnx.Rngs(3)), tokens(), CONFIG, None, Source(pathlib.Path(), ()))


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> pathlib.Path:
    return save(model, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(folder, tmp_path) -> pathlib.Path:
    """A folder that a test may damage."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def same(first: Decoder, second: Decoder) -> bool:
    a, b = weights.flat(first), weights.flat(second)
    return a.keys() == b.keys() and all(np.array_equal(a[path].get_value(), b[path].get_value()) for path in a)


def test_a_saved_model_comes_back_as_it_was(model, folder):
    told = []
    again = load(folder, tell=told.append)
    assert (again.name, again.config, again.mesh) == ("tiny", CONFIG, None)
    assert same(again.decoder, model.decoder)
    assert again.tokens.encode(TEXT, special=True) == model.tokens.encode(TEXT, special=True)
    assert again.tokens.chat("Hello") == model.tokens.chat("Hello")
    assert (again.tokens.bos, again.tokens.eos, again.tokens.pad) == (0, (2,), 0)
    assert list(again.source.sha256) == ["model.safetensors"]
    assert told[-1].share == 1
    logits = again.decoder(np.array([[5, 6, 7]], np.int32))
    assert np.array_equal(logits, model.decoder(np.array([[5, 6, 7]], np.int32)))


def test_a_model_is_laid_on_a_mesh_as_it_is_read(model, folder):
    on = mesh(fsdp=2, tensor=2)
    again = load(folder, mesh=on)
    assert again.mesh is again.decoder.mesh is on
    assert same(again.decoder, model.decoder)
    up = again.decoder.blocks.mlp.up.weight.get_value()
    assert {shard.data.shape for shard in up.addressable_shards} == {(2, 24, 16)}


def test_what_is_written_again_is_byte_for_byte_the_same(folder, tmp_path):
    save(load(folder), tmp_path / "again")
    for name in ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_several_files_and_another_type(model, tmp_path):
    save(model, tmp_path / "small", dtype="bfloat16", shard=20_000)
    assert len(list((tmp_path / "small").glob("model-*.safetensors"))) > 2
    again = load(tmp_path / "small")
    assert json.loads((tmp_path / "small" / "config.json").read_text())["dtype"] == "bfloat16"
    whole = np.asarray(model.decoder.head())
    assert np.array_equal(again.decoder.head(), whole.astype("bfloat16").astype(np.float32))


def test_a_folder_that_holds_something_else_is_left_alone(model, folder, tmp_path):
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(FileExistsError, match="it holds config.json, another file"):
        save(model, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["config.json"]


def in_gguf(file: pathlib.Path, model: LanguageModel) -> pathlib.Path:
    """The model as llama.cpp's conversion writes it: rows of q and k in pairs."""
    config, writer = model.config, gguf.GGUFWriter(file, "llama")
    for key, value in {
        "embedding_length": config.width,
        "feed_forward_length": config.hidden,
        "block_count": config.layers,
        "context_length": config.context,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
    }.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", config.norm_eps)
    writer.add_string("general.license", "mit")
    for key, value in tiny_tokens.gguf_facts(tiny_tokens.byte_level(), "gpt-2").items():
        {str: writer.add_string, int: writer.add_uint32, list: writer.add_array}[type(value)](key, value)
    from lleval_jax.lm.gguf_families import NAMES

    own = {theirs: name for name, theirs in NAMES.items()}
    for name, tensor in weights.stored(model.decoder, families.FAMILIES["llama"].tensors(config)).items():
        layer = name.split(".")[2] if ".layers." in name else ""
        plain = own[name.replace(f".{layer}.", ".{}.") if layer else name]
        values = np.array(tensor.read())
        for part, heads in (("q", config.heads), ("k", config.kv_heads)):
            if plain.endswith(f"attn_{part}.weight"):
                values = values.reshape(heads, 2, -1, config.width).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(plain.format(layer), np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_a_gguf_file_gives_the_model_that_it_was_made_from(model, tmp_path):
    again = load(in_gguf(tmp_path / "tiny.q8.gguf", model))
    assert (again.name, again.source.licence) == ("tiny.q8", "mit")
    assert again.config == CONFIG
    assert same(again.decoder, model.decoder)
    assert again.tokens.encode(TEXT) == model.tokens.encode(TEXT)


def rewritten(folder: pathlib.Path, **keys) -> None:
    file = folder / "config.json"
    held = json.loads(file.read_text()) | keys
    file.write_text(json.dumps({key: value for key, value in held.items() if value is not None}))


def cut(file: pathlib.Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


FAULTS = {
    "no config": (lambda d: (d / "config.json").unlink(), BadInput, "holds no config.json."),
    "a config that is none": (
        lambda d: (d / "config.json").write_text("{"),
        BadFile,
        "config.json is damaged: it is no",
    ),
    "a list": (
        lambda d: (d / "config.json").write_text("[]"),
        BadInput,
        "config.json is damaged: it is no JSON object",
    ),
    "no architecture": (lambda d: rewritten(d, model_type=None), BadInput, "has no 'model_type'; there are llama"),
    "an architecture": (lambda d: rewritten(d, model_type="rwkv"), BadInput, "'rwkv' is not known; there are llama, "),
    "an encoder": (
        lambda d: rewritten(d, model_type="bert"),
        BadInput,
        "encoder .bert.*Load it with lm.load_encoder",
    ),
    "no weights": (
        lambda d: (d / "model.safetensors").unlink(),
        BadInput,
        "holds no weights: neither model.safetensors",
    ),
    "a pickle": (
        lambda d: (d / "model.safetensors").rename(d / "pytorch_model.bin"),
        BadInput,
        "as a pickle only .pytorch_model.bin., which can run any code when it is opened. Convert it once",
    ),
    "cut": (lambda d: cut(d / "model.safetensors"), BadFile, "tensor 'model.norm.weight' is cut short"),
    "layers": (
        lambda d: rewritten(d, num_hidden_layers=3),
        BadFile,
        "layers.2.input_layernorm.weight', .* missing",
    ),
    "fewer layers": (lambda d: rewritten(d, num_hidden_layers=1), BadFile, "are not part of the model that its config"),
    "width": (lambda d: rewritten(d, intermediate_size=50), BadFile, r"has shape \(48, 32\); .* asks for \(50, 32\)"),
    "no tokenizer": (lambda d: (d / "tokenizer.json").unlink(), BadInput, "holds no tokenizer"),
    "vocabulary": (lambda d: rewritten(d, vocab_size=300), BadInput, "has 400 tokens and .* vocabulary 300 rows"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_input_is_one_clear_line(copy, fault):
    damage, error, message = FAULTS[fault]
    damage(copy)
    with pytest.raises(error, match=message):
        load(copy)


def test_what_is_not_there_says_what_there_is(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="no folder, file or model 'smolm2'; .* smollm2, .*did you mean 'smollm2'"):
        load("smolm2")
    monkeypatch.setenv(registry.FOLDER, str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match="smollm2 is not on this machine. Fetch it once .*: lleval models fetch smollm2"):
        load("smollm2")
    (tmp_path / "a.gguf").write_bytes(b"")
    with pytest.raises(BadInput, match=r"holds no config.json. Name a file: .*a.gguf"):
        load(tmp_path)
    with pytest.raises(BadFile, match="a.gguf is empty"):
        load(tmp_path / "a.gguf")
    (tmp_path / "a.safetensors").write_bytes(b"12345678")
    with pytest.raises(BadInput, match="a.safetensors is neither a folder nor a GGUF file. Name its folder"):
        load(tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match="dtype 'int8' is not known; there are float32, bfloat16, float16"):
        load(tmp_path, dtype="int8")
