"""The same paper, picture or question twice: found by what it is, whatever its name.

Pictures are compared by their ink: how far each pixel is from the paper's colour, in the channel where that is most. So
another colour of a line changes nothing. A perceptual hash alone calls similar line plots equal; the pictures must also
correlate. Source of the hash: the discrete cosine transform's 64 lowest frequencies against their median (pHash, Zauner
2010, "Implementation and benchmarking of perceptual image hash functions").
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import fft

from lleval_jax.live.numbers import number
from lleval_jax.live.values import Element, Finding, Paper, Question, normalised

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")
SIDE = 32  # of the picture that the hash is made of
GRID = 64  # of the picture that is correlated
SOFT = 1.0  # places on the grid: a line that falls between two of them is the same line
BITS = 6  # of 64 in which two hashes may differ
ALIKE = 0.95  # correlation that the same picture has at least
MOVES = (-1, 0, 1)  # places on the grid that one may be shifted


@dataclasses.dataclass(frozen=True)
class Print:
    """What is left of a picture to know it by: 64 bits, its ink on a grid, (64, 64) in [0, 1]; width over height."""

    bits: int
    ink: np.ndarray
    shape: float


def fingerprint(image: "Image") -> Print:
    """Of an RGB picture. The paper's colour is that of most of its border."""
    from PIL import Image, ImageFilter

    pixels = np.asarray(image, dtype=np.int16)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ink = np.abs(pixels - np.median(border, axis=0).astype(np.int16)).max(axis=2).astype(np.uint8)
    drawn = Image.fromarray(ink)
    small = np.asarray(drawn.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=float)
    low = fft.dctn(small, norm="ortho")[:8, :8].ravel()
    bits = low > np.median(low[1:])
    soft = drawn.resize((GRID, GRID), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(SOFT))
    grid = np.asarray(soft, dtype=float) / 255
    return Print(int("".join("01"[int(bit)] for bit in bits), 2), grid, image.width / image.height)


def same_picture(one: Print, other: Print) -> bool:
    """Whether two pictures show the same: hashes that differ in at most 6 bits, and a correlation above .95."""
    if (one.bits ^ other.bits).bit_count() > BITS or not 0.9 < one.shape / other.shape < 1.1:
        return False
    moved = (np.roll(other.ink, (y, x), (0, 1)) for y in MOVES for x in MOVES)
    return max(_correlation(one.ink, each) for each in moved) > ALIKE


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else 1.0


def papers(found: Iterable[Paper]) -> tuple[tuple[Paper, ...], tuple[Finding, ...]]:
    """(papers without those met before, what was left out): the same id in any version, or the same title."""
    kept, findings, ids, titles = list[Paper](), list[Finding](), dict[str, Paper](), dict[str, Paper]()
    for paper in sorted(found, key=lambda each: (each.created or "9", each.id, -(each.version or 0))):
        title = re.sub(r"\W+", "", normalised(paper.title))
        first = ids.get(paper.id) or titles.get(title)
        if first is None:
            kept.append(paper)
            ids[paper.id] = titles[title] = paper
        else:
            same = "id" if first.id == paper.id else "title"
            findings.append(Finding(paper=paper.name, step="duplicates", reason=f"has the {same} of {first.name}"))
    return tuple(kept), tuple(findings)


def elements(
    found: Sequence[Element], image: Callable[[str], bytes], before: Iterable[Print] = ()
) -> tuple[tuple[Element, ...], tuple[Finding, ...]]:
    """(elements whose picture was not met before, what was left out). Elements without a picture stay.

    Args:
        found: in the order in which they are kept.
        image: gives a picture's file by its sha256.
        before: pictures of earlier versions of the benchmark.
    """
    from lleval_jax.live.pictures import opened

    kept, findings, seen = list[Element](), list[Finding](), [("an earlier version", each) for each in before]
    for element in found:
        if not element.image:
            kept.append(element)
            continue
        mine = fingerprint(opened(image(element.image)))
        first = next((name for name, other in seen if same_picture(mine, other)), "")
        if first:
            findings.append(
                Finding(paper=element.paper, step="duplicates", reason=f"{element.name} shows {first} again")
            )
        else:
            kept.append(element)
            seen.append((element.name, mine))
    return tuple(kept), tuple(findings)


def questions(
    found: Sequence[Question], shown: Mapping[str, str] | None = None
) -> tuple[tuple[Question, ...], tuple[tuple[Question, Question], ...]]:
    """(questions not met before, pairs of one left out and the one it repeats).

    Two are the same if they ask the same of the same picture and have the same answer: case, spaces, form of numbers
    and order of options do not count. The same words about another picture are another question.

    Args:
        found: in the order in which they are kept.
        shown: element -> what it shows (a sha256); an element stands for itself where it has none.
    """
    first, kept, again = dict[tuple[str, str, str], Question](), list[Question](), list[tuple[Question, Question]]()
    for each in found:
        key = (canonical(each.text), (shown or {}).get(each.element, each.element), canonical(each.options[each.key]))
        if key in first:
            again.append((each, first[key]))
        else:
            first[key] = each
            kept.append(each)
    return tuple(kept), tuple(again)


def canonical(text: str) -> str:
    """A text as two questions are compared: plain, without signs at its ends, and each number in one form.

    Example:
        >>> canonical("What is  1,200.50 plus .5 ?")
        'what is 1200.5 plus 0.5'
    """
    words = [_number(word) for word in normalised(text).split()]
    return " ".join(words).strip(" ?.!:")


def _number(word: str) -> str:
    bare = word.rstrip("?.!,;:")
    found = number(bare)
    if found is None:
        return word
    value = f"{found.value:f}"
    value = value.rstrip("0").rstrip(".") if "." in value else value
    return f"{value}{found.unit}{word[len(bare) :]}"
