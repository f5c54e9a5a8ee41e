"""The few ways a call can be wrong, each with its own name; and the checks that say so everywhere alike."""

import difflib
import pathlib
import sys
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")
PACKAGE = f"{pathlib.Path(__file__).parent}/"


class _TwoFaced(Exception):
    """What is wrong, and what to do about it in the words of Python and of the shell, where these differ."""

    def __init__(self, what: str = "", *, python: str = "", shell: str = "") -> None:
        super().__init__(what)  # type: ignore[call-arg]  # an exception comes next in each class
        self.what, self.python, self.shell = what, python, shell

    def __str__(self) -> str:
        return " ".join(filter(None, (self.what, self.python)))

    def in_shell(self) -> str:
        """The message for a user who typed a command: "--scale 1 10" where Python is told "scale=(1, 10)"."""
        return " ".join(filter(None, (self.what, self.shell)))


class LlevalError(_TwoFaced, Exception):
    """Base of every error raised on purpose by lleval_jax."""


class BadInput(LlevalError, ValueError):
    """The data handed in cannot be what the caller meant."""


class BadFile(BadInput):
    """A file as a whole gives no answer: it is damaged, cut short or empty. Among others it is left out and named."""


class NothingScored(BadFile):
    """A file of answers none of which has a score."""


class BankMismatch(BadInput):
    """The answers and the item bank do not belong together."""


class NotConverged(LlevalError, RuntimeError):
    """A solver stopped before its tolerance was met."""


class Stopped(LlevalError, RuntimeError):
    """A run was asked to leave, and did once its state was kept: the same call goes on from there."""


class RunFailed(LlevalError, RuntimeError):
    """Another program that was started did not do its work."""


class NoReply(LlevalError, RuntimeError):
    """A model that was asked gave no reply to one request; others may get theirs."""


class NoServer(NoReply):
    """No request will get a reply: the server is down, or refuses the key or the model. Asking on is of no use."""


class DataWarning(_TwoFaced, UserWarning):
    """Something in the data was counted and set aside; `strict=True` makes it a `BadInput`."""


class GuessWarning(DataWarning):
    """How data was read where nothing in it says so outright; no error under `strict=True`, for nothing was lost."""


def require(condition: bool, message: str, *, python: str = "", shell: str = "") -> None:
    """Raise `BadInput(message)` unless `condition` holds; what to do about it as each face says it."""
    if not condition:
        raise BadInput(message, python=python, shell=shell)


def require_level(level: float) -> None:
    """Raise `BadInput` unless `level`, the coverage of an interval, lies strictly between 0 and 1."""
    require(0 < level < 1, f"level is {level}; it must lie strictly between 0 and 1")


def nearest(name: str, names: Iterable[str]) -> str:
    """The hint "; did you mean 'a' or 'b'?" with the names nearest to one that is not known, or "" if none is near."""
    lower = {one.lower(): one for one in names}
    near = [lower[one] for one in difflib.get_close_matches(name.lower(), sorted(lower), 3, 0.5)]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def require_known(name: str, names: Iterable[str], what: str) -> None:
    """Raise `BadInput` with the nearest names, and all that there are, unless `name` is one of `names`."""
    names = tuple(names)
    require(name in names, f"{what} {name!r} is not known; there are {', '.join(names)}{nearest(str(name), names)}")


def chosen(table: Mapping[str, T], name: str, what: str) -> T:
    """The entry of a registry: `chosen(METHODS, "mixed", "method")`. `BadInput` as by `require_known`."""
    require_known(name, table, what)
    return table[name]


def outside() -> int:
    """The `stacklevel` with which the caller's warning points at the first line outside of this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
