"""`lleval`: parses words, calls the library, turns an expected failure into one line and an exit status."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

import lleval_jax as ll
from lleval_jax.cli.ask import ask
from lleval_jax.cli.bank import bank
from lleval_jax.cli.calibrate import calibrate
from lleval_jax.cli.check import check
from lleval_jax.cli.convert import convert
from lleval_jax.cli.estimate import estimate
from lleval_jax.cli.pepr import pepr
from lleval_jax.cli.prompts.quantiles import prompts
from lleval_jax.cli.refresh.group import refresh
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.shown import help_of
from lleval_jax.cli.sloth import sloth
from lleval_jax.errors import BadInput, LlevalError

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 128 + signal.SIGINT
STOPPED = "interrupted"
EXPECTED = (
    LlevalError,
    OSError,
    MemoryError,
)  # what a run may end with: said in one line, without a traceback
WrongWords: type[Exception] = typer.BadParameter.__mro__[2]  # the root of all that typer says of words it cannot parse

app = typer.Typer(
    name="lleval",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (estimate, calibrate, check, ask, convert):
    app.command(help=help_of(verb), no_args_is_help=True)(options.reads(verb))
for verb in (pepr, sloth):
    app.command(help=help_of(verb), no_args_is_help=True)(verb)
app.add_typer(prompts, name="prompts")
app.add_typer(refresh, name="refresh")
app.add_typer(bank, name="bank")


def _version(value: bool) -> None:
    if value:
        print(ll.__version__)
        raise typer.Exit


@app.callback()
def lleval(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """How good is a language model on the whole benchmark, from few answers, and how sure is that?

    Example, with answers that come with the package:

      lleval estimate demo:livexiv-vqa --bank livexiv-vqa
    """


def main() -> NoReturn:
    """The console script."""
    signal.signal(signal.SIGINT, _leave)
    sys.exit(run(sys.argv[1:]))


def _leave(*_: object) -> NoReturn:
    """Ctrl-C: out at once. An exception that surfaces inside a compilation can crash the process instead."""
    if sys.stderr.isatty():
        os.write(2, b"\r\x1b[2K\x1b[?25h")  # wipe the moving line, show the cursor
    os.write(2, f"{STOPPED}\n".encode())
    os._exit(INTERRUPTED)


def run(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit status."""
    with typed.remembered(words), warnings.catch_warnings():
        warnings.simplefilter("always", ll.DataWarning)
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = _warn(warnings.showwarning)
        try:
            status = app(list(words), standalone_mode=False) or OK
            return _stopped() if status == INTERRUPTED else status
        except (KeyboardInterrupt, typer.Abort):  # typer makes either of them, or the status, of Ctrl-C
            return _stopped()
        except BrokenPipeError:  # whoever read our output has gone: `lleval ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except WrongWords as error:
            message: str = error.format_message()  # type: ignore[attr-defined]
            if message.startswith("Usage:"):  # a verb alone: its help is the answer
                print(message, file=sys.stderr)
                return BAD_INPUT
            return _fail(message, BAD_INPUT)
        except EXPECTED as error:
            return _fail(_said(error), BAD_INPUT if isinstance(error, BadInput) else FAILED)


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
    if message:  # none where the help text has been printed instead
        print("error: " + " ".join(message.split()), file=sys.stderr)
    return status


def _warn(usual: Callable[..., None]) -> Callable[..., None]:
    """Shows our warnings as one line each; leaves those meant for developers as they are."""
    told = set()

    def show(message, category, filename, lineno, file=None, line=None) -> None:  # noqa: ANN001
        if not issubclass(category, RuntimeWarning | ll.DataWarning):
            usual(message, category, filename, lineno, file, line)
        elif str(message) not in told:
            told.add(str(message))
            said = message.in_shell() if isinstance(message, ll.DataWarning) else str(message)
            print("warning: " + " ".join(said.split()), file=sys.stderr)

    return show
