"""One command from its words to its exit status: an expected failure is one line, without a traceback."""

import itertools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer

from lleval_jax.cli.app import app
from lleval_jax.cli.shell import compiled, speaking, typed
from lleval_jax.cli.shell.shown import line
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, INTERRUPTED, OK, STOPPED
from lleval_jax.errors import BadInput, DataWarning, LlevalError

EXPECTED = (LlevalError, OSError, MemoryError)  # what a run may end with
DEBUG = "--debug"
ANYWHERE = ("-q", "--quiet", "-v", "--verbose", DEBUG)  # options of every verb, that may also come before it


def status_of(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit status."""
    words = _verb_first(words)
    with typed.remembered(words), speaking.speaking(), _warnings():
        try:
            status = app(list(words), prog_name="lleval", standalone_mode=False) or OK
            sys.stdout.flush()
            return _stopped() if status == INTERRUPTED else status
        except (KeyboardInterrupt, typer.Abort):  # typer makes either of them, or the status, of Ctrl-C
            return _stopped()
        except BrokenPipeError:  # whoever read our output has gone: `lleval ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except typer.TyperException as error:  # words that cannot be parsed
            return _fail(error.format_message(), BAD_INPUT)
        except EXPECTED as error:
            if DEBUG in words:
                traceback.print_exc()
            return _fail(_said(error), BAD_INPUT if isinstance(error, BadInput) else FAILED)


def _verb_first(words: Sequence[str]) -> list[str]:
    """`-q estimate a.csv` as `estimate a.csv -q`."""
    early = list(itertools.takewhile(ANYWHERE.__contains__, words))
    rest = list(words[len(early) :])
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *early, *rest[end:]]


def _stopped() -> int:
    print(STOPPED, file=sys.stderr)
    return INTERRUPTED


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "out of memory; give fewer files, rows or items at once"
    return error.in_shell() if isinstance(error, LlevalError) else str(error)


def _fail(message: str, status: int) -> int:
    print(f"error: {line(message)}", file=sys.stderr)
    return status


@contextmanager
def _warnings() -> Iterator[None]:
    """Our warnings as one line each, every one once."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = _warn(warnings.showwarning)
        yield


def _warn(usual: Callable[..., None]) -> Callable[..., None]:
    """Shows our warnings as one line each; leaves those meant for developers as they are."""
    told = set()

    def show(message, category, filename, lineno, file=None, line_=None) -> None:  # noqa: ANN001
        if compiled.is_broken(str(message)):
            return
        if not issubclass(category, RuntimeWarning | DataWarning):
            usual(message, category, filename, lineno, file, line_)
        elif str(message) not in told:
            told.add(str(message))
            said = message.in_shell() if isinstance(message, DataWarning) else str(message)
            print(f"warning: {line(said)}", file=sys.stderr)

    return show
