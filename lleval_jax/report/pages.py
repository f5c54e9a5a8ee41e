"""What HTML pages share: one style, escaped words, cards and tables. No network, no script."""

import html
import importlib.resources
import string
from collections.abc import Iterable, Sequence

from lleval_jax.words import visible

HERE = "lleval_jax.report"


def filled(template: str, **parts: str) -> str:
    """A template of this folder with its parts; "style" is that of all pages."""
    folder = importlib.resources.files(HERE)
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    return string.Template(folder.joinpath(template).read_text(encoding="utf-8")).substitute(style=style, **parts)


def text(words: str) -> str:
    """Escaped; of one line also without what a terminal or a browser would not show."""
    return html.escape(visible(words)) if "\n" not in words else html.escape(words)


def card(name: str, value: str) -> str:
    """A fact."""
    return f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """The inside of a table."""
    top = "".join(f"<th>{text(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
