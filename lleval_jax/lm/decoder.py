"""One decoder for all families: a `Config` says which, `families` how files name its weights.

The forward pass is one `lax.scan` over weights that are stacked by layer, which compiles in the time of one layer; or
unrolled over weights of their own (`Decoder.unrolled`), which is faster where each token reads all the weights once, as
in decoding on a CPU: there a scan copies each layer's slice before it multiplies.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from lleval_jax.core.precision import full_precision
from lleval_jax.errors import require_known
from lleval_jax.lm.cache import EARLIER, Cache, Places, take_in, write
from lleval_jax.lm.config import Config
from lleval_jax.lm.layers import Block, Dtype, Embedding, Norm, soft_cap
from lleval_jax.lm.mesh import CACHE, STREAM, constrain, looked_up
from lleval_jax.lm.rotary import Angles, angles

Recompute: TypeAlias = Literal["nothing", "products", "everything"]
POLICIES: dict[str, Callable[..., bool] | None] = {
    "everything": None,
    "products": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


class View(NamedTuple):
    """What layers of one kind share: who looks where ("rows tokens places"), and how positions are rotated."""

    mask: jax.Array
    turned: Angles | None


class Decoder(nnx.Module):
    """A causal language model.

    Args:
        config: Its shape.
        rngs: For random weights; `nnx.Rngs(0)` if not given.
        dtype: Of the parameters.
        compute: Of products and what passes between layers; None is `dtype`. Norms, softmax, rotary angles and logits
            are computed in float32 whatever it is.
        unrolled: Weights of each layer on their own, without a scan.
        recompute: What a gradient computes again instead of keeping it: "nothing", all but "products" with weights is
            computed again with "products", and all but each layer's input with "everything".
        mesh: The devices that its work is shared out to (`mesh.place` lays it out there); None for one device.

    Example:
        >>> config = Config(vocab=32, layers=2, width=16, heads=4, kv_heads=2, head_dim=4, hidden=32, context=64)
        >>> decoder = Decoder(config)
        >>> decoder(jnp.array([[1, 2, 3]])).shape
        (1, 3, 32)
    """

    def __init__(
        self,
        config: Config,
        *,
        rngs: nnx.Rngs | None = None,
        dtype: Dtype = jnp.float32,
        compute: Dtype | None = None,
        unrolled: bool = False,
        recompute: Recompute = "nothing",
        mesh: Mesh | None = None,
    ) -> None:
        require_known(recompute, ("nothing", *POLICIES), "recompute")
        rngs = rngs or nnx.Rngs(0)
        common: dict[str, Any] = {"rngs": rngs, "dtype": dtype}
        self.config, self.recompute, self.mesh = config, recompute, mesh
        self.compute = jnp.dtype(dtype if compute is None else compute)
        self.embedding = Embedding(config.vocab, config.width, **common)
        learned = config.learned_positions
        self.position_embedding = Embedding(config.context, config.width, axis=None, **common) if learned else None
        if unrolled:
            self.blocks = nnx.List([Block(config, **common) for _ in range(config.layers)])
        else:
            self.blocks = Block(config, stack=(config.layers,), **common)
        kind = {"kind": config.norm, "eps": config.norm_eps, "offset": config.norm_offset}
        self.norm = Norm(config.width, **kind, **common)
        self.unembedding = None if config.tied else Embedding(config.vocab, config.width, **common)

    @full_precision
    def hidden(
        self, tokens: jax.Array, positions: jax.Array | None = None, segments: jax.Array | None = None
    ) -> jax.Array:
        """What the head reads, "rows tokens width": each token after all layers and the last norm.

        Args:
            tokens: "rows tokens", int32.
            positions: "rows tokens", int32. None: counted from 0 within each segment.
            segments: "rows tokens", int32: tokens of one number, which lie together, see each other and no others;
                0 is padding. None: each row is one text.
        """
        if positions is None:
            positions = within(segments, tokens)
        order = np.arange(tokens.shape[1])
        mask = jnp.asarray(order[:, None] >= order)[None]
        if segments is not None:
            mask = mask & (segments[:, :, None] == segments[:, None]) & (segments != 0)[:, :, None]
        views = self._views(mask, positions, positions)
        return self._through(self._embed(tokens, positions), views, None, None)[0]

    @full_precision
    def extend(
        self,
        tokens: jax.Array,
        cache: Cache,
        positions: jax.Array | None = None,
        segments: jax.Array | None = None,
    ) -> tuple[jax.Array, Cache]:
        """As `hidden`, for texts that go on: tokens see the cache too, and are appended to it.

        Args:
            tokens: "rows tokens", int32.
            cache: What was read before (`Decoder.cache` makes an empty one); all segments see all of it.
            positions: As for `hidden`. None: they go on from the number of tokens that the row holds.
            segments: As for `hidden`. Padding takes no room in the cache.

        Returns:
            "rows tokens width", and the cache with the tokens.
        """
        if positions is None:
            positions = within(segments, tokens) + cache.filled[:, None]
        if segments is None:
            segments = jnp.ones_like(tokens)
        positions = jnp.broadcast_to(positions, tokens.shape)
        after, places = take_in(cache, positions, segments)
        owners = places.owners[:, None]
        mask = (owners == EARLIER) | (owners == segments[:, :, None])
        mask &= (jnp.arange(cache.length) <= places.slots[:, :, None]) & (segments != 0)[:, :, None]
        views = self._views(mask, positions, after.positions)
        return self._through(self._embed(tokens, positions), views, after, places)

    @full_precision
    def logits(self, hidden: jax.Array) -> jax.Array:
        """Of every token of the vocabulary, "... vocab", float32: head and soft cap."""
        weight = self.head().astype(hidden.dtype)
        logits = jnp.einsum("...d,vd->...v", hidden, weight, preferred_element_type=jnp.float32)
        return soft_cap(logits, self.config.final_cap)

    def head(self) -> jax.Array:
        """Weights of the head, "vocab width": for scores that never form all logits. The cap is `config.final_cap`."""
        return (self.embedding if self.unembedding is None else self.unembedding).weight[...]

    def cache(self, rows: int, length: int) -> Cache:
        """An empty cache of the form and type that this decoder reads fastest."""
        by_layer = isinstance(self.blocks, nnx.List)
        return self._laid(Cache.empty(self.config, rows, length, self.compute, by_layer=by_layer))

    def __call__(
        self, tokens: jax.Array, positions: jax.Array | None = None, segments: jax.Array | None = None
    ) -> jax.Array:
        """Logits of the next token after each, "rows tokens vocab", float32. Compiled; arguments as for `hidden`."""
        return _logits(*nnx.split(self), tokens, positions, segments)

    def unrolled(self) -> "Decoder":
        """The same model with weights of their own for each layer: copies of the stacked ones."""
        if isinstance(self.blocks, nnx.List):
            return self
        shape, state = nnx.split(self.blocks)
        other = nnx.merge(*nnx.split(self))
        other.blocks = nnx.List([nnx.merge(shape, layer_of(state, i)) for i in range(self.config.layers)])
        return other

    def _embed(self, tokens: jax.Array, positions: jax.Array) -> jax.Array:
        scale = jnp.asarray(self.config.embedding_scale, self.compute)
        x = self.embedding(tokens, self.compute) * scale
        if self.position_embedding is not None:
            x += self.position_embedding(positions, self.compute)
        return looked_up(x, self.mesh)

    def _views(self, mask: jax.Array, positions: jax.Array, places: jax.Array) -> tuple[View, ...]:
        """The view of each distinct kind of layer, in the order of their first layers."""
        views = []
        for window, rotary in dict.fromkeys(self.config.kinds):
            near = mask & (positions[:, :, None] - places[:, None] < window) if window else mask
            turned = None if rotary is None else angles(rotary, self.config.head_dim, positions)
            views.append(View(near, turned))
        return tuple(views)

    def _through(
        self, x: jax.Array, views: tuple[View, ...], cache: Cache | None, places: Places | None
    ) -> tuple[jax.Array, Any]:
        run = self._unrolled if isinstance(self.blocks, nnx.List) else self._scanned
        x, stored = run(x, views, None if cache is None else (cache.keys, cache.values), places)
        return self.norm(x), None if cache is None else self._laid(cache._replace(keys=stored[0], values=stored[1]))

    def _laid(self, cache: Cache) -> Cache:
        """A cache, shared out over the mesh as the rows and heads are."""
        return jax.tree.map(lambda part: constrain(part, CACHE[part.ndim], self.mesh), cache)

    def _scanned(
        self, x: jax.Array, views: tuple[View, ...], stored: Any, places: Places | None
    ) -> tuple[jax.Array, Any]:
        shape, state = nnx.split(self.blocks)
        kinds, scales = self._kinds(), self.config.scales
        alike = len(set(scales)) == 1
        if len(views) > 1:
            masks = jnp.broadcast_shapes(*(view.mask.shape for view in views))
            views = tuple(view._replace(mask=jnp.broadcast_to(view.mask, masks)) for view in views)
        table = jax.tree.map(lambda *a: jnp.stack(a), *views)

        def layer(carry: tuple, one: tuple) -> tuple[tuple, None]:
            x, stored = carry
            weights, index, kind, scale = one
            view = views[0] if len(views) == 1 else jax.tree.map(lambda a: a[kind], table)
            keep = None if places is None else functools.partial(write, stored, places=places, layer=index)
            block, own = nnx.merge(shape, weights), scales[0] if alike else scale
            x, after = block(x, view.mask, view.turned, own, keep, self._single)
            return (constrain(x, STREAM, self.mesh), after), None

        if self.recompute != "nothing":
            layer = jax.checkpoint(layer, policy=POLICIES[self.recompute], prevent_cse=False)
        inputs = (state, np.arange(self.config.layers), np.array(kinds), np.array(scales, np.float32))
        return jax.lax.scan(layer, (x, stored), inputs)[0]

    def _unrolled(
        self, x: jax.Array, views: tuple[View, ...], stored: Any, places: Places | None
    ) -> tuple[jax.Array, Any]:
        def layer(
            shape: Any, weights: Any, x: jax.Array, view: View, scale: float, stored: Any
        ) -> tuple[jax.Array, Any]:
            keep = None if places is None else functools.partial(write, stored, places=places)
            return nnx.merge(shape, weights)(x, view.mask, view.turned, scale, keep, self._single)

        if self.recompute != "nothing":
            layer = jax.checkpoint(layer, policy=POLICIES[self.recompute], static_argnums=0)
        after, blocks = [], list(self.blocks)  # type: ignore[call-overload]  # a list here
        for i, (block, kind, scale) in enumerate(zip(blocks, self._kinds(), self.config.scales, strict=True)):
            own = None if stored is None else (stored[0][i], stored[1][i])
            x, kept = layer(*nnx.split(block), x, views[kind], scale, own)
            x = constrain(x, STREAM, self.mesh)
            after.append(kept)
        return x, None if stored is None else tuple(zip(*after, strict=True))

    @property
    def _single(self) -> bool:
        """Whether all lies on one device."""
        return self.mesh is None or self.mesh.size == 1

    def _kinds(self) -> list[int]:
        distinct = list(dict.fromkeys(self.config.kinds))
        return [distinct.index(kind) for kind in self.config.kinds]


def within(segments: jax.Array | None, tokens: jax.Array) -> jax.Array:
    """Positions counted from 0 where each segment begins, "rows tokens" or "1 tokens", int32."""
    order = jnp.arange(tokens.shape[1], dtype=jnp.int32)[None]
    if segments is None:
        return order
    begins = jnp.concatenate((jnp.ones_like(segments[:, :1], bool), segments[:, 1:] != segments[:, :-1]), 1)
    return order - jax.lax.cummax(jnp.where(begins, order, 0), 1)


def layer_of(state: nnx.State, layer: int) -> nnx.State:
    """One layer of stacked weights, the name of the stacked axis gone."""

    def slice_of(weight: nnx.Variable) -> nnx.Variable:
        axes = weight.get_metadata("axes", None)
        return weight.replace(weight[layer], **({"axes": axes[1:]} if axes else {}))

    return jax.tree.map(slice_of, state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))


@jax.jit(static_argnums=0)
def _logits(shape: Any, state: Any, tokens: jax.Array, positions: jax.Array | None, segments: jax.Array | None):  # noqa: ANN202
    decoder = nnx.merge(shape, state)
    return decoder.logits(decoder.hidden(tokens, positions, segments))
