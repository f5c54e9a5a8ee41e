"""GGUF files, written with the `gguf` package: every way of packing, as Hugging Face names it, and damage by name."""

import pathlib
import struct
import sys

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Packing

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm import families, gguf_families, gguf_file

WIDTH, HIDDEN, HEADS, KV_HEADS, VOCAB = 32, 64, 4, 2, 11
WRITABLE = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0")  # the package packs these
KEYS = {
    "embedding_length": WIDTH,
    "feed_forward_length": HIDDEN,
    "block_count": 1,
    "context_length": 128,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KV_HEADS,
    "attention.layer_norm_rms_epsilon": 1e-5,
}


def tensors(architecture: str, key_length: int = WIDTH // HEADS) -> dict[str, np.ndarray]:
    """The tensors of one layer, as files of that architecture have them."""
    random = np.random.default_rng(0)
    shapes = {
        "token_embd.weight": (VOCAB, WIDTH),
        "output_norm.weight": (WIDTH,),
        "blk.0.attn_norm.weight": (WIDTH,),
        "blk.0.attn_q.weight": (HEADS * key_length, WIDTH),
        "blk.0.attn_k.weight": (KV_HEADS * key_length, WIDTH),
        "blk.0.attn_v.weight": (KV_HEADS * key_length, WIDTH),
        "blk.0.attn_output.weight": (WIDTH, HEADS * key_length),
        "blk.0.ffn_norm.weight": (WIDTH,),
        "blk.0.ffn_gate.weight": (HIDDEN, WIDTH),
        "blk.0.ffn_up.weight": (HIDDEN, WIDTH),
        "blk.0.ffn_down.weight": (WIDTH, HIDDEN),
    }
    if architecture == "qwen2":
        shapes |= {f"blk.0.attn_{part}.bias": shapes[f"blk.0.attn_{part}.weight"][:1] for part in "qkv"}
    if architecture in ("qwen3", "gemma3"):
        shapes |= {f"blk.0.attn_{part}_norm.weight": (key_length,) for part in "qk"}
    if architecture == "gemma3":
        shapes |= {"blk.0.post_attention_norm.weight": (WIDTH,), "blk.0.post_ffw_norm.weight": (WIDTH,)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def written(
    file: pathlib.Path,
    architecture: str = "llama",
    values: dict | None = None,
    keys: dict | None = None,
    **more: object,
) -> pathlib.Path:
    """A file written by the package; `keys` are the architecture's, `more` stand as they are."""
    writer = gguf.GGUFWriter(file, architecture)
    for key, value in ({f"{architecture}.{k}": v for k, v in (KEYS if keys is None else keys).items()} | more).items():
        kinds = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string, list: writer.add_array}
        kinds[type(value)](key, value)
    for name, value in (tensors(architecture) if values is None else values).items():
        writer.add_tensor(name, *value) if isinstance(value, tuple) else writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.mark.parametrize("name", WRITABLE)
def test_values_are_those_that_were_packed(tmp_path, monkeypatch, name):
    monkeypatch.setattr(gguf_file, "PIECE", 1024)  # several pieces
    values = np.random.default_rng(1).normal(size=(5, 512)).astype(np.float32)
    packed = gguf.quantize(values, Packing[name])
    plain = {"F32": None, "F16": None}.get(name, Packing[name])
    whole = written(tmp_path / "a.gguf", values={"w": (packed, None, plain)})
    found = gguf_file.read(whole).tensors["w"]
    read = found.read()
    assert (read.dtype, read.shape) == (found.dtype, found.shape)
    assert np.array_equal(read.astype(np.float32), gguf.dequantize(packed, Packing[name]).reshape(5, 512))


def test_every_packing_that_is_named_can_be_read(tmp_path):
    for name in gguf_file.PACKED:
        width, size = gguf.GGML_QUANT_SIZES[Packing[name]]
        packed = np.zeros((3, 2 * size), np.uint8)
        found = gguf_file.read(written(tmp_path / name, values={"w": (packed, None, Packing[name])})).tensors["w"]
        assert found.read().shape == found.shape == (3, 2 * width), name


def test_metadata_is_what_was_written(tmp_path):
    tokens = ["<s>", "Ġthe", "naïve ☃", ""]
    file = written(tmp_path / "a.gguf", tokens=tokens, scores=[0.5, -1.0], **{"general.name": "small"})
    found = gguf_file.read(file).meta
    assert found["tokens"] == tokens
    assert found["general.name"] == "small"
    assert np.array_equal(found["scores"], [0.5, -1.0])
    assert found["llama.block_count"] == 1


@pytest.mark.parametrize("architecture", gguf_families.ARCHITECTURES)
def test_each_architecture_becomes_the_one_of_hugging_face(tmp_path, architecture):
    length = 16 if architecture in ("qwen3", "gemma3") else WIDTH // HEADS
    keys = KEYS | ({"attention.key_length": length} if length == 16 else {}) | {"attention.sliding_window": 8}
    values = tensors(architecture, length)
    config, found = gguf_families.translated(gguf_file.read(written(tmp_path / "a", architecture, values, keys)))
    assert config["model_type"] == architecture.replace("gemma3", "gemma3_text")
    assert config["head_dim"] == length
    assert (config["vocab_size"], config["tie_word_embeddings"], config["rms_norm_eps"]) == (VOCAB, True, 1e-5)
    assert len(found) == len(values)
    assert all(name.startswith("model.") for name in found), list(found)
    v = "model.layers.0.self_attn.v_proj.weight"
    assert np.array_equal(found[v].read(), values["blk.0.attn_v.weight"])


def test_rows_of_llama_are_put_back_in_halves(tmp_path):
    """As llama.cpp's conversion permutes them: a head's rows (2, d/2) become (d/2, 2)."""
    values, plain = tensors("llama"), {}
    for part, heads in (("q", HEADS), ("k", KV_HEADS)):
        name = f"blk.0.attn_{part}.weight"
        plain[part] = values[name]
        pairs = plain[part].reshape(heads, 2, -1, WIDTH).swapaxes(1, 2)
        values[name] = np.ascontiguousarray(pairs.reshape(plain[part].shape))
    _, found = gguf_families.translated(gguf_file.read(written(tmp_path / "a", values=values)))
    for part, rows in plain.items():
        assert np.array_equal(found[f"model.layers.0.self_attn.{part}_proj.weight"].read(), rows)
        assert not np.array_equal(values[f"blk.0.attn_{part}.weight"], rows)


def test_the_rotation_of_llama_3_1_is_known_by_its_factors(tmp_path):
    """As `Llama3Model.generate_extra_tensors` of llama.cpp's conversion computes them, for heads of 128 numbers."""
    theta, factor, low, high, context = 500_000.0, 32.0, 1.0, 4.0, 8192
    factors = []
    for at in range(0, 128, 2):
        length = 2 * np.pi * theta ** (at / 128)
        smooth = (context / length - low) / (high - low)
        between = 1 / ((1 - smooth) / factor + smooth)
        factors.append(1 if length < context / high else factor if length > context / low else between)
    assert len(set(factors)) > 4
    keys = KEYS | {"rope.freq_base": theta, "rope.dimension_count": 128}
    values = tensors("llama", 128) | {"rope_freqs.weight": np.array(factors, np.float32)}
    config, found = gguf_families.translated(gguf_file.read(written(tmp_path / "a", values=values, keys=keys)))
    assert "rope_freqs.weight" not in found
    assert config["rope_parameters"] == {
        "rope_type": "llama3",
        "rope_theta": theta,
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": context,
    }
    assert families.read_config(config).rotary.scaling.kind == "llama3"


def test_norms_of_gemma_lose_their_one(tmp_path):
    keys = KEYS | {"attention.key_length": 8, "attention.sliding_window": 8, "block_count": 12}
    values = tensors("gemma3")
    config, found = gguf_families.translated(gguf_file.read(written(tmp_path / "a", "gemma3", values, keys)))
    names = {"blk.0.ffn_norm.weight": "pre_feedforward_layernorm", "blk.0.attn_q_norm.weight": "self_attn.q_norm"}
    for own, name in names.items():
        assert np.array_equal(found[f"model.layers.0.{name}.weight"].read(), values[own] - 1)
    assert [at for at, kind in enumerate(config["layer_types"]) if kind == "full_attention"] == [5, 11]


def edited(file: pathlib.Path, at: int, content: bytes) -> pathlib.Path:
    whole = bytearray(file.read_bytes())
    whole[at : at + len(content)] = content
    file.write_bytes(whole)
    return file


def packed_as(file: pathlib.Path, number: int) -> pathlib.Path:
    """The first tensor's type, which stands after its name, the count of its axes and their lengths."""
    whole, name = file.read_bytes(), b"token_embd.weight"
    return edited(file, whole.index(name) + len(name) + 4 + 16, struct.pack("<I", number))


FAULTS = {
    "empty": (lambda f: f.write_bytes(b""), "is empty"),
    "another format": (lambda f: f.write_bytes(b"PK\x03\x04" + bytes(60)), "is no GGUF file: it begins with"),
    "a version": (lambda f: edited(written(f), 4, struct.pack("<I", 1)), "version 1 of GGUF; versions 2 and 3"),
    "byte order": (lambda f: edited(written(f), 4, struct.pack(">I", 3)), "of the other byte order"),
    "cut in the header": (lambda f: f.write_bytes(written(f).read_bytes()[:99]), "cut short within its header"),
    "cut in a text": (lambda f: f.write_bytes(written(f).read_bytes()[:60]), "cut short within its header"),
    "cut in the values": (
        lambda f: f.write_bytes(written(f).read_bytes()[:-40]),
        "tensor 'blk.0.ffn_down.weight' is cut",
    ),
    "a huge text": (lambda f: edited(written(f), 24, struct.pack("<Q", 1 << 63)), "is damaged, or cut short"),
    "no packing": (
        lambda f: packed_as(written(f), 99),
        r"'token_embd.weight' is packed as number 99.*there are F32.*Q4_1",
    ),
    "no packing of ours": (lambda f: packed_as(written(f), 15), "'token_embd.weight' is packed as Q8_K, which is not"),
    "rows": (
        lambda f: packed_as(written(f), 12),
        r"'token_embd.weight' has shape \(11, 32\); rows of Q4_K are multiples",
    ),
    "one of several": (lambda f: written(f, **{"split.count": 3}), "is one part of 3. Join them first"),
    "architecture": (lambda f: written(f, "rwkv9"), "architecture 'rwkv9' is not known; there are llama, qwen2, qwen3"),
    "no width": (
        lambda f: written(f, keys={"rope.dimension_count": 8}),
        "metadata has no 'llama.attention.head_count'",
    ),
    "a text": (lambda f: written(f, keys=KEYS | {"block_count": "two"}), "'llama.block_count' .* is 'two', of another"),
    "zero": (lambda f: written(f, keys=KEYS | {"block_count": 0}), "'llama.block_count' in its metadata is 0"),
    "no embedding": (
        lambda f: written(f, values={"w": np.zeros(2, np.float32)}),
        "tensor 'token_embd.weight' is missing",
    ),
    "odd rows": (lambda f: written(f, keys=KEYS | {"attention.head_count": 5}), "attn_q.weight' has 32 rows, which 5"),
    "experts": (lambda f: written(f, keys=KEYS | {"expert_count": 8}), "is a mixture of experts, which is not known"),
    "scaling": (
        lambda f: written(f, keys=KEYS | {"rope.scaling.type": "yarn"}),
        "scaling 'yarn' of the rotation is not read from GGUF; 'linear' is",
    ),
    "factors": (
        lambda f: written(f, values=tensors("llama") | {"rope_freqs.weight": np.array([1, 1, 2, 9], np.float32)}),
        "factors of its rotation .* are not those of Llama 3.1 and later. Take the model's safetensors",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_clear_line(tmp_path, fault):
    damage, message = FAULTS[fault]
    damage(tmp_path / "a.gguf")
    with pytest.raises(BadInput, match=message):
        gguf_families.translated(gguf_file.read(tmp_path / "a.gguf"))


def test_a_header_cut_anywhere_never_surprises(tmp_path):
    whole = written(tmp_path / "a.gguf").read_bytes()
    for size in range(4, 900, 7):
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(BadFile, match=r"cut short|is cut"):
            gguf_file.read(tmp_path / "cut")


def test_a_tensor_cut_after_it_was_opened_is_named(tmp_path):
    file = written(tmp_path / "a.gguf")
    found = gguf_file.read(file).tensors
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(BadFile, match="a.gguf is cut short within tensor 'blk.0.ffn_down.weight'"):
        found["blk.0.ffn_down.weight"].read()


def test_without_the_package_there_is_one_clear_line(tmp_path, monkeypatch):
    file = written(tmp_path / "a.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(BadInput, match=r'need the package gguf. Install it: pip install "lleval-jax\[train\]"'):
        gguf_file.read(file)
