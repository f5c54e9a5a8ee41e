r"""LaTeX as text: comments out, `\input` in, macros of the paper expanded, braces matched, markup to plain text."""

import functools
import re
import warnings
from collections.abc import Iterator, Mapping

from lleval_jax.errors import BadFile
from lleval_jax.live.reading import spaced

DEEPEST = 20  # files in files
MOST = 10_000_000  # characters of the whole paper
MOST_EXPANSIONS = 2_000  # of macros in one caption or cell
LONGEST = 100_000  # characters of a caption or cell, with its macros expanded
INPUT = re.compile(r"\\(?:input|include|subfile|subfileinclude)\s*(?:\{([^{}]*)\}|([^\s\\{}]+))")
DEFINED = re.compile(
    r"\\(?:(?:re)?newcommand|providecommand|DeclareRobustCommand)\*?\s*\{?\\([A-Za-z]+)\}?\s*(?:\[(\d)\])?\s*(\[[^\]]*\])?\s*(?=\{)"
    r"|\\def\s*\\([A-Za-z]+)((?:#\d)*)\s*(?=\{)"
)
OUT = re.compile(
    r"\\begin\{(comment|verbatim\*?|lstlisting|filecontents\*?)\}.*?\\end\{\1\}|\\iffalse\b.*?\\fi\b", re.S
)


def uncommented(text: str) -> str:
    """Without comments, and without what is never typeset or is not LaTeX."""
    return OUT.sub("", re.sub(r"(?<!\\)((?:\\\\)*)%[^\n]*\n?[ \t]*", r"\1", text))


def whole(files: Mapping[str, bytes], paper: str) -> str:
    """The main file with all that it takes in.

    Raises:
        BadFile: there is none, files take in each other, it grows past 10 million characters, or it has no body.
    """
    texts = {name: uncommented(_decoded(content)) for name, content in files.items() if _is_tex(name)}
    mains = [name for name, text in texts.items() if "\\begin{document}" in text]
    if not mains:
        raise BadFile(f"{paper}: no file of the source has \\begin{{document}}")
    main = max(mains, key=lambda name: (re.search(r"\\documentclass", texts[name]) is not None, _size(texts, name)))
    return _body(_expanded(texts, main, paper), paper)


def _size(texts: Mapping[str, str], name: str) -> int:
    """Characters of a file and of those it names."""
    named = (_found(texts, (hit[1] or hit[2]).strip(), name) for hit in INPUT.finditer(texts[name]))
    return len(texts[name]) + sum(len(texts[each]) for each in named if each)


def _is_tex(name: str) -> bool:
    return name.lower().endswith((".tex", ".ltx", ".latex", ".rnw")) or "." not in name.rpartition("/")[2]


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _found(texts: Mapping[str, str], name: str, by: str) -> str:
    """The file that a name stands for, seen from the top or from the folder of the file that takes it in."""
    folder = by.rpartition("/")[0]
    tries = [
        f"{top}{name.removeprefix('./')}{end}" for top in ("", f"{folder}/" if folder else "") for end in ("", ".tex")
    ]
    return next((each for each in tries if each in texts), "")


def _expanded(texts: Mapping[str, str], name: str, paper: str) -> str:
    """A file with those it takes in, to a depth of 20."""
    size = 0

    def within(name: str, way: tuple[str, ...]) -> Iterator[str]:
        nonlocal size
        if name in way or len(way) > DEEPEST:
            raise BadFile(f"{paper}: files of the source take in each other: {' -> '.join((*way, name))[:200]}")
        text, last = texts[name], 0
        for hit in INPUT.finditer(text):
            inner = _found(texts, (hit[1] or hit[2]).strip(), name)
            if inner:
                yield text[last : hit.start()]
                yield from within(inner, (*way, name))
                last = hit.end()
        yield text[last:]

    parts = []
    for part in within(name, ()):
        size += len(part)
        if size > MOST:
            raise BadFile(f"{paper}: the source has more than {MOST:,} characters; it is not read")
        parts.append(part)
    return "".join(parts)


