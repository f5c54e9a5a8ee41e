"""What an engine has done and how long it took: for metrics."""

import bisect
import dataclasses

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Spread:
    """How many requests took how long, in seconds.

    Attributes:
        counts: of requests up to each of `BOUNDS` and above the one before, and of those above all.
        total: seconds of all.
    """

    def __init__(self) -> None:
        self.counts, self.total = [0] * (len(BOUNDS) + 1), 0.0

    def add(self, seconds: float) -> None:
        """One request more."""
        self.counts[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclasses.dataclass
class Counts:
    """Of one engine.

    Attributes:
        requests: taken.
        written: tokens.
        prompts: tokens of prompts that were read.
        queued: from asking until a row was free.
        first: from asking to the first token.
        whole: from asking to the end.
    """

    requests: int = 0
    written: int = 0
    prompts: int = 0
    queued: Spread = dataclasses.field(default_factory=Spread)
    first: Spread = dataclasses.field(default_factory=Spread)
    whole: Spread = dataclasses.field(default_factory=Spread)
