"""Plain English: messages, tables, docstrings and pages use the field's words (docs/glossary.md)."""

import ast
import pathlib
import re

import pytest
from books import BOOKS, lines

ROOT = pathlib.Path(__file__).parents[1]
INSTEAD = {  # what is not used -> what is
    r"(?<!refresh\.)foretell\w*|foretold": "predict",
    r"how sure(ly)?\b|as sure as": "its interval, its probability, confidence",
    r"nobody|everybody|somebody": "none, all, someone; or say what is missing",
    r"\bbeside\b": "next to, with, besides",
    r"\b(tell|tells|told) (them|models|items|\w+ and \w+)? ?apart": "distinguish",
    r"\bat hand\b": "available",
    r"\b(is|are|be) dear\b": "expensive",
    r"in earnest": "in practice",
    r"half belief": "depends largely on the prior",
    r"\bstands? (there|here)\b": "is there",
    r"nothing speaks against": "can be",
    r"go(es)? together beyond": "local dependence",
    r"\bdealt anew\b|\banew\b": "again, shuffled",
    r"\bso (hard|idle) or so\b": "say what is wrong with the item",
    r"\blie apart\b": "differ significantly",
    r"\b(intervals?|it|they) (hold|holds|held) (the|its|their|their own|a) (truth|score|scores)": "contain",
    r"has not what it takes": "lacks what it needs",
    r"\bthe safe side\b": "conservative",
    r"\bpoints off\b": "mean error in points",
    r"\bdroll|\blest\b": "say it simply",
    r"nothing is half-written": "say what was written",
    r"\bis no picture\b": "is not a picture file",
}
WORDS = {re.compile(word, re.IGNORECASE): instead for word, instead in INSTEAD.items()}
OLD = {"lleval_jax/data/schema_1.py", "lleval_jax/renamed.py"}  # they name what earlier versions had
PAGES = [
    *BOOKS,
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("models/**/*.md"),
    *ROOT.glob("lleval_jax/**/*.md"),
]
SOURCES = [path for path in sorted(ROOT.glob("lleval_jax/**/*.py")) if path.relative_to(ROOT).as_posix() not in OLD]


def texts(path: pathlib.Path):
    """(line, text) of all that a reader of the page, or of the program and its help, sees."""
    if path.suffix == ".md":
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        return
    if path.suffix == ".ipynb":
        yield from lines(path)
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), node.lineno)


@pytest.mark.parametrize("path", [*SOURCES, *PAGES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words_of_the_field(path):
    found = [
        f"{path.relative_to(ROOT)}:{line}: {hit.group()!r}; say: {instead}"
        for line, text in texts(path)
        for word, instead in WORDS.items()
        if (hit := word.search(text))
    ]
    assert not found, "\n".join(found)


def test_the_glossary_is_in_order():
    rows = re.findall(r"^\| ([a-zA-Z][^|]*?) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)[1:]
    assert rows == sorted(rows, key=str.lower)