def _body(text: str, paper: str) -> str:
    body = text.partition("\\begin{document}")[2]
    if "\\includepdf" in body and len(re.sub(r"\\\w+(\[[^\]]*\])?(\{[^}]*\})?|\s", "", body)) < 500:
        raise BadFile(f"{paper}: the source only takes in a PDF; there is no LaTeX to read")
    return text


def braced(text: str, start: int, pair: str = "{}") -> tuple[str, int]:
    """(what is in the braces that open at `start`, or after spaces, the place after them); ("", start) for none."""
    place = start
    while place < len(text) and text[place].isspace():
        place += 1
    if place >= len(text) or text[place] != pair[0]:
        return "", start
    depth, at = 0, place
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            at += 2
            continue
        inner = pair != "{}" and sign == "{"
        if inner:  # braces hide the closing bracket
            at = braced(text, at)[1] if braced(text, at)[1] > at else at + 1
            continue
        depth += (sign == pair[0]) - (sign == pair[1])
        at += 1
        if depth == 0:
            return text[place + 1 : at - 1], at
    return "", start


def macros(text: str) -> dict[str, tuple[int, str, str]]:
    """Macros that the paper defines: name -> (number of arguments, default of the first, body)."""
    found = {}
    for hit in DEFINED.finditer(text):
        name = hit[1] or hit[4]
        count = int(hit[2] or 0) if hit[1] else hit[5].count("#")
        found[name] = (count, (hit[3] or "")[1:-1] if hit[3] else "\0", braced(text, hit.end())[0])
    return found


def expanded(text: str, known: Mapping[str, tuple[int, str, str]], paper: str) -> str:
    """A piece of text with the paper's own macros replaced.

    Raises:
        BadFile: a macro calls itself without end.
    """
    if not known or "\\" not in text:
        return text
    called = re.compile(r"\\(" + "|".join(sorted(map(re.escape, known), key=len, reverse=True)) + r")(?![A-Za-z])")
    place = count = 0
    while (hit := called.search(text, place)) is not None:
        count += 1
        if count > MOST_EXPANSIONS or len(text) > LONGEST:
            raise BadFile(f"{paper}: the macro \\{hit[1]} of the source has no end")
        needed, default, body = known[hit[1]]
        end, arguments = hit.end(), list[str]()
        if default != "\0":
            given, after = braced(text, end, "[]")
            arguments, end = [given if after > end else default], after
        while len(arguments) < needed:
            given, after = braced(text, end)
            if after == end:
                break
            arguments.append(given)
            end = after
        for number, given in enumerate(arguments, 1):
            body = body.replace(f"#{number}", given)
        text, place = text[: hit.start()] + body + text[end:], hit.start()
    return text


def plain(text: str) -> str:
    """Markup as plain text: accents, symbols and formulas in Unicode, references and labels left out."""
    text = re.sub(
        r"\\(label|cite[tp]?\*?|citep|footnote|vspace\*?|hspace\*?|index|ref|eqref|pageref)(\[[^\]]*\])*\{[^{}]*\}",
        "",
        text,
    )
    if not re.search(r"[\\${}~^_`'-]", text):
        return spaced(text)
    text = re.sub(r"\\(textcolor|color|fontsize|href|scalebox|resizebox)\{[^{}]*\}", "", text)
    text = re.sub(r"\\(text(tt|sf|bf|it|sc|rm|md|up|sl|normal)|emph|underline|mbox|bm)(?=\s*\{)", "", text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return spaced(_converter().latex_to_text(text))
        except Exception:  # the parser raises its own kinds on broken markup
            return spaced(re.sub(r"\\[A-Za-z]+\*?|[{}$~]", " ", text))


@functools.cache
def _converter():  # noqa: ANN202
    from pylatexenc.latex2text import LatexNodes2Text

    return LatexNodes2Text(math_mode="text", strict_latex_spaces="macros")
