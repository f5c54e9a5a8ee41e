"""How far the work is, on stderr: a bar with the share done and the time left on a terminal, lines in a log."""

import contextlib
import dataclasses
import os
import sys
import threading
import time
from collections.abc import Iterator

from lleval_jax.cli.shell import speaking
from lleval_jax.cli.shell.shown import line
from lleval_jax.values.progress import Progress

SOON, EVERY = 1.0, 5.0  # seconds to the first line of a log, and between lines
LOOK = 0.2  # seconds between two looks on a terminal
LARGE = 10_000_000  # bytes from which it is said how many are read
FITTING = "fitting"  # what every fit says of itself
SURE = 2.0  # seconds of a part of the work before the time left is said


class Reporter:
    """What is going on now and how far it is; any thread may say."""

    def __init__(self, word: str) -> None:
        self.began = self.since = time.monotonic()
        self.now, self.part = Progress(word), word

    def say(self, word: str) -> None:
        """Another part of the work begins, which does not say how far it is."""
        self.part = word.partition(";")[0]
        self.tell(Progress(word))

    def tell(self, progress: Progress) -> None:
        """How far the work is: the `tell=` of every long call."""
        if progress.word == FITTING:  # of which part of the work, the caller has said
            progress = dataclasses.replace(progress, word=self.part)
        if progress.unit == "bytes" and (progress.total or 0) < LARGE:
            progress = Progress(progress.word)  # read before anybody asks how far that is
        if progress.word != self.now.word or progress.done < self.now.done:
            self.end()
        self.now = progress

    def end(self) -> None:
        """This part of the work is over."""
        moment = time.monotonic()
        speaking.log.debug("%s: %.1f s", self.now.word, moment - self.since)
        self.since = moment

    def left(self, now: Progress) -> float | None:
        """Seconds to the end of this part of the work, at its pace so far; None where that is not known."""
        passed = time.monotonic() - self.since
        if not now.share or passed < SURE or now.rate:  # with a rate it says so itself
            return None
        return passed * (1 - now.share) / now.share

    def said(self) -> tuple[str, str]:
        """What is going on, and how far that is."""
        now = self.now
        left = self.left(now) if now.left is None else None  # or it is said already
        words = [f"{now.share:.0%}" if now.share is not None else "", f"{time.monotonic() - self.began:.0f} s"]
        words += [] if left is None else [f"about {_time(left)} left"]
        return line(str(now)), ", ".join(filter(None, words))

    def __str__(self) -> str:
        return "{} ({})".format(*self.said())


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


@contextlib.contextmanager
def reporting(word: str) -> Iterator[Reporter]:
    """Show how far the work is from here to the end of the block; not at all with -q."""
    reporter = Reporter(word)
    if speaking.is_quiet():
        yield reporter
        return
    moving = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    over = threading.Event()
    teller = threading.Thread(target=_bar if moving else _log, args=(reporter, over), daemon=True)
    teller.start()
    try:
        yield reporter
    finally:
        over.set()
        teller.join()
        reporter.end()


def _log(reporter: Reporter, over: threading.Event) -> None:
    """A plain line after one second, then every five."""
    pause = SOON
    while not over.wait(pause):
        print(reporter, file=sys.stderr, flush=True)
        pause = EVERY


def _bar(reporter: Reporter, over: threading.Event) -> None:
    """One moving line that leaves nothing behind; what others print on stderr meanwhile stands above it."""
    from rich.console import Console  # not needed where nobody watches
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Moving

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20))
    after = TextColumn("{task.fields[after]}", markup=False)
    console = Console(stderr=True, highlight=False)
    with Moving(*columns, after, console=console, transient=True, redirect_stdout=False) as moving:
        task = moving.add_task("", total=None, after="")
        while True:
            now, (word, after_it) = reporter.now, reporter.said()
            moving.update(task, description=word, total=now.total, completed=now.done, after=after_it)
            if over.wait(LOOK):
                return
