"""How far a long call has come: what every `tell=` is called with."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a call has come. `print` is a `tell` already: `ll.irt.fit(responses, tell=print)`.

    Tells may come from several threads, and not evenly; one that raises ends the call.

    word   what is going on: "reading answers"
    done   how much of it is done, in `unit`s
    total  how much there is in all; None where that is not known, as of a fit that goes on until it has converged
    error  of a fit, how far it is from its end, on its own scale; None elsewhere
    unit   what is counted: "bytes", "steps", "models"; "" where nothing is
    rate   units a second; None where that is of no interest
    note   what else is to be said: "1,200 tokens a second"
    """

    word: str
    done: int = 0
    total: int | None = None
    error: float | None = None
    unit: str = ""
    rate: float | None = None
    note: str = ""

    @property
    def share(self) -> float | None:
        """Part that is done, from 0 to 1; None where it is not known."""
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def left(self) -> float | None:
        """Seconds to the end at this rate; None where that is not known."""
        return (self.total - self.done) / self.rate if self.rate and self.total is not None else None

    def __str__(self) -> str:
        """One plain line: "reading answers: 12 of 30 MB", "fitting: step 24, error 0.012"."""
        far = ", ".join(filter(None, (self._count(), self._error(), self._rate(), self.note)))
        return ": ".join(filter(None, (self.word, far)))

    def _count(self) -> str:
        if self.unit == "bytes" and self.total is not None:
            return f"{self.done / 1e6:,.0f} of {self.total / 1e6:,.0f} MB"
        if self.total is not None:
            return f"{self.done:,} of {self.total:,} {self.unit}".rstrip()
        return f"{self.unit.removesuffix('s')} {self.done:,}" if self.done else ""

    def _error(self) -> str:
        return "" if self.error is None else f"error {self.error:.2g}"

    def _rate(self) -> str:
        if not self.rate:
            return ""
        digits = ",.0f" if self.rate >= 10 else ".2g"
        return f"{self.rate:{digits}} a second" + ("" if self.left is None else f", {self.left:,.0f} s left")


Tell = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """The `tell` of a call that is not watched."""
