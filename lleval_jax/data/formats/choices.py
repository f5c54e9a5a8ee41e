"""The probability that a model gives to the right choice, from the log-probabilities of all choices."""

import math
from collections.abc import Sequence
from typing import Any


def probability(logs: Sequence[Any], right: Sequence[int]) -> float | None:
    """softmax(logs)[right], summed over the choices in `right`; None where these are no log-probabilities.

    The logs are sums over the tokens of a choice, as the harness wrote them: no correction for a choice's length.
    """
    numbers = [_number(value) for value in logs]
    good = [number for number in numbers if number is not None and not math.isnan(number) and number < math.inf]
    if len(good) != len(numbers) or not good or not right or not all(0 <= at < len(good) for at in right):
        return None
    top = max(good)
    if top == -math.inf:
        return None
    shares = [math.exp(number - top) for number in good]
    return min(1.0, sum(shares[at] for at in set(right)) / sum(shares))


def _number(value: Any) -> float | None:
    """A number, also as text: lm-eval writes its log-probabilities as strings."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
