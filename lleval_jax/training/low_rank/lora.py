"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685) of which both factors learn, or one (Zhu et al. 2024).

`attach` puts factors next to the linear layers of any `nnx.Module` whose names match; `learned` says which variables an
optimiser may touch. Where A is fixed, the backward pass needs A x only, `rank` numbers a token, and not the layer's
input: nothing else is asked of autodiff than not to differentiate A.
"""

import dataclasses
import fnmatch
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from lleval_jax.errors import BadInput, require, require_known
from lleval_jax.lm.layers import Linear, product
from lleval_jax.training.low_rank import factors
from lleval_jax.training.low_rank.factors import Kind, Learn
from lleval_jax.types import Array

Path = tuple[Any, ...]
Model = TypeVar("Model", bound=nnx.Module)


class FactorA(nnx.LoRAParam):
    """The factor next to the input, "rank in"; stacked layers in front."""


class FactorB(nnx.LoRAParam):
    """The factor next to the output, "out rank"; stacked layers in front."""


@dataclasses.dataclass(frozen=True)
class Lora:
    """What adapters to add.

    Attributes:
        rank: r, columns of B and rows of A.
        alpha: the update is (alpha / rank) B A; None: 2 rank, as the paper has it.
        targets: patterns of the last parts of layers' paths: "query", "attention.*", "mlp.down".
        learn: "both", or "B" or "A" alone.
        draw: how the factor that does not begin at zero is drawn: see `factors.draw`.
        zero: which factor begins at zero; "A" needs `learn` other than "B".
        shared: one A for all layers with inputs of one size.
        stabilised: alpha / sqrt(rank) in place of alpha / rank (rsLoRA, arXiv:2312.03732).
        dropout: share of the input that each training step leaves out.
        seed: of all that is drawn.
    """

    rank: int = 8
    alpha: float | None = None
    targets: tuple[str, ...] = ("query", "key", "value")
    learn: Learn = "both"
    draw: Kind = "orthonormal"
    zero: Literal["B", "A"] = "B"
    shared: bool = False
    stabilised: bool = False
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.rank > 0, f"the rank is {self.rank}; it must be above 0")
        require_known(self.learn, ("both", "B", "A"), "learn")
        require_known(self.draw, (*factors.DRAWS, "singular"), "draw")
        require_known(self.zero, ("B", "A"), "zero")
        stuck = f"learn is {self.learn!r} and {self.zero} begins at zero"
        require(self.learn in ("both", self.zero), f"{stuck}: the factor that does not learn would stay zero")
        require(0 <= self.dropout < 1, f"dropout is {self.dropout}; it is from 0 to below 1")

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        alpha = 2 * self.rank if self.alpha is None else self.alpha
        return alpha / (math.sqrt(self.rank) if self.stabilised else self.rank)


class Noise(nnx.Variable):
    """The key of a training step's dropout, one for each stacked layer."""


class LowRank(nnx.Module):
    """A linear layer and what is added to it: y = W x + b + scale B A x."""

    def __init__(self, base: nnx.Module, a: Array, b: Array, lora: Lora) -> None:
        self.base, self.scale, self.dropout = base, lora.scale, lora.dropout
        names = ("layers",) * (a.ndim - 2)
        self.a = FactorA(a, out_sharding=(*names, None, None), eager_sharding=False)
        self.b = FactorB(b, out_sharding=(*names, None, None), eager_sharding=False)
        self.noise: Noise | None = nnx.data(None)

    def __call__(self, x: jax.Array) -> jax.Array:
        """From "... in" to "... out", in the type of x."""
        low = product(self._dropped(x), self.a[...].astype(x.dtype))
        return self.base(x) + self.scale * product(low, self.b[...].astype(x.dtype))  # type: ignore[operator]

    def _dropped(self, x: jax.Array) -> jax.Array:
        return x if not self.dropout or self.noise is None else dropped(x, self.dropout, self.noise[...])


def dropped(x: jax.Array, share: float, key: jax.Array) -> jax.Array:
    """X with a share of its numbers set to zero and the others enlarged, so that the mean stays."""
    kept = jax.random.bernoulli(key, 1 - share, x.shape)
    return jnp.where(kept, x / (1 - share), 0)


def attach(model: Model, lora: Lora) -> Model:
    """The same model with adapters on the layers that match; weights are shared with `model`, not copied.

    Args:
        model: any `nnx.Module` whose linear layers are `lm.layers.Linear` or `nnx.Linear`.
        lora: which layers, and what to add.

    Raises:
        BadInput: a target matches no linear layer, a layer has an adapter already, or the rank exceeds a layer's size.

    Example:
        >>> adapted = attach(decoder, Lora(rank=4, targets=("query", "value"), learn="B"))
        >>> optimizer = nnx.Optimizer(adapted, optax.adamw(1e-4), wrt=learned("B"))
    """
    model = nnx.merge(*nnx.split(model))
    there = [name_of(path) for path, module in nnx.iter_modules(model) if isinstance(module, LowRank)]
    require(not there, f"the model has adapters already: {', '.join(there[:3])}", python="Merge them first.")
    for path, base in matching(model, lora.targets):
        a, b = _drawn(lora, name_of(path), weight_of(base))
        put(model, path, LowRank(base, a, b, lora))
    return model


