"""Everything that shapes a decoder: plain numbers and strings, frozen and hashable, so that it keys a compilation."""

from dataclasses import dataclass
from typing import Literal

from lleval_jax.errors import require, require_known

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "relu")
SCALINGS = ("linear", "dynamic", "yarn", "llama3")


@dataclass(frozen=True)
class Scaling:
    """How rotary frequencies are stretched past the context of the first training; the fields that `kind` reads.

    Attributes:
        kind: "linear" (Kaiokendev 2023), "dynamic" (NTK by length), "yarn" (arXiv 2309.00071) or "llama3".
        factor: How many times longer the texts may be.
        original: Context of the first training, tokens ("dynamic", "yarn", "llama3").
        low, high: Wave lengths above original / low are stretched, below original / high kept ("llama3").
        fast, slow: Rotations within the original context where the ramp begins and ends ("yarn").
        attention: What cosine and sine are multiplied with ("yarn").
        whole: Ends of the ramp are rounded to whole dimensions ("yarn").
    """

    kind: Literal["linear", "dynamic", "yarn", "llama3"]
    factor: float
    original: int = 0
    low: float = 1.0
    high: float = 4.0
    fast: float = 32.0
    slow: float = 1.0
    attention: float = 1.0
    whole: bool = True

    def __post_init__(self) -> None:
        require_known(self.kind, SCALINGS, "rotary scaling")
        require(self.factor > 0, f"the factor of rotary scaling is {self.factor}; it must be above 0")


@dataclass(frozen=True)
class Rotary:
    """Rotary positions (Su et al., arXiv 2104.09864): base, the rotated share of each head, and its stretching."""

    theta: float = 10_000.0
    share: float = 1.0
    scaling: Scaling | None = None


@dataclass(frozen=True)
class Config:
    """The shape of a decoder. A family of models is a setting of these fields; `families` reads them from files.

    Attributes:
        family: Its key in `families.FAMILIES`: how its tensors are named in files.
        vocab, layers, width, hidden, context: Sizes; `hidden` is that of the MLP, `context` in tokens.
        heads, kv_heads, head_dim: Query heads, key and value heads that share them, and the width of each.
        norm, norm_eps, norm_offset: "rms" or "layer"; Gemma multiplies with 1 + w: offset 1.
        activation, gated: Of the MLP: act(gate x) * up x if gated, else act(up x).
        tied: The head is the embedding.
        qkv_bias, output_bias, mlp_bias: Which linear layers add a bias.
        qk_norm, post_norms: Norms of each query and key head; norms after attention and MLP as well as before.
        parallel: Attention and MLP read the same input, and both are added to it.
        rotary, local_rotary: Of all layers, and where it differs of those with a window. None: no rotation.
        learned_positions: A table of positions is added to the embedding.
        windows: Tokens that each layer sees, itself included; 0 is all. (): all layers see all.
        embedding_scale: Multiplies the embedding.
        scale: Of attention's logits; None is head_dim ** -0.5.
        scale_by_layer: Attention's logits of layer i (from 1) are divided by i.
        attention_cap, final_cap: Soft caps c tanh(z / c) of attention's and of the head's logits.
    """

    vocab: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    context: int
    family: str = "llama"
    norm: Literal["rms", "layer"] = "rms"
    norm_eps: float = 1e-6
    norm_offset: float = 0.0
    activation: str = "silu"
    gated: bool = True
    tied: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    post_norms: bool = False
    parallel: bool = False
    rotary: Rotary | None = Rotary()
    local_rotary: Rotary | None = None
    learned_positions: bool = False
    windows: tuple[int, ...] = ()
    embedding_scale: float = 1.0
    scale: float | None = None
    scale_by_layer: bool = False
    attention_cap: float | None = None
    final_cap: float | None = None

    def __post_init__(self) -> None:
        sizes = ("vocab", "layers", "width", "heads", "kv_heads", "head_dim", "hidden", "context")
        for name in sizes:
            size = getattr(self, name)
            require(isinstance(size, int) and size > 0, f"{name} is {size!r}; it must be a whole number above 0")
        groups = f"heads is {self.heads} and kv_heads {self.kv_heads}; the second must divide the first"
        require(self.heads % self.kv_heads == 0, groups)
        require_known(self.activation, ACTIVATIONS, "activation")
        require_known(self.norm, ("rms", "layer"), "norm")
        windows = f"windows has {len(self.windows)} entries; give one for each of {self.layers} layers, or none"
        require(len(self.windows) in (0, self.layers), windows)

    @property
    def kinds(self) -> tuple[tuple[int, Rotary | None], ...]:
        """(window, rotary) of each layer; layers of equal kind share masks and angles."""
        local = self.local_rotary or self.rotary
        return tuple((window, local if window else self.rotary) for window in self.windows or (0,) * self.layers)

    @property
    def scales(self) -> tuple[float, ...]:
        """What attention's logits are multiplied with, in each layer."""
        scale = self.head_dim**-0.5 if self.scale is None else self.scale
        return tuple(scale / (layer + 1 if self.scale_by_layer else 1) for layer in range(self.layers))
