"""How much a device can compute: known peaks of accelerators, and a measured one of processors."""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

# Dense operations a second in bfloat16 (float16 where there is none), as makers state them for one of JAX's devices: of
# TPU v2 and v3 a core, later a chip. The first name that a device's kind contains counts.
PEAKS = {
    "TPU v2": 22.5e12,
    "TPU v3": 61.5e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v6": 918e12,
    "TPU7": 2307e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "A800": 312e12,
    "A10G": 70e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L4": 121e12,
    "V100": 125e12,
    "T4": 65e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
SIDE, TIMES = 1024, 5  # of the square matrices that a processor multiplies, and how often


class Peak(NamedTuple):
    """Operations a second at most.

    flops  of all devices together; None where it is not known
    how    where the number comes from
    """

    flops: float | None
    how: str


def peak(devices: Any) -> Peak:
    """That of these devices, which are of one kind.

    Of processors it is measured once, by products of float32 matrices; simulated devices share one machine.

    Example:
        >>> peak(jax.devices()).how
        'measured: products of 1024 x 1024 float32 matrices'
    """
    first = devices[0]
    if first.platform == "cpu":
        return Peak(_measured(), f"measured: products of {SIDE} x {SIDE} float32 matrices")
    known = next((flops for name, flops in PEAKS.items() if name.lower() in first.device_kind.lower()), None)
    if known is None:
        return Peak(None, f"the peak of {first.device_kind} is not known")
    return Peak(known * len(devices), f"stated by the maker: {len(devices)} x {known / 1e12:g}e12 in bfloat16")


@functools.cache
def _measured() -> float:
    """Operations a second of the first processor, the best of a few products."""
    x = jax.device_put(jnp.full((SIDE, SIDE), 0.5), jax.devices("cpu")[0])
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(x, x))
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        jax.block_until_ready(product(x, x))
        seconds.append(time.perf_counter() - began)
    return 2 * SIDE**3 / min(seconds)
