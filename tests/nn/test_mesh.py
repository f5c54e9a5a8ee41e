"""The mesh: which axis lies where, and the same numbers on one device and on eight."""

import types
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec as P

from lleval_jax import lm
from lleval_jax.errors import BadInput
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.mesh import mesh, place, spec
from lleval_jax.lm.tokens import Tokens

ROUNDING = 64 * np.finfo(np.float32).eps  # sums of up to 64 numbers in another order, relative to the largest logit


def test_a_mesh_takes_the_first_devices_and_has_all_three_axes() -> None:
    found = mesh(2, 1, 2)
    assert dict(found.shape) == {"data": 2, "fsdp": 1, "tensor": 2}
    assert list(found.devices.flat) == jax.devices()[:4]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((4, 2, 2), r"mesh: data=4 x fsdp=2 x tensor=2 needs 16 devices; there are 8 \(cpu\)"),
        ((0, 1, 1), r"mesh: data is 0; it must be a whole number of 1 or more"),
        ((1, 1, 1.5), r"mesh: tensor is 1.5; it must be a whole number"),
    ],
)
def test_a_mesh_that_cannot_be_says_why(sizes: tuple, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        mesh(*sizes)


@pytest.mark.parametrize(
    ("names", "shape", "sizes", "found"),
    [
        (("layers", "embed", "mlp"), (2, 32, 64), (1, 4, 2), P(None, "fsdp", "tensor")),
        (("layers", "embed", "mlp"), (2, 30, 64), (1, 4, 2), P(None, None, "tensor")),  # 4 does not divide 30
        (("layers", "embed", "mlp"), (2, 32, 64), (8, 1, 1), P(None, None, None)),  # data holds no part of a weight
        (("embed", "embed"), (32, 32), (1, 8, 1), P("fsdp", None)),  # an axis of the mesh shares out one axis
        (("rows", None, None), (8, 5, 32), (2, 2, 2), P(("data", "fsdp"), None, None)),
        (("rows", None, None), (6, 5, 32), (2, 4, 1), P("data", None, None)),  # 8 does not divide 6, 2 does
        (("rows", None), (3, 8), (2, 4, 1), P(None, None)),
    ],
)
def test_an_axis_is_shared_out_by_what_divides_it(names: tuple, shape: tuple, sizes: tuple, found: P) -> None:
    assert spec(names, shape, mesh(*sizes)) == found


def test_no_head_is_cut_in_two() -> None:
    on = mesh(tensor=4)
    assert spec(("embed", "heads"), (96, 9 * 64), on, {"heads": 9}) == P(None, None)
    assert spec(("embed", "heads"), (96, 8 * 64), on, {"heads": 8}) == P(None, "tensor")


def test_an_axis_without_a_rule_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"the axis 'heds' is not known; .*did you mean 'heads'"):
        spec(("heds",), (8,), mesh())
    with pytest.raises(BadInput, match=r"shape \(8, 8\) has axes named \('heads',\)"):
        spec(("heads",), (8, 8), mesh())


SHAPES = {  # what a mesh of eight divides, and what it does not
    "llama": Config(vocab=64, layers=2, width=32, heads=8, kv_heads=8, head_dim=8, hidden=64, context=64),
    "shared heads, tied, odd": Config(
        vocab=51, layers=2, width=36, heads=6, kv_heads=2, head_dim=4, hidden=40, context=64, tied=True, windows=(3, 0)
    ),
}
TOKENS = np.random.default_rng(0).integers(0, 51, (8, 12)).astype(np.int32)
TEXTS = ["".join(chr(ord("0") + number) for number in row) for row in TOKENS]
MESHES = ((8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2))


PARTS = {  # in how many parts embedding, attention and MLP lie on eight devices
    "llama": {(8, 1, 1): (1, 1, 1), (1, 8, 1): (8, 8, 8), (1, 1, 8): (8, 8, 8), (2, 2, 2): (4, 4, 4)},
    "shared heads, tied, odd": {(8, 1, 1): (1, 1, 1), (1, 8, 1): (1, 1, 1), (1, 1, 8): (1, 1, 8), (2, 2, 2): (2, 4, 4)},
}


def parts(decoder: Decoder) -> tuple[int, ...]:
    """In how many parts its embedding, attention and MLP lie."""
    block = decoder.blocks
    weights = decoder.embedding.weight, block.attention.key.weight, block.attention.output.weight, block.mlp.up.weight
    embedding, key, output, up = (leaf[...].size // leaf[...].addressable_shards[0].data.size for leaf in weights)
    assert key == output
    return embedding, key, up


def loud(config: Config) -> Decoder:
    """A random decoder with weights so large that every part shows in its logits."""
    made, draw = Decoder(config), np.random.default_rng(3)
    state = nnx.state(made, nnx.Param)
    nnx.update(
        made,
        jax.tree.map(lambda x: jax.device_put(np.asarray(x) + 0.2 * draw.normal(size=x.shape).astype("f4")), state),
    )
    return made


@pytest.fixture(scope="module", params=SHAPES)
def one(request: pytest.FixtureRequest) -> tuple[str, Decoder, np.ndarray]:
    """A shape, its decoder on one device, and the logits."""
    decoder = loud(SHAPES[request.param])
    return request.param, decoder, np.asarray(decoder(TOKENS))


@pytest.mark.parametrize("sizes", MESHES, ids=str)
def test_eight_devices_give_the_logits_of_one(one: tuple[str, Decoder, np.ndarray], sizes: tuple) -> None:
    name, decoder, logits = one
    spread = nnx.clone(decoder)
    place(spread, mesh(*sizes))
    assert parts(spread) == PARTS[name][sizes]
    np.testing.assert_allclose(spread(TOKENS), logits, atol=ROUNDING * np.abs(logits).max())


class Letters:
    """A token a character, from "0" on."""

    size, controls = 51, {}

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        return [[ord(letter) - ord("0") for letter in text] for text in texts]

    def decode(self, ids: Iterable[int], special: bool) -> str:
        return "".join(chr(ord("0") + number) for number in ids)


def language_model(decoder: Decoder) -> Any:
    """What scoring and writing read of a `LanguageModel`."""
    tokens: Any = Tokens(codec=Letters(), name="toy", bos=None, eos=(), pad=0)  # type: ignore[arg-type]
    return types.SimpleNamespace(name="toy", decoder=decoder, config=decoder.config, mesh=decoder.mesh, tokens=tokens)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", MESHES, ids=str)
def test_eight_devices_score_and_write_as_one_does(one: tuple[str, Decoder, np.ndarray], sizes: tuple) -> None:
    _, decoder, logits = one
    spread = nnx.clone(decoder)
    place(spread, mesh(*sizes))
    prompts, answers = [text[:7] for text in TEXTS], [text[7:] for text in TEXTS]
    alone, shared = (lm.score(language_model(each), prompts, answers) for each in (decoder, spread))
    np.testing.assert_allclose(shared.logprobs, alone.logprobs, atol=2 * ROUNDING * np.abs(logits).max())
    written = [lm.generate(language_model(each), prompts, limit=5) for each in (decoder, spread)]
    assert [each.tokens for each in written[0]] == [each.tokens for each in written[1]]
