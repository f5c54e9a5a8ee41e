"""Products in bfloat16: what stays float32, and how far logits are from those in float32, also on eight devices."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.mesh import mesh, place

CONFIG = Config(vocab=64, layers=2, width=32, heads=8, kv_heads=2, head_dim=4, hidden=64, context=64, qk_norm=True)
CAPPED = Config(**{**vars(CONFIG), "attention_cap": 20.0, "final_cap": 30.0, "norm": "layer"})
TOKENS = np.random.default_rng(0).integers(0, 64, (8, 12)).astype(np.int32)
ROUNDINGS = 12 * CONFIG.layers + 3  # of a layer: its norms, products, activation and sums; of embedding, norm and head
UNIT = 2.0**-9  # half a step of bfloat16, relative: 8 bits


def operations(jaxpr: Any) -> Iterator[Any]:
    """All operations of a program, those of inner ones too."""
    for each in jaxpr.eqns:
        yield each
        for inner in jax.tree.leaves(list(each.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            found = getattr(inner, "jaxpr", inner)
            if hasattr(found, "eqns"):
                yield from operations(found)


@pytest.mark.parametrize("config", [CONFIG, CAPPED], ids=["rms", "layer norm, caps"])
def test_norms_softmax_angles_and_logits_are_float32(config: Config) -> None:
    graph, state = nnx.split(nnx.eval_shape(lambda: Decoder(config, compute=jnp.bfloat16)))

    def run(state: Any, tokens: Any) -> jax.Array:
        decoder = nnx.merge(graph, state)
        return decoder.logits(decoder.hidden(tokens))

    found = list(operations(jax.make_jaxpr(run)(state, TOKENS).jaxpr))
    exact = [each for each in found if each.primitive.name in ("exp", "rsqrt", "sin", "cos", "tanh", "reduce_sum")]
    assert {each.primitive.name for each in exact} >= {"exp", "rsqrt", "sin", "cos"} | (
        {"tanh"} if config.final_cap else set()
    )
    assert {str(each.invars[0].aval.dtype) for each in exact} == {"float32"}
    products = [each for each in found if each.primitive.name == "dot_general"]
    assert {str(side.aval.dtype) for each in products for side in each.invars} == {"bfloat16"}
    assert str(products[-1].outvars[0].aval.dtype) == "float32"  # the logits


@pytest.mark.parametrize("sizes", [(1, 1, 1), pytest.param((2, 2, 2), marks=pytest.mark.slow)], ids=str)
def test_logits_in_bfloat16_are_near_those_in_float32(sizes: tuple) -> None:
    """Each rounding moves the stream by at most UNIT of its length, in directions of their own."""
    exact, rounded = Decoder(CONFIG), Decoder(CONFIG, compute=jnp.bfloat16)
    place(rounded, mesh(*sizes))
    graph, state = nnx.split(exact)
    hidden = np.asarray(jax.jit(lambda state: nnx.merge(graph, state).hidden(TOKENS))(state))
    lengths = np.linalg.norm(hidden, axis=-1)[..., None] * np.linalg.norm(np.asarray(exact.head()), axis=-1)
    apart = np.abs(np.asarray(rounded(TOKENS)) - np.asarray(exact(TOKENS)))
    assert apart.max() > 0
    assert (apart <= ROUNDINGS**0.5 * UNIT * lengths).all()
