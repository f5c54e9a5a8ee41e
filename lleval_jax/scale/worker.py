"""A worker: takes chunks that are not done, does them, writes them, until all are done."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pyarrow as pa

from lleval_jax.scale import chunks
from lleval_jax.scale.chunks import Receipt
from lleval_jax.scale.leases import Leases
from lleval_jax.scale.shards import Shard
from lleval_jax.scale.store import Store
from lleval_jax.values.progress import Progress, Tell, silent

WAIT = 0.5  # seconds between two looks at what others are doing


class Piece(NamedTuple):
    """What a chunk gives.

    table   rows of all its tasks
    tasks   how many there are
    failed  how many of them failed
    """

    table: pa.Table
    tasks: int
    failed: int


def work(
    store: Store,
    count: int,
    run: Callable[[int], Piece],
    *,
    shard: Shard = Shard(),  # noqa: B008  immutable
    leases: Leases | None = None,
    stop: Callable[[], bool] = lambda: False,
    tell: Tell = silent,
) -> list[Receipt]:
    """Do chunks until all of this worker's are done, by it or by others.

    Args:
        store: of the study.
        count: chunks of the study.
        run: does a chunk; the same number always gives the same.
        shard: which worker this is.
        leases: of this worker.
        stop: whether to leave after the chunk that is being done.
        tell: called with the chunks done.

    Returns:
        Receipts of the chunks that are done, in order.
    """
    leases = Leases(store) if leases is None else leases
    known = {each.chunk: each for each in chunks.done(store, count)}
    mine = shard.order(count)
    left = dict.fromkeys(chunk for chunk in mine if chunk not in known)
    began, here = time.perf_counter(), 0
    tell(Progress("chunks", len(mine) - len(left), len(mine), unit="chunks"))
    while left and not stop():
        taken = next((chunk for chunk in left if leases.take(chunk)), None)
        if taken is None:
            time.sleep(WAIT)  # others are at work on what is left
            found = _since(store, left)
        else:
            with leases.held(taken):
                receipt = chunks.receipt(store, taken)  # another may have done it since
                if receipt is None:
                    receipt = _done(store, taken, run)
                    here += 1
            found = {taken: receipt}
        known |= found
        for chunk in found:
            del left[chunk]
        rate = here / (time.perf_counter() - began) or None
        tell(Progress("chunks", len(mine) - len(left), len(mine), unit="chunks", rate=rate))
    return [known[chunk] for chunk in sorted(known)]


def _done(store: Store, chunk: int, run: Callable[[int], Piece]) -> Receipt:
    first = time.perf_counter()
    piece = run(chunk)
    seconds = time.perf_counter() - first
    return chunks.keep(store, chunk, piece.table, tasks=piece.tasks, failed=piece.failed, seconds=seconds)


def _since(store: Store, left: Iterable[int]) -> dict[int, Receipt]:
    """What others have done of these."""
    names = store.names()
    found = [chunks.receipt(store, chunk) for chunk in left if chunks.receipt_name(chunk) in names]
    return {each.chunk: each for each in found if each is not None}
