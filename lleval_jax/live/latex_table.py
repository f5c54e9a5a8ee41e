"""A LaTeX tabular as cells: rows and columns split outside of braces, spans repeated, rules left out."""

import re
from collections.abc import Callable

from lleval_jax.live.latex_source import braced
from lleval_jax.live.values import Cells

BEGIN = re.compile(r"\\begin\{(tabular\*?|tabularx|tabulary|longtable|array|supertabular)\}")
RULES = re.compile(
    r"\\(hline|toprule|midrule|bottomrule|endhead|endfirsthead|endfoot|endlastfoot|centering|noalign\{[^{}]*\}"
    r"|(?:cline|cmidrule|hhline|addlinespace|specialrule|rowcolor|arrayrulecolor)(\([^)]*\))?(\[[^\]]*\])?(\{[^{}]*\})*"
    r"|tabularnewline(?=\s*$)|rule\{[^{}]*\}\{[^{}]*\})(?![A-Za-z])"
)
SPAN = re.compile(r"\\multicolumn\s*(?=\{)")
DOWN = re.compile(r"\\multirow\s*(?:\[[^\]]*\])?\s*(?=\{)")


def cells(text: str, plain: Callable[[str], str]) -> Cells:
    """The cells of the first tabular in a piece of LaTeX; () where there is none.

    A cell that spans columns or rows repeats its text in each. Rows are filled up to the longest one.
    """
    hit = BEGIN.search(text)
    if hit is None:
        return ()
    name, inner = hit[1], _inside(text, hit.end(), hit[1])
    for _ in range(2 if name in ("tabular*", "tabularx", "tabulary") else 1):
        inner = re.sub(r"^\s*\[[^\]]*\]", "", inner)
        inner = inner[braced(inner, 0)[1] :]
    if name == "longtable":
        inner = _long(inner)
    rows, below = [], dict[int, tuple[int, str]]()
    for row in _split(inner, row=True):
        row = RULES.sub("", re.sub(r"^\s*\[-?[\d.]+\s*\w+\]", "", row))
        if row.strip():
            rows.append(_row(row, plain, below))
    rows = [row for row in rows if any(row)]
    wide = max(map(len, rows), default=0)
    return tuple((*row, *[""] * (wide - len(row))) for row in rows)


def _inside(text: str, start: int, name: str) -> str:
    r"""What is between \begin{name} and its own \end{name}."""
    depth = 1
    for hit in re.finditer(rf"\\(begin|end)\{{{re.escape(name)}\}}", text[start:]):
        depth += 1 if hit[1] == "begin" else -1
        if depth == 0:
            return text[start : start + hit.start()]
    return text[start:]


def _long(inner: str) -> str:
    """A longtable without its caption and without what is repeated on later pages."""
    start = re.search(r"\\caption", inner)
    if start is not None:
        end = braced(inner, braced(inner, start.end(), "[]")[1])[1]
        end = re.match(r"\s*(\\label\{[^{}]*\})?\s*(\\\\|\\tabularnewline)?", inner[end:]).end() + end  # type: ignore[union-attr]
        inner = inner[: start.start()] + inner[end:]
    parts = re.split(r"(\\endfirsthead|\\endhead|\\endfoot|\\endlastfoot)", inner)
    marks = dict(zip(parts[1::2], parts[::2], strict=False))
    head = marks.get("\\endfirsthead", marks.get("\\endhead", ""))
    return head + parts[-1]


def _split(text: str, *, row: bool) -> list[str]:
    r"""Split at `\\` (rows) or `&` (cells), outside of braces and of environments within."""
    parts, last, depth, at = [], 0, 0, 0
    while at < len(text):
        if text[at] == "\\":
            word = re.match(r"\\(begin|end)\b|\\tabularnewline\b|\\\\\*?|\\.", text[at:], re.S)
            step = word.end() if word else 1
            mark = word[0] if word else ""
            depth += (mark == "\\begin") - (mark == "\\end")
            if row and depth == 0 and (mark.startswith("\\\\") or mark == "\\tabularnewline"):
                parts.append(text[last:at])
                last = at + step
            at += step
            continue
        depth += (text[at] == "{") - (text[at] == "}")
        if not row and depth == 0 and text[at] == "&":
            parts.append(text[last:at])
            last = at + 1
        at += 1
    return [*parts, text[last:]]


def _row(row: str, plain: Callable[[str], str], below: dict[int, tuple[int, str]]) -> list[str]:
    """The cells of a row; `below` holds, by column, how many rows more a cell above reaches and its text."""
    out = list[str]()
    for cell in _split(row, row=False):
        wide = 1
        if (span := SPAN.search(cell)) is not None:
            count, at = braced(cell, span.end())
            inner, _ = braced(cell, braced(cell, at)[1])
            wide, cell = int(count) if count.strip().isdigit() else 1, inner
        high = 1
        if (down := DOWN.search(cell)) is not None:
            count, at = braced(cell, down.end())
            at = braced(cell, at)[1] if braced(cell, at)[1] > at else re.match(r"\*?", cell[at:]).end() + at  # type: ignore[union-attr]
            inner, _ = braced(cell, braced(cell, at, "[]")[1])
            high, cell = int(count) if count.strip().lstrip("-").isdigit() else 1, inner
        text = plain(cell)
        for _ in range(min(wide, 200)):
            column = len(out)
            left, above = below.get(column, (0, ""))
            if left > 0:
                below[column] = (left - 1, above)
            out.append(text or (above if left > 0 else ""))
            if high > 1:
                below[column] = (high - 1, text)
    return out