def merge(model: Model) -> Model:
    """The model without adapters, their updates added to the weights in float32."""
    model = nnx.merge(*nnx.split(model))
    for path, adapter in list(adapters(model)):
        update = adapter.scale * jnp.matmul(
            *(f[...].astype(jnp.float32) for f in (adapter.b, adapter.a)), precision="highest"
        )
        put(model, path, plus(adapter.base, update))
    return model


def detach(model: Model) -> Model:
    """The model without adapters: its weights are those it had before."""
    model = nnx.merge(*nnx.split(model))
    for path, adapter in list(adapters(model)):
        put(model, path, adapter.base)
    return model


def adapters(model: nnx.Module) -> Iterator[tuple[Path, LowRank]]:
    """The adapters of a model and where they are."""
    return ((path, module) for path, module in nnx.iter_modules(model) if isinstance(module, LowRank))


def learned(learn: Learn) -> Any:
    """The filter of the variables that learn, for `nnx.Optimizer(wrt=...)` and `nnx.split`."""
    return {"both": nnx.Any(FactorA, FactorB), "A": FactorA, "B": FactorB}[learn]


def with_noise(model: Model, key: jax.Array) -> Model:
    """The model with fresh keys of dropout, for one training step."""
    model = nnx.merge(*nnx.split(model))
    for number, (_, adapter) in enumerate(adapters(model)):
        if adapter.dropout:
            layers = adapter.a[...].shape[:-2]
            adapter.noise = Noise(jax.random.split(jax.random.fold_in(key, number), layers))
    return model


def matching(model: nnx.Module, targets: Sequence[str]) -> list[tuple[Path, nnx.Module]]:
    """The linear layers whose paths end as one of the patterns says.

    Raises:
        BadInput: a pattern matches none; the message lists the layers that there are.
    """
    linear = [(path, module) for path, module in nnx.iter_modules(model) if isinstance(module, Linear | nnx.Linear)]
    names = [name_of(path) for path, _ in linear]
    for target in targets:
        if not any(_fits(name, target) for name in names):
            short = sorted({".".join(part for part in name.split(".") if not part.isdigit()) for name in names})
            raise BadInput(f"no linear layer is called {target!r}; there are {', '.join(short) or 'none'}")
    return [each for each, name in zip(linear, names, strict=True) if any(_fits(name, target) for target in targets)]


def put(model: Any, path: Path, module: nnx.Module) -> None:
    """Another module in the place of the one at a path."""
    *above, last = path
    for part in above:
        model = model[part] if isinstance(part, int) else getattr(model, part)
    if isinstance(last, int):
        model[last] = module
    else:
        setattr(model, last, module)


def name_of(path: Path) -> str:
    """The path as a word: "blocks.attention.query"."""
    return ".".join(map(str, path))


def weight_of(linear: nnx.Module) -> jax.Array:
    """The weight as "out in", stacked layers in front."""
    return linear.weight[...] if isinstance(linear, Linear) else jnp.swapaxes(linear.kernel[...], -1, -2)  # type: ignore[union-attr]


def _fits(name: str, target: str) -> bool:
    return fnmatch.fnmatchcase(f".{name}", f"*.{target}")


def _drawn(lora: Lora, name: str, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A and B of a weight, one for each stacked layer."""
    key = jax.random.key(lora.seed, impl="threefry2x32")
    layers, (out, inner) = weight.shape[:-2], weight.shape[-2:]
    rank = (*layers, lora.rank)
    if lora.zero == "A":
        return jnp.zeros((*rank, inner)), jnp.swapaxes(_rows(lora, key, name, jnp.swapaxes(weight, -1, -2)), -1, -2)
    return _rows(lora, key, name, weight), jnp.zeros((*layers, out, lora.rank))


def _rows(lora: Lora, key: jax.Array, name: str, weight: jax.Array) -> jax.Array:
    """(layers, rank, in) the factor that is drawn; shared: one for all inputs of a size."""
    layers = weight.shape[:-2]
    label = f"in {weight.shape[-1]}" if lora.shared else name
    own = jax.random.fold_in(key, zlib.crc32(label.encode()))
    if lora.shared:
        one = factors.draw(lora.draw, own, lora.rank, weight[(0,) * len(layers)])
        return jnp.broadcast_to(one, (*layers, *one.shape))
    if not layers:
        return factors.draw(lora.draw, own, lora.rank, weight)
    return jax.vmap(lambda k, w: factors.draw(lora.draw, k, lora.rank, w))(jax.random.split(own, layers[0]), weight)


def plus(linear: nnx.Module, update: jax.Array) -> nnx.Module:
    """The layer with `update`, "out in", added to its weight."""
    other = nnx.merge(*nnx.split(linear))
    weight = (weight_of(other).astype(jnp.float32) + update).astype(weight_of(other).dtype)
    if isinstance(other, Linear):  # a variable of its own: the other model keeps what it has
        other.weight = other.weight.replace(weight)  # type: ignore[assignment]
    else:
        other.kernel = other.kernel.replace(jnp.swapaxes(weight, -1, -2))  # type: ignore[attr-defined]
    return other
