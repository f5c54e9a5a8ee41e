"""What a chunk leaves: `chunk-000123.parquet`, and `chunk-000123.json`, the receipt with its hash, written after it.

A chunk is done where both are there and the hash is that of the table: a table that was cut short, or in which a bit
has turned, is done again.
"""

import functools
import hashlib
import io
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lleval_jax.scale.store import Store


class Receipt(msgspec.Struct):
    """Of a chunk that is done.

    chunk    its number
    sha256   of its table's file
    rows     of the table
    tasks    that it holds
    failed   how many of them failed
    seconds  that they took
    worker   host and process
    """

    chunk: int
    sha256: str
    rows: int
    tasks: int
    failed: int
    seconds: float
    worker: str


def table_name(chunk: int) -> str:
    """The name of its table."""
    return f"chunk-{chunk:06}.parquet"


def receipt_name(chunk: int) -> str:
    """The name of its receipt."""
    return f"chunk-{chunk:06}.json"


def keep(store: Store, chunk: int, table: pa.Table, *, tasks: int, failed: int, seconds: float) -> Receipt:
    """Write the table of a chunk, then its receipt."""
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    content = out.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    receipt = Receipt(chunk, digest, table.num_rows, tasks, failed, round(seconds, 3), worker())
    store.put(table_name(chunk), content)
    store.put(receipt_name(chunk), msgspec.json.encode(receipt))
    return receipt


def receipt(store: Store, chunk: int) -> Receipt | None:
    """Of a chunk that is done and whole; else None."""
    found, content = store.get(receipt_name(chunk)), store.get(table_name(chunk))
    if found is None or content is None:
        return None
    try:
        known = msgspec.json.decode(found, type=Receipt)
    except msgspec.DecodeError:
        return None
    whole = known.chunk == chunk and known.sha256 == hashlib.sha256(content).hexdigest()
    return known if whole else None


def done(store: Store, count: int) -> Iterator[Receipt]:
    """Receipts of all chunks that are done, in order."""
    names = store.names()
    there = [chunk for chunk in range(count) if receipt_name(chunk) in names and table_name(chunk) in names]
    with ThreadPoolExecutor(store.readers) as pool:
        yield from (found for found in pool.map(functools.partial(receipt, store), there) if found is not None)


def tables(store: Store, receipts: list[Receipt]) -> Iterator[pa.Table]:
    """The tables of chunks, in order."""
    for each in receipts:
        yield pq.read_table(io.BytesIO(store.get(table_name(each.chunk)) or b""))


def schema(store: Store, receipt: Receipt) -> pa.Schema:
    """The columns of a chunk's table."""
    return pq.read_schema(io.BytesIO(store.get(table_name(receipt.chunk)) or b""))


def worker() -> str:
    """Who this is."""
    return f"{socket.gethostname()}:{os.getpid()}"
