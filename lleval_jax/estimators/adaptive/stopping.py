"""When a session has enough answers, and intervals that hold though it stops by them.

How much larger the errors of whole sessions are than the nominal ones was learned from sessions replayed on models that
were left out of the fit; `sessions.prepare` replays them and keeps in the bank what they taught.
"""

import dataclasses
from typing import Literal

import numpy as np
from scipy.stats import t as student

from lleval_jax.errors import require
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.results import Estimate

LOOKS = 10  # at an interval, that Bonferroni guards against where no session was replayed
TAIL = 12.0  # degrees of freedom of the interval where no session was replayed
ONE_SIGMA = 0.8413  # a standard error is half the interval of 68%


@dataclasses.dataclass(frozen=True)
class Stop:
    """When enough is enough; whichever comes first.

    std_error  the score's standard error is at most this
    width      its interval is at most so wide
    threshold  it is surely above or below this: an interval that holds at every look at once, with probability
               `certainty`, is clear of it. Looking again and again until an ordinary interval is clear errs far more.
    budget     so many answers were given
    """

    std_error: float | None = None
    width: float | None = None
    threshold: float | None = None
    certainty: float = 0.95
    budget: int | None = None

    def __post_init__(self) -> None:
        for name in ("std_error", "width"):
            value = getattr(self, name)
            require(value is None or 0 < value < 1, f"{name} is {value}; it must lie strictly between 0 and 1")
        require(0.5 < self.certainty < 1, f"certainty is {self.certainty}; it must lie between 0.5 and 1")
        require(self.budget is None or self.budget > 0, f"budget is {self.budget}; it must be positive")

    def reasons(self, found: Estimate, bank: ItemBank, what: Literal["always", "always_pair"] = "always") -> list[str]:
        """Why each entry can stop, or "" where it must go on; `what` is "always_pair" for a difference."""
        always = always_reach(bank, self.certainty, what)
        return [self._reason(found, i, always) for i in range(len(found.rows))]

    def _reason(self, found: Estimate, i: int, always: float) -> str:
        error, width = found.std_error[i], found.high[i] - found.low[i]
        if self.std_error is not None and error <= self.std_error:
            return f"standard error {error:.3f} is at most {self.std_error:g}"
        if self.width is not None and width <= self.width:
            return f"the interval is {width:.3f} wide, at most {self.width:g}"
        if self.threshold is not None and abs(found.value[i] - self.threshold) > always * error:
            side = "above" if found.value[i] > self.threshold else "below"
            return f"{side} {self.threshold:g} with certainty {self.certainty:g}"
        if self.budget is not None and found.n_seen[i] >= self.budget:
            return f"the budget of {self.budget} answers is spent"
        return ""


def dispersion_of(bank: ItemBank) -> float:
    """Variance of answers around their curves, in units of p (1 - p)."""
    return 1.0 if bank.replayed is None else float(bank.replayed.phi[0])


def widen_of(bank: ItemBank, length: np.ndarray, what: Literal["widen", "pair"] = "widen") -> np.ndarray:
    """Left-out errors in units of the nominal ones, after `length` answers; 1 for a bank that replayed none."""
    if bank.replayed is None:
        return np.ones(np.shape(length))
    known = bank.replayed
    return np.interp(np.log(np.maximum(length, 1)), np.log(known.length), getattr(known, what))


def reach_of(bank: ItemBank, level: float, what: Literal["widen", "pair"] = "widen") -> float:
    """Half an interval in standard errors, the half of a 68% one being 1.

    The errors' tail is learned, for some models are unlike all others; few replayed models leave the standard error
    itself uncertain, which makes the tail heavier.
    """
    models, tail = 0.0, TAIL
    if bank.replayed is not None:
        models, tail = float(bank.replayed.models[0]), float(bank.replayed.tail[int(what == "pair")])
    df = 1 / (1 / tail + (1 / models if models else 0))
    return float(student.ppf(0.5 + level / 2, df) / student.ppf(ONE_SIGMA, tail))


def always_reach(bank: ItemBank, certainty: float, what: Literal["always", "always_pair"] = "always") -> float:
    """Half an interval, in standard errors, that holds at all looks of a session at once.

    From replayed sessions; for a bank that replayed none, Bonferroni's over ten looks.
    """
    plain = reach_of(bank, 1 - (1 - certainty) / LOOKS, "widen" if what == "always" else "pair")
    if bank.replayed is None or len(bank.replayed.level) < 2:
        return plain
    known = bank.replayed
    if certainty > known.level[-1]:  # beyond what so many sessions can tell
        return max(plain, float(getattr(known, what)[-1]))
    return float(np.interp(certainty, known.level, getattr(known, what)))
