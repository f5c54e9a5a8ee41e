"""The library of elements that prompts are made of (PEPR): read from TOML, and put together."""

import dataclasses
import functools
import os
import pathlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from lleval_jax.errors import BadInput, nearest, require
from lleval_jax.harness import fields
from lleval_jax.harness.made import digest
from lleval_jax.harness.model import Prompt
from lleval_jax.values.logprobs import BARE, FULL, JOINT, members_of, name_of

Path = str | os.PathLike[str]
PLAIN, CHAT = "{elements}\n\n{input}\n", "{input}"  # templates where none is given
ALONE = re.compile(r"\{elements\}\s*")  # what goes where there is no element


@dataclasses.dataclass(frozen=True)
class Library:
    r"""Elements of prompts, and how a prompt is made of some of them and an input.

    elements  name -> text, in the library's order
    template  where elements and input go; None: "{elements}\n\n{input}\n". Of a chat this is the user's message, and
              None is "{input}". Without any element the blanks after {elements} go too.
    join      what stands between two elements
    chat      whether the model's chat template is used: the elements are the system message

    Raises:
        BadInput: fewer than two elements, an empty one, a name that has a meaning of its own, or a template without
            its places.

    Example:
        >>> library = Library({"role": "You are terse.", "rule": "Answer with a number."})
        >>> library.prompt(["role", "rule"], "What is 2 + 3?")
        'You are terse.\nAnswer with a number.\n\nWhat is 2 + 3?\n'
    """

    elements: Mapping[str, str]
    template: str | None = None
    join: str = "\n"
    chat: bool = False
    where: str = "the library"

    def __post_init__(self) -> None:
        require(len(self.elements) > 1, f"{self.where} has {len(self.elements)} elements; PEPR compares two or more")
        for name, text in self.elements.items():
            _require_name(name, self.where)
            require(bool(text.strip()), f"{self.where}: element {name!r} is empty")
        places = ("input",) if self.chat else ("elements", "input")
        fields.require_fields(self.layout, places, f"{self.where}: template")
        for place in places:
            require(place in fields.fields(self.layout), f"{self.where}: template has no {{{place}}}: {self.layout!r}")

    @property
    def layout(self) -> str:
        """The template that is used."""
        return (CHAT if self.chat else PLAIN) if self.template is None else self.template

    @property
    def end(self) -> str:
        """What stands last in every prompt, whatever is filled in; "" of a chat, or where a place is last."""
        return "" if self.chat else fields.end(self.layout)

    @functools.cached_property
    def digest(self) -> str:
        """Of everything that a prompt depends on."""
        return digest(list(self.elements.items()), self.layout, self.join, self.chat)

    def prompt(self, names: Sequence[str], input: str) -> Prompt:
        """The prompt of these elements, in the order given, and an input."""
        together = self.join.join(self.elements[name] for name in names)
        if not self.chat:
            layout = self.layout if names else ALONE.sub("", self.layout)
            return fields.filled(layout, {"elements": together, "input": input})
        user = ("user", fields.filled(self.layout, {"input": input}))
        return (("system", together), user) if names else (user,)

    def combinations(self, subsets: Sequence[str] = (), *, bare: bool = False) -> dict[str, tuple[str, ...]]:
        """Name -> elements of all that is scored: each alone, all together, these subsets, and perhaps none.

        Raises:
            BadInput: a subset names what is no element, or one twice.
        """
        names = list(self.elements)
        wanted = [*names, FULL, *(name_of(members_of(subset, names), names) for subset in subsets)]
        found = {name: tuple(names) if name == FULL else tuple(name.split(JOINT)) for name in dict.fromkeys(wanted)}
        return found | ({BARE: ()} if bare else {})


def read_library(path: Path) -> Library:
    r"""The library of a TOML file.

        template = "{elements}\n\n{input}\n"   # this is the default; of a chat "{input}"
        join = "\n"                            # between elements; this is the default
        chat = false                           # true: elements are the system message of the model's chat template

        [elements]
        role = "You are a careful assistant."
        rule = "Answer with a number."

    Raises:
        BadInput: the file is none, no TOML, or has other keys; or as `Library`.
    """
    found, name = read_toml(path)
    for key in found:
        known = ("template", "join", "chat", "elements")
        require(key in known, f"{name} has {key!r}; it may have {', '.join(known)}{nearest(key, known)}")
    require("elements" in found, f"{name} has no table [elements]: names of elements and their texts")
    words = {"template": str, "join": str, "chat": bool}
    for key, kind in words.items():
        what = "a text in quotes" if kind is str else "true or false"
        require(isinstance(found.get(key, kind()), kind), f"{name}: {key} is {found.get(key)!r}; it must be {what}")
    given = {key: found[key] for key in words if key in found}
    return Library(texts_in(found["elements"], f"{name}: elements"), **given, where=name)


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """(what a TOML file says, its name)."""
    path = pathlib.Path(path).expanduser()
    require(path.is_file(), f"there is no file {path}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), path.name
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} is not TOML: {error}") from error


def texts_in(table: object, where: str) -> dict[str, str]:
    """A table of names and texts."""
    if not isinstance(table, dict):
        raise BadInput(f"{where} is {table!r}; it must be a table of names and texts")
    for name, text in table.items():
        require(isinstance(text, str), f"{where}.{name} is {text!r}; it must be a text in quotes")
    return dict(table)


def _require_name(name: str, where: str) -> None:
    """`BadInput` for a name that cannot be told from a combination."""
    taken = {FULL: "all elements together", BARE: "the prompt without any"}
    require(name not in taken, f"{where}: no element can be called {name!r}; that is {taken.get(name)}")
    require(JOINT not in name, f"{where}: element {name!r} has {JOINT!r} in its name, which joins elements")
    tidy = bool(name.strip()) and name == name.strip() and len(name.splitlines()) == 1
    require(tidy, f"{where}: element {name!r} needs a name on one line, without blanks around it")
