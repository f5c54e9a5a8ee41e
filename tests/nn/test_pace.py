"""How fast training goes: counted operations, known and measured peaks, time left by the median."""

import types

import jax
import numpy as np
import pytest
from flax import nnx
from nn import tiny_model

from lleval_jax.training.run import operations, pace
from lleval_jax.training.run.peak import PEAKS, Peak, peak
from lleval_jax.training.run.step import Parts


def device(kind: str) -> types.SimpleNamespace:
    return types.SimpleNamespace(platform="gpu", device_kind=kind)


@pytest.mark.parametrize(
    ("kind", "flops"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A10G", 70e12),
        ("TPU v5 lite", 197e12),
        ("TPU v5p", 459e12),
        ("TPU v6 lite", 918e12),
    ],
)
def test_peaks_are_found_by_the_names_of_devices(kind: str, flops: float) -> None:
    assert peak([device(kind)] * 4).flops == 4 * flops


def test_a_device_that_is_not_known_has_no_peak() -> None:
    assert peak([device("Something 9000")]) == Peak(None, "the peak of Something 9000 is not known")
    assert not [name for i, name in enumerate(PEAKS) for other in list(PEAKS)[:i] if other in name]


def test_that_of_a_processor_is_measured_once() -> None:
    found = peak(jax.devices())
    assert 1e8 < found.flops < 1e14
    assert peak(jax.devices()[:2]) == found


def test_operations_are_those_of_the_products() -> None:
    """Of linear layers alone: 2 a weight and token forward, and as many for each of two gradients."""
    model = tiny_model.model()
    parts = Parts.of(model.decoder, nnx.Param)
    linear = [leaf for path, leaf in nnx.to_flat_state(nnx.state(model.decoder, nnx.Param)) if leaf[...].ndim == 3]
    norms = [leaf for path, leaf in nnx.to_flat_state(nnx.state(model.decoder, nnx.Param)) if leaf[...].ndim < 3]
    weights, embedding = sum(leaf[...].size for leaf in linear), model.config.vocab * model.config.width
    rest = sum(leaf[...].size for leaf in norms)  # the table of tokens and the norms
    found = operations.of_step(parts, embedding, tokens=10, scored=4, head_learns=True)
    assert found >= 6 * (10 * weights + 4 * embedding)
    assert found <= 6 * (10 * (weights + rest) + 4 * embedding)


def test_the_time_left_is_told_by_the_median_step() -> None:
    speed = pace.Pace(Peak(1e6, "stated"), 12)
    first = speed.of(1, tokens=100, flops=1e6, seconds=50.0)
    assert first == {"tokens_per_second": 2.0, "left": 550.0, "mfu": 0.02}
    for step in (2, 3):
        last = speed.of(step, tokens=100, flops=1e6, seconds=2.0)
    assert last["left"] == pytest.approx(9 * 2.0)
    assert pace.told(last | {"loss": 0.6931}) == "loss 0.6931, 50 tokens a second, MFU 50.0%"
    assert pace.typical([first, last, last]) == {"tokens_per_second": 50.0, "mfu": 0.5}
    unknown = pace.Pace(Peak(None, "not known"), 2).of(1, 100, 1e6, 2.0)
    assert "mfu" not in unknown
    assert np.isfinite(list(unknown.values())).all()
