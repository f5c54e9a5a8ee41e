"""Many requests of one client: several at a time, replies in order, failures kept apart, no asking on in vain."""

import itertools
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

from lleval_jax.errors import BadInput, NoReply, NoServer, require
from lleval_jax.lm.client import Client, Failed, Reply, Request
from lleval_jax.lm.replies import Cached
from lleval_jax.values.progress import Progress, Tell, silent

AHEAD = 1024  # replies that may wait for an earlier one
Found = Reply | Failed
_Jobs = queue.SimpleQueue[tuple[int, Request] | None]
_Done = queue.SimpleQueue[tuple[int, Found | BaseException]]


def complete_all(
    client: Client, requests: Iterable[Request], *, at_once: int | None = None, tell: Tell = silent
) -> Iterator[Found]:
    """The replies to many requests, in the order of the requests, each as soon as it and all before it are there.

    One that gets no reply is a `Failed` in its place, and the others go on. With `lm.cached(client)` every reply is
    kept the moment it comes, so a run that was stopped or killed goes on where it was: ask for the same again.

    Args:
        client: any client. One that answers batches is given batches.
        requests: any number of them; read a little ahead of what is taken.
        at_once: requests under way at a time; None: as many as the client says, else one.
        tell: is called with the number that is done.

    Returns:
        An iterator of a `Reply` or a `Failed` for each request.

    Raises:
        NoServer: no further request would get a reply: the server is down, or refuses the key or the model.

    Example:
        ```python
        for request, reply in zip(requests, lm.complete_all(client, requests, tell=print)):
            print(reply.reason if isinstance(reply, lm.Failed) else reply.text)
        ```
    """
    most: int = getattr(client, "at_once", 1) if at_once is None else at_once
    require(most >= 1, f"at_once is {most}; it must be at least 1")
    return _replies(client, requests, most, _Told(tell, len(requests) if isinstance(requests, Sized) else None))


def _replies(client: Client, requests: Iterable[Request], at_once: int, told: "_Told") -> Iterator[Found]:
    try:
        if getattr(client, "batch", 0):
            yield from _in_batches(client, requests, told)
        else:
            yield from _in_threads(client, requests, at_once, told)
    except NoServer as error:
        raise told.stopped(error, isinstance(client, Cached)) from None


class _Told:
    """Counts what is done, for `tell` and for the last message."""

    def __init__(self, tell: Tell, total: int | None) -> None:
        self.tell, self.total, self.done, self.replies = tell, total, 0, 0

    def add(self, found: Sequence[Found]) -> None:
        self.done += len(found)
        self.replies += sum(isinstance(each, Reply) for each in found)
        self.tell(Progress("asking", self.done, self.total, unit="requests"))

    def stopped(self, error: NoServer, kept: bool) -> NoServer:
        """The error that ends a run, with what there is."""
        of = "" if self.total is None else f" of {self.total:,}"
        count = f"{self.replies:,}{of} replies had come"
        text = f"{count} and are kept: run it again to go on." if kept and self.replies else f"{count}."
        return NoServer(f"{error.what} {text}", python=error.python, shell=error.shell)


def _in_batches(client: Any, requests: Iterable[Request], told: _Told) -> Iterator[Found]:
    waiting = iter(requests)
    while some := list(itertools.islice(waiting, client.batch)):
        found = client.complete_batch(some)
        told.add(found)
        yield from found


def _in_threads(client: Client, requests: Iterable[Request], at_once: int, told: _Told) -> Iterator[Found]:
    """Threads that do not outlive the process: Ctrl-C need not wait for a server."""
    jobs, done, over = _Jobs(), _Done(), threading.Event()
    feed = ((jobs.put(job), 1)[1] for job in enumerate(requests))
    early: dict[int, Found] = {}
    given = sum(itertools.islice(feed, AHEAD))
    threads = [
        threading.Thread(target=_work, args=(client, jobs, done, over), daemon=True) for _ in range(min(at_once, given))
    ]
    try:
        for thread in threads:
            thread.start()
        for at in itertools.count():
            if at == given:
                return
            while at not in early:
                place, found = done.get()
                if isinstance(found, BaseException):
                    raise found
                early[place] = found
                told.add([found])
            given += sum(itertools.islice(feed, 1))
            yield early.pop(at)
    finally:
        over.set()
        for _ in threads:
            jobs.put(None)


def _work(client: Client, jobs: _Jobs, done: _Done, over: threading.Event) -> None:
    """One thread: a request after the other, until there are no more or asking is of no use."""
    while (job := jobs.get()) is not None and not over.is_set():
        at, request = job
        try:
            done.put((at, _asked(client, request)))
        except BaseException as error:  # it is raised again in the caller's thread
            over.set()
            done.put((at, error))


def _asked(client: Client, request: Request) -> Found:
    try:
        return client.complete(request)
    except NoServer:
        raise
    except (NoReply, BadInput) as error:
        return Failed(request, str(error))
