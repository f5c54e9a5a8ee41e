"""A study's settings are a frozen dataclass; its fields are the words of the command line."""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def setting(default: T, help: str) -> T:  # noqa: A002
    """A field with its default and what it means."""
    return dataclasses.field(default=default, metadata={"help": help})


def add_to(parser: argparse.ArgumentParser, kind: type) -> None:
    """One option a field of the dataclass `kind`."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        words: dict[str, Any] = {"default": field.default, "help": f"{field.metadata['help']} (default: %(default)s)"}
        parser.add_argument(f"--{field.name.replace('_', '-')}", **words | _reading(hints[field.name]))


def _reading(hint: Any) -> dict[str, Any]:
    """How argparse reads a value of a type: bool, a tuple, a Literal, one of these or None, or what a call makes."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if kind is tuple:
        return {"nargs": "*", "type": parts[0]}
    if kind is typing.Literal:
        return {"choices": parts}
    if kind is types.UnionType:
        return _reading(next(part for part in parts if part is not types.NoneType))
    return {"type": hint}


def made(kind: type[T], found: argparse.Namespace) -> T:
    """The settings that the command line gave."""
    values = {field.name: getattr(found, field.name) for field in dataclasses.fields(kind)}  # pyright: ignore
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
