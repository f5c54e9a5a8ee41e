"""Weights go from files to devices one tensor at a time and back as they were; what does not fit is named."""

import dataclasses
import pathlib
import weakref

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm import families, weights
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.mesh import mesh, sharding
from lleval_jax.lm.tensors import Stored

LLAMA = Config(vocab=24, layers=3, width=16, heads=4, kv_heads=2, head_dim=4, hidden=32, context=64)
GPT2 = dataclasses.replace(
    LLAMA,
    family="gpt2",
    norm="layer",
    activation="gelu_tanh",
    gated=False,
    rotary=None,
    learned_positions=True,
    kv_heads=4,
    tied=True,
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
)
WHERE = pathlib.Path("folder")


def named(config: Config):
    return families.FAMILIES[config.family].tensors(config)


def in_memory(tensors: dict[str, Stored]) -> dict[str, Stored]:
    """The same tensors as a file would give them: a new array at each read."""
    kept = {name: np.array(tensor.read()) for name, tensor in tensors.items()}
    return {name: held(name, values) for name, values in kept.items()}


def held(name: str, values: np.ndarray) -> Stored:
    return Stored(WHERE / "model.safetensors", name, values.shape, values.dtype, lambda: values.copy())


def empty(config: Config, dtype=jnp.float32) -> Decoder:
    return nnx.eval_shape(lambda: Decoder(config, dtype=dtype))


@pytest.fixture(scope="module")
def original() -> Decoder:
    return Decoder(LLAMA, rngs=nnx.Rngs(1))


@pytest.fixture(scope="module")
def tensors(original) -> dict[str, Stored]:
    return in_memory(weights.stored(original, named(LLAMA)))


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=lambda config: config.family)
def test_weights_come_back_byte_for_byte(config):
    first = Decoder(config, rngs=nnx.Rngs(1))
    there = in_memory(weights.stored(first, named(config)))
    again = empty(config)
    told = []
    weights.fill(again, named(config), there, WHERE, tell=told.append)
    for path, parameter in weights.flat(first).items():
        assert np.array_equal(parameter.get_value(), weights.flat(again)[path].get_value()), path
    back = weights.stored(again, named(config))
    assert back.keys() == there.keys()
    assert all(back[name].read().tobytes() == there[name].read().tobytes() for name in there)
    assert all(back[name].shape == there[name].shape for name in there)
    assert told[-1].done == told[-1].total == sum(each.size for each in there.values())


@pytest.mark.parametrize("kind", [ml_dtypes.bfloat16, np.float64])
def test_values_take_the_type_that_is_asked_for(tensors, kind):
    there = {name: held(name, each.read().astype(kind)) for name, each in tensors.items()}
    for dtype in (jnp.float32, jnp.bfloat16):
        decoder = empty(LLAMA, dtype)
        weights.fill(decoder, named(LLAMA), there, WHERE)
        for name in ("model.embed_tokens.weight", "model.layers.1.mlp.up_proj.weight"):
            values = weights.stored(decoder, named(LLAMA))[name].read()
            assert values.dtype == dtype
            assert np.array_equal(values, jnp.asarray(there[name].read(), jnp.float32).astype(dtype))


def test_on_a_mesh_each_device_holds_its_part(tensors, original):
    on = mesh(fsdp=2, tensor=2)
    decoder = empty(LLAMA)
    weights.fill(decoder, named(LLAMA), tensors, WHERE, mesh=on)
    for path, parameter in weights.flat(decoder).items():
        value = parameter.get_value()
        assert value.sharding == sharding(parameter, on, LLAMA), path
        assert np.array_equal(value, weights.flat(original)[path].get_value()), path
    up = decoder.blocks.mlp.up.weight.get_value()
    assert {shard.data.shape for shard in up.addressable_shards} == {(3, 16, 8)}
    assert weights.stored(decoder, named(LLAMA))["lm_head.weight"].read().shape == (24, 16)


