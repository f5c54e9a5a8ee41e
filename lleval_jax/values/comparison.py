"""Two models on the same questions: how far apart their scores are, and whether that is more than chance."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate
from lleval_jax.values.value import Value


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison(Value):
    """The paired difference of two models, one entry for the benchmark and for each group asked for.

    difference     `first` minus `second`, with interval
    first, second  names of the models
    p_value        (entries,) two-sided, of no difference on questions like these; NaN where none is given
    tests          (entries,) the test behind it; "" where there is none
    won, lost      (entries,) questions on which the first, the second scores higher
    detectable     (entries,) the smallest true difference that so many questions show with probability `power`
    how            one sentence: what the interval rests on
    """

    difference: Estimate
    first: str
    second: str
    p_value: NDArray
    tests: tuple[str, ...]
    won: NDArray
    lost: NDArray
    detectable: NDArray
    power: float
    how: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an estimate, schema `lleval/estimate/1`; each entry says more."""
        content = self.difference.to_dict()
        for i, entry in enumerate(content["estimates"]):
            known = not np.isnan(self.p_value[i])
            entry |= {
                "p_value": float(self.p_value[i]) if known else None,
                "test": self.tests[i],
                "won": int(self.won[i]),
                "lost": int(self.lost[i]),
                "detectable": float(self.detectable[i]),
            }
        return content | {"power": self.power, "how": self.how}

    def verdict(self, i: int = 0) -> str:
        """One sentence on an entry."""
        return verdict(self.difference, self.first, self.second, i)

    def __str__(self) -> str:
        """One line an entry."""
        head, *lines = str(self.difference).splitlines()
        said = (
            line if np.isnan(p) else f"{line}, p = {p:.2g} ({test})"
            for line, p, test in zip(lines, self.p_value, self.tests, strict=True)
        )
        return "\n".join([head, *said])


def verdict(difference: Estimate, first: str, second: str, i: int = 0) -> str:
    """One sentence on an entry of `first` minus `second`."""
    where = "" if difference.group[i] == WHOLE else f" on {difference.group[i]}"
    if difference.low[i] > 0:
        return f"{first} is better than {second}{where}"
    if difference.high[i] < 0:
        return f"{second} is better than {first}{where}"
    level = f"{100 * difference.level:.4g}%"
    return f"No significant difference between {first} and {second}{where} at the {level} level"
