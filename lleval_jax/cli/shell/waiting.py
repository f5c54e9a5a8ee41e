"""What is going on, on stderr, while a user waits: a spinner on a terminal, lines in a log."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

import lleval_jax as ll

SOON, EVERY = 1.0, 5.0  # seconds to the first line of a log, and between lines


class Waiting:
    """The word for what is going on now; any thread may change it."""

    def __init__(self, now: str) -> None:
        self.now, self.began = now, time.monotonic()

    def say(self, now: str) -> None:
        """Something else is going on from here."""
        self.now = now

    def tell(self, progress: "ll.Progress") -> None:
        """One report of a long call, as its `tell=`; files that are read at once are not counted."""
        small = progress.unit == "bytes" and (progress.total or 0) < 10_000_000
        self.now = progress.word if small else str(progress)

    def __str__(self) -> str:
        return f"{self.now} ({time.monotonic() - self.began:.0f} s)"


@contextlib.contextmanager
def waiting(now: str) -> Iterator[Waiting]:
    """Show what is going on from here to the end of the block."""
    state = Waiting(now)
    tell = _spin if sys.stderr.isatty() else _log
    over = threading.Event()
    teller = threading.Thread(target=tell, args=(state, over), daemon=True)
    teller.start()
    try:
        yield state
    finally:
        over.set()
        teller.join()


def _log(state: Waiting, over: threading.Event) -> None:
    """A plain line after one second, then every five."""
    pause = SOON
    while not over.wait(pause):
        print(state, file=sys.stderr, flush=True)
        pause = EVERY


def _spin(state: Waiting, over: threading.Event) -> None:
    """One moving line that leaves nothing behind."""
    from rich.console import Console  # not needed where nobody watches

    console = Console(stderr=True)
    with console.status(str(state)) as spinner:
        while not over.wait(0.2):
            spinner.update(str(state))
