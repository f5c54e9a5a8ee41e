"""Faults of disks, clocks and stores: a study ends with the table of one that met none."""

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from bench.scale.objects import Faults, Objects
from lleval_jax.errors import BadInput
from lleval_jax.scale import chunks, worker
from lleval_jax.scale.leases import Leases
from lleval_jax.scale.shards import Shard
from lleval_jax.scale.store import Folder, store_at
from lleval_jax.scale.worker import Piece

COUNT, SIZE = 6, 40_000  # chunks, and bytes of one


def piece(chunk: int) -> Piece:
    noise = np.random.default_rng(chunk).integers(0, 256, SIZE, np.uint8)  # which nothing makes smaller
    return Piece(pa.table({"chunk": np.full(SIZE, chunk), "x": noise}), tasks=1, failed=0)


def whole(place) -> None:
    """The table of all chunks is that of a study that met no fault, and nothing else lies there."""
    found = list(chunks.done(place, COUNT))
    expected = pa.concat_tables(piece(chunk).table for chunk in range(COUNT))
    assert pa.concat_tables(chunks.tables(place, found)).equals(expected)
    names = {name(chunk) for chunk in range(COUNT) for name in (chunks.table_name, chunks.receipt_name)}
    assert place.names() == names


@contextlib.contextmanager
def small_disk(folder):
    """A file system that two chunks fit on; gives what makes it larger."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={3 * SIZE}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=10m", str(folder)], check=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def short_files(_):
    """No file of this process may be as long as a chunk, as under a quota; gives what lifts it."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(("disk", "fit"), [(small_disk, 2), (short_files, 0)])
def test_a_full_disk_ends_a_worker_and_loses_nothing(tmp_path, disk, fit):
    with disk(tmp_path) as enlarged:
        place = Folder(tmp_path / "study")
        with pytest.raises(OSError, match="chunk-00000") as raised:
            worker.work(place, COUNT, piece)
        assert str(tmp_path) in str(raised.value.filename)
        assert [each.chunk for each in chunks.done(place, COUNT)] == list(range(fit))
        assert not [path for path in place.place.iterdir() if path.name.startswith(".")]
        enlarged()
        worker.work(place, COUNT, piece)
        whole(place)


def test_a_beat_that_cannot_be_written_holds_nothing_up(tmp_path, monkeypatch):
    place = Folder(tmp_path)
    failed = threading.Event()

    def put(name: str, content: bytes) -> None:
        if name.endswith(".lease"):
            failed.set()
            raise OSError("no space")
        Folder(tmp_path).put(name, content)

    monkeypatch.setattr(place, "put", put)
    worker.work(place, COUNT, lambda chunk: failed.wait(5) and piece(chunk), leases=Leases(place, beat=0.01))
    whole(place)


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_is_set_takes_no_lease_and_no_chunk(tmp_path, monkeypatch, jump):
    place = Folder(tmp_path)
    worker.work(place, 3, piece)
    mine, other = Leases(place, beat=0.02), Leases(place, patience=0.3)
    assert mine.take(3)
    with mine.held(3):
        assert not other.take(3)
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        for path in tmp_path.iterdir():
            with contextlib.suppress(FileNotFoundError):  # a lease, as it beats
                os.utime(path, (now() - jump, now() - jump))
        for _ in range(10):
            assert not other.take(3)
            time.sleep(0.05)
    asked = []
    worker.work(place, COUNT, lambda chunk: asked.append(chunk) or piece(chunk), leases=other)
    assert asked == [3, 4, 5]
    whole(place)


def test_two_who_do_the_same_chunks_write_the_same(tmp_path):
    place, start = Folder(tmp_path), threading.Barrier(2)

    class Rash(Leases):
        def take(self, chunk: int) -> bool:
            super().take(chunk)
            return True

    def slow(chunk: int) -> Piece:
        with contextlib.suppress(threading.BrokenBarrierError):
            start.wait(0.3)
        return piece(chunk)

    threads = [
        threading.Thread(target=worker.work, args=(place, COUNT, slow), kwargs={"leases": Rash(place, beat=0.01)})
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    whole(place)


def test_a_store_that_fails_and_is_slow_gives_the_same_table():
    with Objects(Faults(failed=0.05, slow=0.1, seconds=0.05)) as server:
        places = [store_at(server.address("bucket/studies/one")) for _ in range(2)]
        asked = []
        threads = [
            threading.Thread(
                target=worker.work,
                args=(place, COUNT, lambda chunk: asked.append(chunk) or piece(chunk)),
                kwargs={"shard": Shard(number, 2)},
            )
            for number, place in enumerate(places)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        whole(places[0])
        assert set(asked) == set(range(COUNT))
        table = chunks.table_name(2)
        server.kept[f"bucket/studies/one/{table}"] = server.kept[f"bucket/studies/one/{table}"][:-1]
        worker.work(places[1], COUNT, piece)
        whole(places[1])
        assert server.asked["failed"] > 2


@pytest.mark.slow  # what speaks S3 tries ten times
def test_a_store_that_always_fails_is_named():
    with Objects() as server:
        place = store_at(server.address("bucket/one"))
        assert "secret" not in str(place)
        server.faults = Faults(failed=1.0)
        with pytest.raises(OSError, match="bucket"):
            place.get("run.json")


def test_a_place_that_cannot_be_is_refused():
    with pytest.raises(BadInput, match=r"nowhere://x/y cannot be reached|needs fsspec"):
        store_at("nowhere://x/y")


def test_many_objects_are_listed_whole():
    with Objects() as server:
        place = store_at(server.address("bucket/many"))
        server.kept |= {f"bucket/many/{number}": b"" for number in range(2500)}
        assert place.names() == {f"{number}" for number in range(2500)}
