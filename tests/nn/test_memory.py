"""The memory of a training step: estimated from shapes, it is what the compiler makes of the program."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax.sharding import Mesh

from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.mesh import abstract, mesh
from lleval_jax.training import losses
from lleval_jax.training.cost import memory
from lleval_jax.training.cost.live import live
from lleval_jax.training.cost.memory import Shape
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import step
from lleval_jax.training.run.batches import Packed

SMALL: dict[str, int] = {"layers": 4, "width": 256, "heads": 8, "kv_heads": 8, "head_dim": 32, "hidden": 768}
CONFIG = Config(vocab=1024, context=512, tied=True, **SMALL)  # type: ignore[arg-type]
BATCH = Shape(8, 256, 1024, (8, 8))
ALL = Lora(rank=4, targets=("attention.*", "mlp.*"))


def compiled(adapters: Lora | None, recompute: Any, on: Mesh | None) -> int:
    """Bytes of a device: what goes into the program, comes out and passes, and the optimiser's state."""

    def made() -> nnx.Module:
        decoder = Decoder(CONFIG, recompute=recompute, mesh=on)
        return decoder if adapters is None else lora.attach(decoder, adapters)

    def shaped(*sizes: int) -> Any:
        return jax.ShapeDtypeStruct(sizes, jnp.int32)

    model = nnx.eval_shape(made)
    if on is not None:
        nnx.update(model, abstract(model, on))
    shape, learned, fixed = nnx.split(model, nnx.Param if adapters is None else lora.learned(adapters.learn), ...)
    rows, places = shaped(BATCH.rows, BATCH.length), shaped(BATCH.scored)
    half: Any = jax.ShapeDtypeStruct((8,), jnp.float32)
    packed = Packed(rows, rows, rows, places, places)
    program = step.lower_whole(losses.AOT(), shape, learned, fixed, packed, losses.Sides(half, half)).compile()
    found: Any = program.memory_analysis()
    return found.argument_size_in_bytes + 3 * found.output_size_in_bytes + found.temp_size_in_bytes


SMALL = pytest.mark.xfail(
    reason="over fsdp the estimate of so small a model is a fifth too low; of one of 1B it is near (bench/training)",
    strict=True,
)


@pytest.mark.parametrize(
    ("adapters", "recompute", "sizes"),
    [
        (None, "nothing", None),
        pytest.param(ALL, "nothing", None, marks=pytest.mark.slow),
        pytest.param(None, "everything", None, marks=pytest.mark.slow),
        pytest.param(None, "nothing", (1, 1, 8), marks=pytest.mark.slow),
        pytest.param(None, "nothing", (1, 8, 1), marks=[pytest.mark.slow, SMALL]),
    ],
    ids=["all weights", "LoRA", "recomputed", "tensor 8", "fsdp 8"],
)
def test_the_estimate_is_near_what_is_compiled(adapters: Lora | None, recompute: Any, sizes: Any) -> None:
    on = None if sizes is None else mesh(*sizes)
    decoder = nnx.eval_shape(lambda: Decoder(CONFIG, recompute=recompute))
    found = memory.estimate(decoder, adapters, BATCH, on=on)
    assert found.total == pytest.approx(compiled(adapters, recompute, on), rel=0.1)


def test_parameters_and_state_are_counted_as_they_lie() -> None:
    decoder = nnx.eval_shape(lambda: Decoder(CONFIG))
    whole, parted = (memory.estimate(decoder, None, BATCH, on=on) for on in (None, mesh(fsdp=8)))
    numbers = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(decoder)))
    assert whole.weights == 4 * numbers
    assert whole.state == 3 * whole.weights
    assert whole.weights / 8 < parted.weights < 1.01 * whole.weights / 8  # but for the norms


def test_what_a_frozen_factor_spares_is_seen() -> None:
    """With A fixed the backward pass needs no layer's input: Zhu et al. 2024, section 4."""
    decoder = nnx.eval_shape(lambda: Decoder(CONFIG))
    both, half = (
        memory.estimate(decoder, Lora(rank=4, targets=ALL.targets, learn=learn), BATCH) for learn in ("both", "B")
    )
    assert half.state < both.state
    assert half.passing < 0.95 * both.passing


def test_a_value_lives_from_where_it_is_made_to_its_last_use() -> None:
    x = jnp.ones((64, 64))
    size = x.nbytes

    def chain(x: jax.Array) -> jax.Array:
        a = x @ x
        b = a @ a
        return b @ b  # a is gone, the result does not count

    def both(x: jax.Array) -> jax.Array:
        a = x @ x
        b = a @ x
        return (b @ a) @ (a @ b)

    def fused(x: jax.Array) -> jax.Array:
        return jnp.exp(x * 2 + 1) @ x

    assert live(chain, x) == 2 * size
    assert live(both, x) == 4 * size
    assert live(fused, x) == size


def test_a_loop_holds_what_it_collects_and_what_a_turn_needs() -> None:
    x = jnp.ones((64, 64))

    def looped(x: jax.Array) -> jax.Array:
        def turn(carry: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            a = carry @ x
            return jnp.sin(a @ x), a

        last, every = jax.lax.scan(turn, x, None, length=5)
        return last + every.sum(0)

    assert 5 * x.nbytes <= live(looped, x) <= 8 * x.nbytes
