"""Rotary positions in a config.json: `rope_parameters` of transformers 5, `rope_theta`, `rope_scaling` of 4."""

import math
from collections.abc import Mapping
from typing import Any

from lleval_jax.errors import BadInput, require, require_known
from lleval_jax.lm.config import Rotary, Scaling

Hf = Mapping[str, Any]
FULL, SLIDING = "full_attention", "sliding_attention"
ALL = {"rope_type", "type", "rope_theta", "partial_rotary_factor", "finetuned"}  # the last says how a model came about
LENGTH = "original_max_position_embeddings"
READ = {  # options of each kind of scaling
    "default": ALL,
    "linear": ALL | {"factor"},
    "dynamic": ALL | {"factor", LENGTH},
    "llama3": ALL | {"factor", LENGTH, "low_freq_factor", "high_freq_factor"},
    "yarn": ALL
    | {"factor", LENGTH, "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"},
}
LOCAL_THETA = "rope_local_base_freq"


def read_rotary(hf: Hf, theta: float = 10_000.0, share: float = 1.0, partial: bool = False) -> Rotary:
    """Rotary positions of all layers.

    Args:
        hf: The config.json.
        theta: The base, and
        share: the rotated share of a head, where the file does not say.
        partial: Whether the family can rotate a part of each head; transformers ignores it in others.

    Raises:
        BadInput: a kind of scaling or an option of it that is not known; the message names it.
    """
    hf = present(hf)
    base = hf.get("rope_theta", hf.get("rotary_emb_base", theta))
    share = hf.get("partial_rotary_factor", hf.get("rotary_pct", share))
    options = present(hf.get("rope_scaling") or hf.get("rope_parameters") or {})
    found = rotary({"rope_theta": base, "partial_rotary_factor": share, **options}, hf)
    require(partial or found.share == 1, f"partial_rotary_factor is {found.share}; this family rotates whole heads")
    return found


def read_two(hf: Hf, theta: float, local: float) -> tuple[Rotary, Rotary]:
    """Rotary positions of layers that see all, and of layers with a window (Gemma 3). Raises as `read_rotary`."""
    hf = present(hf)
    both = hf.get("rope_parameters") or {}
    one, two = (present(both.get(kind) or {}) for kind in (FULL, SLIDING))
    rest = {key: value for key, value in both.items() if key not in (FULL, SLIDING)}
    plain = {"partial_rotary_factor": 1.0, **rest}  # what lies outside of both is refused by name
    full = {**plain, "rope_theta": hf.get("rope_theta", theta), **one, **present(hf.get("rope_scaling") or {})}
    return rotary(full, hf), rotary({**plain, "rope_theta": hf.get(LOCAL_THETA, local), **two}, hf)


def present(options: Hf) -> Hf:
    """Options with a value: None is as good as missing."""
    return {key: value for key, value in options.items() if value is not None}


def rotary(options: Hf, hf: Hf) -> Rotary:
    """One set of options, as `rope_parameters` has them."""
    kind = options.get("rope_type", options.get("type", "default"))
    require_known(kind, READ, "rotary scaling (rope_type)")
    unknown = sorted(set(options) - READ[kind])
    if unknown:
        raise BadInput(f"the rotary option {unknown[0]!r} ({options[unknown[0]]!r}) is not known with {kind!r}")
    scaling = None if kind == "default" else scaled(kind, options, hf)
    return Rotary(float(options["rope_theta"]), float(options["partial_rotary_factor"]), scaling)


def scaled(kind: str, options: Hf, hf: Hf) -> Scaling:
    """How frequencies are stretched."""
    context = hf["max_position_embeddings"]
    original = hf.get(LENGTH) or options.get(LENGTH) or context
    factor = options.get("factor") or (context / original if kind == "yarn" else None)
    require(factor is not None, f"rotary scaling {kind!r} needs a 'factor'")
    factor = float(factor)  # type: ignore[arg-type]
    if kind == "linear":
        return Scaling("linear", factor)
    if kind == "dynamic":  # transformers 5 measures lengths against the whole context, 4 against the original one
        require(
            original == context, f"'dynamic' scaling with {LENGTH} {original} in a context of {context} is not known"
        )
        return Scaling("dynamic", factor, original=context)
    if kind == "llama3":
        low, high = (options.get(key) for key in ("low_freq_factor", "high_freq_factor"))
        require(low is not None and high is not None, "rotary scaling 'llama3' needs low_freq_factor, high_freq_factor")
        return Scaling("llama3", factor, original=original, low=float(low), high=float(high))  # type: ignore[arg-type]
    return Scaling(
        "yarn",
        factor,
        original=original,
        fast=float(options.get("beta_fast") or 32),
        slow=float(options.get("beta_slow") or 1),
        attention=yarn_attention(factor, options),
        whole=bool(options.get("truncate", True)),
    )


def yarn_attention(factor: float, options: Hf) -> float:
    """The factor of cosine and sine: given, or 0.1 ln(factor) + 1 (arXiv 2309.00071, equation 22)."""

    def grown(share: float) -> float:
        return 0.1 * share * math.log(factor) + 1 if factor > 1 else 1.0

    if options.get("attention_factor") is not None:
        return float(options["attention_factor"])
    one, all_dims = options.get("mscale"), options.get("mscale_all_dim")
    return grown(one) / grown(all_dims) if one and all_dims else grown(1)


def written(rotary: Rotary, with_share: bool) -> dict[str, Any]:
    """One set of options, for `rope_parameters`."""
    share = {"partial_rotary_factor": rotary.share} if with_share else {}
    options: dict[str, Any] = {"rope_type": "default", "rope_theta": rotary.theta, **share}
    scaling = rotary.scaling
    if scaling is None:
        return options
    options |= {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind in ("yarn", "llama3"):
        options[LENGTH] = scaling.original
    if scaling.kind == "llama3":
        options |= {"low_freq_factor": scaling.low, "high_freq_factor": scaling.high}
    if scaling.kind == "yarn":
        ramp = {"beta_fast": scaling.fast, "beta_slow": scaling.slow, "truncate": scaling.whole}
        options |= {"attention_factor": scaling.attention, **ramp}
    return options
