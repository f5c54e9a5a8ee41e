"""What a judge is worth where there are human labels too."""

import dataclasses
from typing import Any

from lleval_jax.values.value import Value


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Worth(Value):
    """What a judge's scores add to human labels.

    correlation, low, high  of scores and labels within models, with its interval
    labels, scored          how many labels there are, and answers that the judge scored
    effective, effective_low, effective_high  how many labels without a judge would be as good, with the interval
    level                   coverage of both intervals
    """

    correlation: float
    low: float
    high: float
    labels: int
    scored: int
    effective: float
    effective_low: float
    effective_high: float
    level: float

    @property
    def helps(self) -> bool:
        """Whether the scores surely go with the labels."""
        return self.low > 0

    @property
    def reason(self) -> str:
        """One sentence."""
        span = f"[{self.effective_low:,.0f}, {self.effective_high:,.0f}]"
        if not self.helps:
            return (
                f"The judge is not shown to help: its correlation with the labels may be zero or less "
                f"({self.correlation:z.2f} [{self.low:z.2f}, {self.high:z.2f}])."
            )
        return f"The judge helps: {self.labels:,} labels with it are worth {self.effective:,.0f} {span} without it."

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | {
            "helps": self.helps,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        """The sentence."""
        return self.reason
