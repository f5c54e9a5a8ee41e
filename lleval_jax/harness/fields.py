"""Templates: texts with places such as {input} that are filled in."""

import re
from collections.abc import Mapping, Sequence

from lleval_jax.errors import nearest, require

PLACE = re.compile(r"\{\{(\w+)\}\}|\{([^\W\d]\w*)\}")  # {{word}} is {word} itself; other braces are as they are


def require_fields(template: str, known: Sequence[str], where: str) -> None:
    """`BadInput` for a place that nothing fills."""
    for name in fields(template):
        some = ", ".join(f"{{{one}}}" for one in known[:12])
        hint = f"there are {some}{nearest(name, known)}; a word in braces itself is written {{{{{name}}}}}"
        require(name in known, f"{where} has {{{name}}}, which nothing fills; {hint}")


def fields(template: str) -> list[str]:
    """The names of its places."""
    return [found[2] for found in PLACE.finditer(template) if found[2]]


def end(template: str) -> str:
    """What comes after its last place."""
    return filled(template[max([found.end() for found in PLACE.finditer(template) if found[2]], default=0) :], {})


def filled(template: str, values: Mapping[str, str]) -> str:
    """With all places filled, in one pass: what is put in may hold braces.

    Example:
        >>> filled("Q: {question} {{x}}", {"question": "f{x}?"})
        'Q: f{x}? {x}'
    """
    return PLACE.sub(lambda found: f"{{{found[1]}}}" if found[1] else values[found[2]], template)
