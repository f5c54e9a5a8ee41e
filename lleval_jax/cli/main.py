"""`lleval`: the way in. It loads nothing that takes long, so that Ctrl-C is met from the first moment."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from lleval_jax.cli.shell.status import FAILED, INTERRUPTED, STOPPED


def main() -> NoReturn:
    """The console script, and `python -m lleval_jax`."""
    signal.signal(signal.SIGINT, _leave)
    _streams()
    from lleval_jax.cli.shell import compiled

    compiled.keep()
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit status."""
    from lleval_jax.cli.running import status_of

    return status_of(words)


def _leave(*_: object) -> NoReturn:
    """Ctrl-C: out at once. An exception that surfaces inside a compilation can crash the process instead."""
    if os.isatty(2):
        os.write(2, b"\r\x1b[2K\x1b[?25h")  # wipe the moving line, show the cursor
    os.write(2, f"{STOPPED}\n".encode())
    os._exit(INTERRUPTED)


def _streams() -> None:
    """Output that is closed is said before the work; a name that an encoding cannot hold is written as an escape."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        print("error: standard output is closed; send it to /dev/null if it is not wanted", file=sys.stderr)
        sys.exit(FAILED)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
