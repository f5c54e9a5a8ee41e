"""Of which type a figure is: by the words of its caption, else by what needs no model to see; else "unknown".

A chart has two long straight lines that meet, as axes or a frame do, on paper that is mostly blank. A photograph fills
its frame with colours that hardly repeat. A diagram is known by its caption alone. What is unclear is not guessed.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from lleval_jax.live import pictures
from lleval_jax.live.values import Element

if TYPE_CHECKING:
    from PIL.Image import Image

Type: TypeAlias = Literal["chart", "diagram", "photo", "unknown"]
WORDS: dict[Type, re.Pattern[str]] = {
    "chart": re.compile(
        r"\b((bar|line|pie)[ -](chart|plot|graph)s?|plots?|plotted|scatter ?plots?|box ?plots?|histograms?|heat ?maps?"
        r"|curves?|versus|as a function of|against the)\b"
    ),
    "diagram": re.compile(
        r"\b((block|flow|schematic|architecture|sequence|class) diagrams?|flow ?charts?|schematics?|diagrams?|workflow"
        r"|pipeline|architecture|overview of (our|the)|framework)\b"
    ),
    "photo": re.compile(
        r"\b(photos?|photographs?|micrographs?|screenshots?|(example|sample|input|generated|qualitative) images?"
        r"|x-rays?|ct scans?|mri scans?)\b"
    ),
}
SIDE = 240  # pixels of the longer side that is looked at
BLANK = 245  # a pixel this bright is paper
LONG = 0.45  # of a side: the least length of an axis
CHART, PHOTO = 0.4, 0.25  # share of paper: at least, of a chart; at most, of a photograph
OTHERS = 0.35  # share of a photograph that its eight most frequent of 4,096 colours do not cover


def type_of(element: Element, images: dict[str, bytes]) -> Type:
    """The type of a figure; "unknown" of a table.

    Args:
        element: its caption counts first, where it has words of one type alone.
        images: files of pictures by their sha256; of the figure, or of its panels, which must then agree.
    """
    if element.kind != "figure":
        return "unknown"
    said = by_words(element.caption)
    if said != "unknown":
        return said
    parts = [panel.image for panel in element.panels if panel.image in images] or [element.image]
    return _common(by_picture(pictures.opened(images[each])) for each in parts if each in images)


def by_words(caption: str) -> Type:
    """The one type that words of a caption name.

    Example:
        >>> by_words("Overview of our pipeline."), by_words("Loss as a function of the step."), by_words("Results.")
        ('diagram', 'chart', 'unknown')
    """
    text = caption.casefold()
    return _common(name for name, words in WORDS.items() if words.search(text))


def by_picture(image: "Image") -> Type:
    """Whether an RGB picture is a chart or a photograph, as far as that can be seen without a model."""
    scale = min(SIDE / max(image.size), 1.0)
    small = image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)))
    pixels = np.asarray(small, dtype=np.int64)
    paper = np.asarray((pixels >= BLANK).all(2))
    if paper.mean() <= PHOTO:
        codes = (pixels >> 4) @ np.array([256, 16, 1])
        counts = np.sort(np.bincount(codes.ravel()))
        return "photo" if 1 - counts[-8:].sum() / counts.sum() > OTHERS else "unknown"
    return "chart" if paper.mean() >= CHART and _axes(np.asarray(~paper)) else "unknown"


def _axes(ink: np.ndarray) -> bool:
    """Whether a long line across and a long one down meet."""
    high, wide = ink.shape
    across = [(y, *_run(ink[y])) for y in range(high)]
    down = [(x, *_run(ink[:, x])) for x in range(wide)]
    across = [each for each in across if each[2] - each[1] >= LONG * wide]
    down = [each for each in down if each[2] - each[1] >= LONG * high]
    return any(
        left - 2 <= x <= right + 2 and top - 2 <= y <= low + 2 for y, left, right in across for x, top, low in down
    )


def _run(line: np.ndarray) -> tuple[int, int]:
    """(start, end) of the longest run of ink."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    most = int(np.argmax(ends - starts))
    return int(starts[most]), int(ends[most])


def _common(found: Iterable[Type]) -> Type:
    """The type that all are of."""
    types = set(found)
    return types.pop() if len(types) == 1 else "unknown"
