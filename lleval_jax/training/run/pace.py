"""How fast training goes: tokens a second, the share of the devices' peak that they need, and the time left."""

import statistics
from collections.abc import Mapping, Sequence

from lleval_jax.training.run.peak import Peak

RECENT = 20  # steps by whose median the time left is told
TIMED = ("seconds", "tokens_per_second", "left", "mfu")  # what of a record is another in each run


class Pace:
    """The speed of a run.

    Args:
        peak: of the devices.
        steps: of the whole run.
    """

    def __init__(self, peak: Peak, steps: int) -> None:
        self.peak, self.steps, self._recent = peak, steps, list[float]()

    def of(self, step: int, tokens: int, flops: float, seconds: float) -> dict[str, float]:
        """What the record of a step says of it: the step's own speed, and the time left at the median of the last.

        "tokens_per_second", "left" in seconds, and "mfu", the share of the peak, where a peak is known.
        """
        self._recent = [*self._recent, seconds][-RECENT:]
        found = {"tokens_per_second": tokens / seconds, "left": (self.steps - step) * self.typical}
        return found | ({"mfu": flops / seconds / self.peak.flops} if self.peak.flops else {})

    @property
    def typical(self) -> float:
        """Seconds of a step, the median of the last few: one that compiled does not count for much."""
        return statistics.median(self._recent)


def told(record: Mapping[str, float]) -> str:
    """The loss and the speed of a step in words."""
    share = f", MFU {record['mfu']:.1%}" if "mfu" in record else ""
    return f"loss {record['loss']:.4g}, {record['tokens_per_second']:,.0f} tokens a second{share}"


def typical(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Tokens a second and share of the peak of the median step."""
    names = [name for name in ("tokens_per_second", "mfu") if all(name in record for record in history)]
    return {name: statistics.median(record[name] for record in history) for name in names}
