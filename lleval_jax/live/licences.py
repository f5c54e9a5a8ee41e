"""Which licences let a figure be shown again. Unknown is refused: a licence that was not read is no permission.

Source: arXiv's list of licences (https://info.arxiv.org/help/license/) and the deeds of Creative Commons. arXiv's
non-exclusive licence lets arXiv distribute the paper, and no one else.
"""

import dataclasses
import re
from collections.abc import Iterable

from lleval_jax.errors import require_known


@dataclasses.dataclass(frozen=True, slots=True)
class Licence:
    """What a licence lets one do with the pictures and tables of a paper.

    Fields:
        family: "CC-BY", "CC-BY-SA", ..., as in SPDX; "arXiv-nonexclusive", "arXiv-assumed".
        version: "4.0"; "" where it has none.
        redistribute: copies may be handed on.
        derive: changed copies may; a crop is one.
        commercial: for money too.
        notice: authors, title and licence must be named.
    """

    family: str
    version: str
    redistribute: bool
    derive: bool
    commercial: bool
    notice: bool

    @property
    def share_alike(self) -> bool:
        """Whether what is made of it must carry the same licence."""
        return self.family.endswith("-SA")


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """Whether a licence is taken, and why. `licence` is None where the address is not known."""

    keep: bool
    reason: str
    licence: Licence | None


CC = {  # the part of a Creative Commons address -> (derive, commercial); all may be redistributed with a notice
    "by": (True, True),
    "by-sa": (True, True),
    "by-nc": (True, False),
    "by-nc-sa": (True, False),
    "by-nd": (False, True),
    "by-nc-nd": (False, False),
}
TABLE = {
    f"creativecommons.org/licenses/{part}/{version}": Licence(f"CC-{part.upper()}", version, True, *rights, notice=True)
    for part, rights in CC.items()
    for version in ("3.0", "4.0")
} | {
    "creativecommons.org/publicdomain/zero/1.0": Licence("CC0", "1.0", True, True, True, notice=False),
    "creativecommons.org/licenses/publicdomain": Licence("public-domain", "", True, True, True, notice=False),
    "arxiv.org/licenses/nonexclusive-distrib/1.0": Licence("arXiv-nonexclusive", "1.0", False, False, False, True),
    "arxiv.org/licenses/assumed-1991-2003": Licence("arXiv-assumed", "", False, False, False, True),
}
FAMILIES = tuple(dict.fromkeys(licence.family for licence in TABLE.values()))
ALLOW = ("CC-BY", "CC-BY-SA", "CC0", "public-domain")


def licence(url: str) -> Licence | None:
    """The licence at an address, by http or https, with or without the last slash; None for one that is not known.

    Example:
        >>> licence("http://creativecommons.org/licenses/by-sa/4.0/").family
        'CC-BY-SA'
    """
    found = re.fullmatch(r"https?://(?:www\.)?([^?#]*?)/*", url.strip(), re.I)
    return TABLE.get(found[1].lower()) if found else None


def allowed(url: str, allow: Iterable[str] = ALLOW) -> Decision:
    """Whether crops of a paper under this licence may go into a benchmark that is handed on.

    Args:
        url: the address that the archive states for this version of the paper; "" where it states none.
        allow: families that are wanted. One that forbids changed copies is refused even if it is named here, because a
            crop is a changed copy, and so is one that gives no right to redistribute.

    Raises:
        BadInput: `allow` names a family that is not in the table.

    Example:
        >>> allowed("https://arxiv.org/licenses/nonexclusive-distrib/1.0/").reason
        'arXiv-nonexclusive gives no right to redistribute'
    """
    allow = tuple(allow)
    for family in allow:
        require_known(family, FAMILIES, "the licence family")
    if not url.strip():
        return Decision(False, "no licence is stated", None)
    found = licence(url)
    if found is None:
        return Decision(False, f"the licence {url.strip()[:200]} is not known", None)
    if not found.redistribute:
        return Decision(False, f"{found.family} gives no right to redistribute", found)
    if not found.derive:
        return Decision(False, f"{found.family} forbids changed copies, and a crop is one", found)
    if found.family not in allow:
        return Decision(False, f"{found.family} is not among the licences that are allowed", found)
    return Decision(True, f"{found.family} is allowed", found)