def test_the_host_holds_one_tensor_and_what_jax_has_not_let_go_of(tensors):
    alive: list[weakref.ref] = []
    most = 0

    def watched(tensor: Stored) -> Stored:
        def read() -> np.ndarray:
            nonlocal most
            values = tensor.read()
            alive.append(weakref.ref(values))
            most = max(most, sum(each() is not None for each in alive))
            return values

        return dataclasses.replace(tensor, read=read)

    layers = {name: watched(each) if ".layers." in name else each for name, each in tensors.items()}
    weights.fill(empty(LLAMA), named(LLAMA), layers, WHERE)
    assert len(alive) == 27
    assert most <= 2


def test_a_stack_is_written_in_the_memory_that_it_has():
    stack = weights._zeros((3, 64, 64), np.dtype(np.float32), None)
    place = stack.unsafe_buffer_pointer()
    for layer in range(3):
        stack = weights._written(stack, layer, jnp.full((64, 64), layer + 1.0), None)
    assert stack.unsafe_buffer_pointer() == place
    assert np.array_equal(stack[:, 0, 0], [1, 2, 3])


def without(tensors: dict, *names: str) -> dict:
    return {name: each for name, each in tensors.items() if name not in names}


UP, NORM = "model.layers.1.mlp.up_proj.weight", "model.norm.weight"
FAULTS = {
    "missing": (lambda t: without(t, UP), BadFile, f"folder: tensor '{UP}' is missing"),
    "several missing": (
        lambda t: without(t, *(name for name in t if ".1." in name)),
        BadFile,
        "tensors 'model.layers.1.input_layernorm.weight', .*, .* and 6 more are missing",
    ),
    "extra": (
        lambda t: t | {"model.layers.3.mlp.up_proj.weight": t[UP]},
        BadFile,
        f"folder/model.safetensors: tensor '{UP}' is not part of the model that its configuration describes",
    ),
    "misshapen": (
        lambda t: t | {UP: held(UP, np.zeros((32, 15), np.float32))},
        BadFile,
        rf"model.safetensors: tensor '{UP}' has shape \(32, 15\); its configuration asks for \(32, 16\)",
    ),
    "axes": (
        lambda t: t | {NORM: held(NORM, np.zeros((16, 1), np.float32))},
        BadFile,
        r"\(16, 1\); .* asks for \(16,\)",
    ),
    "none": (lambda t: t | {NORM: held(NORM, np.float32(1).reshape(()))}, BadFile, r"shape \(\); .* asks for \(16,\)"),
    "type": (
        lambda t: t | {UP: held(UP, np.zeros((32, 16), np.int8))},
        BadInput,
        f"tensor '{UP}' is of type int8; weights are read from float32, bfloat16",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_named_before_anything_is_read(tensors, fault):
    change, error, message = FAULTS[fault]

    def never() -> np.ndarray:
        raise AssertionError("read before all was compared")

    changed = {name: dataclasses.replace(each, read=never) for name, each in change(tensors).items()}
    with pytest.raises(error, match=message):
        weights.fill(empty(LLAMA), named(LLAMA), changed, WHERE)


def test_fused_tensors_of_another_shape_are_named():
    there = in_memory(weights.stored(Decoder(GPT2), named(GPT2)))
    name = "transformer.h.0.attn.c_attn.weight"
    there[name] = held(name, np.zeros((16, 47), np.float32))
    with pytest.raises(BadFile, match=rf"'{name}' has shape \(16, 47\); its configuration asks for \(16, 48\)"):
        weights.fill(empty(GPT2), named(GPT2), there, WHERE)


def test_harmless_extras_are_left_out_by_name(tensors):
    tied = dataclasses.replace(LLAMA, tied=True)
    family = families.FAMILIES["llama"]
    more = tensors | {"model.layers.0.self_attn.rotary_emb.inv_freq": held("x", np.zeros(2, np.float32))}
    decoder = empty(tied)
    weights.fill(decoder, named(tied), more, WHERE, is_extra=lambda name: family.is_extra(name, tied))
    assert np.array_equal(jax.device_get(decoder.head()), tensors["model.embed_tokens.weight"].read())
