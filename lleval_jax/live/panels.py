"""Panels of a bitmap: parts of like size between white gutters that go all the way across."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from lleval_jax.live import pictures
from lleval_jax.live.values import Element, Panel

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 400  # pixels of the longer side that gutters are looked for on
WHITE = 245
GUTTER = 0.02  # of the longer side: the least width of a gutter
ALIKE = (
    0.45  # of the longest part: the least length of one; what is shorter is a legend, a title or the name of an axis
)
DEEPEST = 2  # rows, then columns
Pixels = tuple[int, int, int, int]  # left, top, right, bottom


def split(image: "Image") -> tuple[Pixels, ...]:
    """The boxes of panels in reading order, in pixels of the picture; the whole picture where there is one panel."""
    scale = min(SIDE / max(image.size), 1.0)
    small = image.convert("L").resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)))
    ink = np.asarray(small) < WHITE
    parts = _parts(ink, (0, 0, ink.shape[1], ink.shape[0]), DEEPEST)
    return tuple(tuple(round(side / scale) for side in part) for part in parts)  # type: ignore[misc]


def _parts(ink: np.ndarray, box: Pixels, depth: int) -> list[Pixels]:
    """The parts of a box, cut across first and then along, where that gives more than one."""
    left, top, right, bottom = box
    inside = ink[top:bottom, left:right]
    if depth == 0 or not inside.any():
        return [box]
    for axis in (1, 0):  # rows of panels, then columns
        cuts = _segments(np.asarray(inside.any(axis)), max(GUTTER * SIDE, 4))
        if len(cuts) > 1:
            found = list[Pixels]()
            for start, end in cuts:
                part = (left, top + start, right, top + end) if axis else (left + start, top, left + end, bottom)
                found += _parts(ink, part, depth - 1)
            return found
    return [box]


def _segments(inked: np.ndarray, gutter: float) -> list[tuple[int, int]]:
    """Runs with ink, parted by white of at least `gutter`; short ones go to the nearer neighbour."""
    places = np.flatnonzero(inked)
    breaks = np.flatnonzero(np.diff(places) > gutter)
    starts, ends = [places[0], *places[breaks + 1]], [*(places[breaks] + 1), places[-1] + 1]
    runs = [(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]
    while len(runs) > 1:
        sizes = [b - a for a, b in runs]
        small = min(range(len(runs)), key=lambda i: sizes[i])
        if sizes[small] >= ALIKE * max(sizes):
            break
        before = runs[small][0] - runs[small - 1][1] if small else np.inf
        after = runs[small + 1][0] - runs[small][1] if small + 1 < len(runs) else np.inf
        first = small - 1 if before <= after else small
        runs[first : first + 2] = [(runs[first][0], runs[first + 1][1])]
    return runs


def with_panels(element: Element, images: dict[str, bytes]) -> Element:
    """A figure with the panels that its picture shows, where its source did not give them with their pictures.

    Where caption and picture name the same number, each panel gets its part of the picture. Where they differ the
    caption's letters stay, without pictures; without letters in the caption the parts are lettered in reading order.
    """
    if element.kind != "figure" or element.image not in images or any(panel.image for panel in element.panels):
        return element
    image = pictures.opened(images[element.image])
    boxes = split(image)
    if len(boxes) < 2 or element.panels and len(boxes) != len(element.panels):
        return element
    named = element.panels or tuple(Panel(letter=letter) for letter in "abcdefghijklmnopqrstuvwxyz"[: len(boxes)])
    if len(named) != len(boxes):
        return element
    cut = tuple(
        dataclasses.replace(panel, image=pictures.kept(image.crop(box), images))
        for panel, box in zip(named, boxes, strict=True)
    )
    return dataclasses.replace(element, panels=cut)
