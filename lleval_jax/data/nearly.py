"""Names that differ only in what is hardly seen: Unicode form, case, blanks and signs without width."""

import unicodedata
from collections.abc import Iterable

from lleval_jax.data.notes import Note

SHOWN = 3
JOINER = "\u200d"  # makes one sign of several, which is seen


def said(what: str, names: Iterable[str]) -> list[Note]:
    """What to tell of names of one kind that are nearly the same; nothing where there are none."""
    first: dict[str, str] = {}
    pairs = [(known, name) for name in names if (known := first.setdefault(_seen(name), name)) != name]
    if not pairs:
        return []
    shown = "; ".join(f"{ascii(one)} and {ascii(two)}" for one, two in pairs[:SHOWN])
    more = f"; and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return [
        Note(f"{what}s whose names differ only in Unicode form, case or blanks are read as different: {shown}{more}")
    ]


def _seen(name: str) -> str:
    """What of a name is seen."""
    if name.isascii():
        return "".join(name.split()).lower()
    name = "".join(sign for sign in name if not _is_hidden(sign))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_hidden(sign: str) -> bool:
    return sign.isspace() or unicodedata.category(sign) == "Cf" and sign != JOINER
