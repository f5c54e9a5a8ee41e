"""What a device holds while it trains a model of Llama 3.2 1B's shape on eight: the compiled program, and the estimate.

Nothing is allocated. The program is compiled for shapes alone, and what the compiler says of it is read; the estimate
is that of `lleval train --dry-run`, made from shapes without compiling anything. All numbers are float32.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.lm import sharding as shapes
from lleval_jax.lm import Config, Decoder
from lleval_jax.lm.mesh import abstract, mesh, spec
from lleval_jax.training import losses
from lleval_jax.training.cost import memory
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import step
from lleval_jax.training.run.batches import Packed

MESHES = {"fsdp 8": (1, 8, 1), "tensor 8": (1, 1, 8), "2 x 2 x 2": (2, 2, 2)}
ADAPTERS = {
    "all weights": None,
    "LoRA": Lora(rank=16, targets=("attention.*", "mlp.*")),
    "B only": Lora(rank=16, targets=("attention.*", "mlp.*"), learn="B"),
}


@dataclasses.dataclass(frozen=True)
class Settings(shapes.Settings):
    """What is compiled, of the shape that `lm.sharding` has too."""

    answers: int = setting(32, "answers in a batch, half of them chosen")
    mesh: tuple[str, ...] = setting(tuple(MESHES), "meshes")
    adapter: tuple[str, ...] = setting(tuple(ADAPTERS), "what learns")
    recompute: tuple[str, ...] = setting(("nothing", "everything"), "what the backward pass computes again")


def study(settings: Settings, record: Record) -> None:
    """All meshes, adapters and ways to recompute."""
    jax.config.update("jax_num_cpu_devices", 8)  # before JAX starts
    config, rows = shapes.shape(settings), list(record.content.get("rows", []))
    for name in settings.mesh:
        for recompute in settings.recompute:
            for adapter in settings.adapter:
                began = time.perf_counter()
                key = {"mesh": name, "adapter": adapter, "recompute": recompute}
                what = config, mesh(*MESHES[name]), ADAPTERS[adapter], recompute, settings
                found = compiled(*what) | {"estimate": estimated(*what)}
                rows = [row for row in rows if {k: row[k] for k in key} != key]
                rows.append(key | found | {"compiling": round(time.perf_counter() - began, 1)})
                print(rows[-1], flush=True)
                record.keep({"settings": dataclasses.asdict(settings), "rows": rows})


def compiled(config: Config, on: Mesh, adapters: Lora | None, recompute: Any, settings: Settings) -> dict[str, int]:
    """Bytes of one device, from the compiled program."""
    shape, learned, fixed = parts(config, on, adapters, recompute)
    batch = batch_of(on, settings)
    half: Any = jax.ShapeDtypeStruct((settings.answers // 2,), jnp.float32)
    loss = losses.AOT()
    program = step.lower_whole(loss, shape, learned, fixed, batch, losses.Sides(half, half)).compile()
    told: Any = program.memory_analysis()
    return {
        "weights": held(learned) + held(fixed),
        "learned": held(learned),
        "taken": told.argument_size_in_bytes,
        "gradient": told.output_size_in_bytes,
        "passing": told.temp_size_in_bytes,
    }


def estimated(
    config: Config, on: Mesh, adapters: Lora | None, recompute: Any, settings: Settings
) -> dict[str, int | float]:
    """Bytes of one device, from shapes; and the seconds that this took."""
    began = time.perf_counter()
    decoder = nnx.eval_shape(lambda: Decoder(config, recompute=recompute))
    half = settings.answers // 2
    shape = memory.Shape(settings.rows, settings.tokens, settings.rows * settings.tokens // 2, (half, half))
    found = memory.estimate(decoder, adapters, shape, on=on)
    return found._asdict() | {"seconds": round(time.perf_counter() - began, 1)}


def parts(config: Config, on: Mesh, adapters: Lora | None, recompute: Any) -> tuple[Any, Any, Any]:
    """A model's structure, what learns and what does not, without a byte."""

    def made() -> nnx.Module:
        decoder = Decoder(config, recompute=recompute, mesh=on)
        return decoder if adapters is None else lora.attach(decoder, adapters)

    model = nnx.eval_shape(made)
    learns = nnx.Param if adapters is None else lora.learned(adapters.learn)
    nnx.update(model, abstract(model, on))
    shape, learned, fixed = nnx.split(model, learns, ...)
    return shape, learned, fixed


def batch_of(on: Mesh, settings: Settings) -> Packed:
    """A micro-batch that is full, half of whose tokens are scored."""
    tokens = (settings.rows, settings.tokens)
    places = (settings.rows * settings.tokens // 2,)
    return Packed(*(_laid(on, tokens),) * 3, *(_laid(on, places),) * 2)


def _laid(on: Mesh, shape: tuple[int, ...]) -> Any:
    names = ("rows", None) if len(shape) == 2 else (None,)
    return jax.ShapeDtypeStruct(shape, jnp.int32, sharding=NamedSharding(on, spec(names, shape, on)))


def held(state: Any) -> int:
    """Bytes of one device."""
    leaves = jax.tree.leaves(state)
    return sum(int(jnp.prod(jnp.array(x.sharding.shard_shape(x.shape)))) * x.dtype.itemsize for x in leaves)
