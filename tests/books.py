"""What the notebooks say: their text, their code, and what they printed."""

import json
import pathlib
from collections.abc import Iterator

BOOKS = sorted((pathlib.Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def cells(path: pathlib.Path) -> list[dict]:
    """All cells, from top to bottom."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def printed(cell: dict) -> list[str]:
    """The lines of text that a cell keeps."""
    kept = [out.get("text", out.get("data", {}).get("text/plain", [])) for out in cell.get("outputs", ())]
    return "\n".join("".join(one) for one in kept).splitlines()


def lines(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """(number of the cell, line) of all that a reader sees."""
    for number, cell in enumerate(cells(path), 1):
        yield from ((number, line) for line in [*"".join(cell["source"]).splitlines(), *printed(cell)])
