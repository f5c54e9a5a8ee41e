"""Who is at work on which chunk. A lease that no longer beats is taken over; clocks of machines need not agree.

A holder counts on in its lease every `BEAT` seconds. Who wants a chunk that is held watches, by its own clock, whether
the lease still changes; after `PATIENCE` seconds without a change the holder is taken for dead. Two may then be at work
on one chunk, where a holder only slept: both write the same, so that nothing is lost but time.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator

from lleval_jax.scale.store import Store

BEAT, PATIENCE = 5.0, 30.0  # seconds


class Leases:
    """Of one worker.

    Args:
        store: of the study.
        beat: seconds between two signs of life.
        patience: seconds after which a lease that does not change is free.
    """

    def __init__(self, store: Store, *, beat: float = BEAT, patience: float = PATIENCE) -> None:
        self.store, self.beat, self.patience = store, beat, patience
        self.me = secrets.token_hex(8)
        self._seen: dict[int, tuple[bytes, float]] = {}  # chunk -> a lease of another, and since when it is so

    def take(self, chunk: int) -> bool:
        """Whether the chunk is ours now."""
        if self.store.add(_name(chunk), self._sign(0)):
            return True
        if self._is_alive(chunk):
            return False
        self.store.remove(_name(chunk))
        return self.store.add(_name(chunk), self._sign(0))

    @contextlib.contextmanager
    def held(self, chunk: int) -> Iterator[None]:
        """A chunk of ours, which others see to be at work during the block, and which is free after it."""
        over = threading.Event()
        thread = threading.Thread(target=self._beat, args=(chunk, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.store.remove(_name(chunk))

    def _is_alive(self, chunk: int) -> bool:
        now, found = time.monotonic(), self.store.get(_name(chunk))
        if found is None:
            return False
        before, since = self._seen.get(chunk, (b"", now))
        if found != before:
            self._seen[chunk] = (found, now)
            return True
        return now - since < self.patience

    def _beat(self, chunk: int, over: threading.Event) -> None:
        count = 0
        while not over.wait(self.beat):
            count += 1
            with contextlib.suppress(OSError):  # a full disk, a store that is not there: the next beat may be seen
                self.store.put(_name(chunk), self._sign(count))

    def _sign(self, count: int) -> bytes:
        return f"{self.me} {count}".encode()


def _name(chunk: int) -> str:
    return f"chunk-{chunk:06}.lease"
