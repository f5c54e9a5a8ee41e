"""What HTML pages share: one style, escaped words, cards and tables. No network, no script."""

import html
import importlib.resources
import string
from collections.abc import Iterable, Sequence

from lleval_jax.words import visible

HERE = "lleval_jax.report"


ROW = 20  # height of a line of a picture, in its own units


def filled(body: str, **parts: str) -> str:
    """A page whose body is a template of this folder, with its parts; "title" is one of them."""
    inside = _template(body).substitute(parts)
    style = _read("page.css")
    return _template("page.html").substitute(title=parts["title"], style=style, body=inside)


def _template(name: str) -> string.Template:
    return string.Template(_read(name))


def _read(name: str) -> str:
    return importlib.resources.files(HERE).joinpath(name).read_text(encoding="utf-8")


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


def picture(names: Sequence[str], marks: Iterable[str], label: str, ends: tuple[str, str]) -> str:
    """A line a name, with its marks of SVG next to it, from the left end to the right one."""
    listed = "".join(f"<li>{text(name)}</li>" for name in names)
    svg = f'<svg role="img" aria-label="{text(label)}" height="{len(names) * ROW}">{"".join(marks)}</svg>'
    axis = f'<p class="axis"><span>{text(ends[0])}</span><span>{text(ends[1])}</span></p>'
    return f'<div class="ranks"><ol>{listed}</ol><div>{svg}{axis}</div></div>'
