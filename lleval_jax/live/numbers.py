"""Numbers as papers print them, and when two options say the same."""

import dataclasses
import functools
import re
from decimal import Decimal

from lleval_jax.live.values import normalised, plain

DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
WHOLE = re.compile(rf"([+-]?)\s?({DIGITS})\s?(%|[a-z]{{1,4}})?", re.IGNORECASE)
INSIDE = re.compile(rf"(?<![\w.])(-?)({DIGITS})|(?<=[a-z-])(-?)(\d+(?:\.\d+)?)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Number:
    """A value with the decimals that were printed, and its unit ("%", "ms"; "" for none)."""

    value: Decimal
    places: int
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.value:.{self.places}f}{self.unit if self.unit in ('', '%') else ' ' + self.unit}"


@functools.lru_cache(maxsize=65536)
def number(text: str) -> Number | None:
    """The number that a text is, with nothing around it but a unit; else None.

    Example:
        >>> str(number("1,204.50 %")), number("GPT-4"), number("0.91 ± 0.02")
        ('1204.50%', None, None)
    """
    found = WHOLE.fullmatch(plain(text))
    if found is None:
        return None
    sign, digits, unit = found.groups()
    return Number(*_read(sign, digits), unit or "")


def numbers_in(text: str) -> list[Decimal]:
    """All numbers of a text, without their sign: a dash may be one, or a hyphen.

    Example:
        >>> [str(each) for each in numbers_in("from 0.5 to 1,200 (GPT-4)")]
        ['0.5', '1200', '4']
    """
    return [abs(_read("", found[2] or found[4])[0]) for found in INSIDE.finditer(plain(text))]


def alike(one: str, other: str) -> bool:
    """Whether two options say the same: texts but for case, spaces and dashes, numbers within their rounding.

    Example:
        >>> alike("12.30 %", "12.3%"), alike("12.34", "12.3"), alike("12.3", "12.4")
        (True, True, False)
    """
    first, second = number(one), number(other)
    if first is None or second is None:
        return normalised(one).rstrip(".") == normalised(other).rstrip(".")
    if first.unit and second.unit and first.unit.lower() != second.unit.lower():
        return False
    step = Decimal(1).scaleb(-min(first.places, second.places))
    return first.value.quantize(step) == second.value.quantize(step)


def _read(sign: str, digits: str) -> tuple[Decimal, int]:
    bare = digits.replace(",", "")
    return Decimal(sign + bare), len(bare.partition(".")[2])
