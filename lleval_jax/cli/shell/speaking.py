"""What is said besides the answer, on stderr: notes, and with -v each part of the work with its seconds.

All of it goes through `logging.getLogger("lleval_jax")`. A note is INFO, a part of the work DEBUG. -q lets nothing
below WARNING through, and shows no progress. Warnings and errors stay: they may change what a number means.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator

from lleval_jax.cli.shell.shown import line

log = logging.getLogger("lleval_jax")
QUIET, USUAL, WORDY = logging.WARNING, logging.INFO, logging.DEBUG


class _Lines(logging.Handler):
    """Each record as one line on what stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(line(record.getMessage()), file=sys.stderr, flush=True)


@contextlib.contextmanager
def speaking() -> Iterator[None]:
    """Show what is logged inside the block, from notes upwards, until -q or -v says otherwise."""
    before, lines = (log.level, log.propagate), _Lines()
    log.addHandler(lines)
    log.propagate = False
    log.setLevel(USUAL)
    try:
        yield
    finally:
        log.removeHandler(lines)
        log.level, log.propagate = before


def quiet(asked: bool) -> None:
    """-q."""
    if asked:
        log.setLevel(QUIET)


def wordy(asked: bool) -> None:
    """-v."""
    if asked:
        log.setLevel(WORDY)


def is_quiet() -> bool:
    """Whether -q was given."""
    return log.level == QUIET


def note(text: str) -> None:
    """Something that is decided for the user, such as a table that is used where none is named."""
    log.info("%s", text)
