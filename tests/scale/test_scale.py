"""Chunks, leases, shards, stores: what is done is known, what is damaged is done again, the dead are taken over."""

import collections
import itertools
import threading
import time

import pyarrow as pa
import pytest

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.scale import chunks, same_run, worker
from lleval_jax.scale.leases import Leases
from lleval_jax.scale.shards import Shard, shard
from lleval_jax.scale.store import Folder, Remote
from lleval_jax.scale.worker import Piece


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    if request.param == "folder":
        return Folder(tmp_path / "study")
    pytest.importorskip("fsspec", reason="needs the extra `remote`")
    return Remote(f"memory://{tmp_path.name}")


def piece(chunk: int) -> Piece:
    return Piece(pa.table({"chunk": [chunk] * 3, "x": [0.5 * chunk, 1.0, 2.0]}), tasks=2, failed=chunk % 2)


def test_a_store_keeps_bytes_by_name(store):
    assert (store.get("a"), store.names()) == (None, set())
    store.put("a", b"one")
    assert not store.add("a", b"two")
    assert store.add("b", b"three")
    assert (store.get("a"), store.get("b"), store.names()) == (b"one", b"three", {"a", "b"})
    store.remove("a")
    store.remove("a")
    assert store.names() == {"b"}


def test_of_many_who_add_at_once_one_succeeds(tmp_path):
    store, start, won = Folder(tmp_path), threading.Barrier(8), []

    def add(who: int) -> None:
        start.wait()
        if store.add("lease", str(who).encode()):
            won.append(who)

    threads = [threading.Thread(target=add, args=(who,)) for who in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [store.get("lease")] == [str(who).encode() for who in won]


def test_a_chunk_is_done_where_its_table_is_whole(store):
    kept = chunks.keep(store, 4, piece(4).table, tasks=2, failed=0, seconds=1.0)
    assert chunks.receipt(store, 4) == kept
    assert [each.chunk for each in chunks.done(store, 9)] == [4]
    content = store.get(chunks.table_name(4))
    for broken in (content[:-1], content[:20] + bytes([content[20] ^ 1]) + content[21:], b""):
        store.put(chunks.table_name(4), broken)
        assert chunks.receipt(store, 4) is None
    store.put(chunks.table_name(4), content)
    store.put(chunks.receipt_name(4), b'{"chunk": 4')
    assert chunks.receipt(store, 4) is None


def test_all_chunks_are_done_once_and_only_what_is_missing_again(store):
    asked = collections.Counter()

    def counted(chunk: int) -> Piece:
        asked[chunk] += 1
        return piece(chunk)

    receipts = worker.work(store, 7, counted)
    assert [each.chunk for each in receipts] == list(range(7))
    assert asked == dict.fromkeys(range(7), 1)
    store.put(chunks.table_name(3), b"cut")
    store.remove(chunks.receipt_name(5))
    worker.work(store, 7, counted)
    assert asked == {**dict.fromkeys(range(7), 1), 3: 2, 5: 2}
    table = pa.concat_tables(chunks.tables(store, list(chunks.done(store, 7))))
    assert table["chunk"].to_pylist() == [chunk for chunk in range(7) for _ in range(3)]
    assert not [name for name in store.names() if name.endswith(".lease")]


def test_workers_share_the_chunks(tmp_path):
    store, asked = Folder(tmp_path), collections.Counter()

    def slow(chunk: int) -> Piece:
        asked[chunk] += 1
        time.sleep(0.02)
        return piece(chunk)

    threads = [
        threading.Thread(target=worker.work, args=(store, 20, slow), kwargs={"shard": Shard(k, 3)}) for k in range(3)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert asked == dict.fromkeys(range(20), 1)


def test_a_lease_that_no_longer_beats_is_taken_over(store):
    dead, other = Leases(store), Leases(store, patience=0.2)
    assert dead.take(0)
    assert not other.take(0)
    time.sleep(0.1)
    store.put("chunk-000000.lease", b"still alive")
    assert not other.take(0)
    time.sleep(0.1)
    assert not other.take(0)
    time.sleep(0.15)
    assert other.take(0)


def test_a_lease_that_beats_is_kept_and_free_afterwards(store):
    mine, other = Leases(store, beat=0.02), Leases(store, patience=0.2)
    assert mine.take(0)
    with mine.held(0):
        for _ in range(10):
            assert not other.take(0)
            time.sleep(0.05)
    assert other.take(0)


def test_work_goes_on_where_a_worker_died(tmp_path):
    store = Folder(tmp_path)
    assert Leases(store).take(2)  # and dies
    receipts = worker.work(store, 4, piece, leases=Leases(store, patience=0.3))
    assert [each.chunk for each in receipts] == [0, 1, 2, 3]


def test_a_worker_that_is_asked_to_leave_finishes_its_chunk(tmp_path):
    store, done = Folder(tmp_path), []
    worker.work(store, 9, lambda chunk: done.append(chunk) or piece(chunk), stop=lambda: len(done) == 2)
    assert [each.chunk for each in chunks.done(store, 9)] == done == [0, 1]


def test_a_failed_chunk_frees_its_lease(tmp_path):
    store = Folder(tmp_path)
    with pytest.raises(ZeroDivisionError, match="by zero"):
        worker.work(store, 3, lambda chunk: piece(1 // 0))
    assert store.names() == set()


@pytest.mark.parametrize("chunk_count", [0, 1, 5, 24])
@pytest.mark.parametrize("workers", [1, 3, 8])
def test_shards_cover_all_chunks_once(chunk_count, workers):
    alone = [shard(f"{k}/{workers}").order(chunk_count) for k in range(workers)]
    assert sorted(itertools.chain(*alone)) == list(range(chunk_count))
    for k in range(workers):
        assert sorted(Shard(k, workers).order(chunk_count)) == list(range(chunk_count))
        assert sorted(Shard(k, None).order(chunk_count)) == list(range(chunk_count))


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ({}, Shard(0, 1)),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "10", "SLURM_ARRAY_TASK_MIN": "1"}, Shard(6, 10)),
        ({"SLURM_ARRAY_TASK_ID": "3", "JOB_COMPLETION_INDEX": "5"}, Shard(3, None)),
        ({"JOB_COMPLETION_INDEX": "5"}, Shard(5, None)),
        ({"TPU_WORKER_ID": "2"}, Shard(2, None)),
        ({"PARALLEL_SEQ": "1"}, Shard(0, None)),
    ],
)
def test_the_cluster_says_which_worker_this_is(env, found):
    assert shard("auto", env) == found


@pytest.mark.parametrize("text", ["8/8", "3", "a/b", "-1/4", "1/0"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(BadInput, match="the shard is"):
        shard(text)


def test_another_run_is_refused_and_what_differs_is_named(store):
    same_run.begin(store, {"seed": 1, "inputs": {"a": "0" * 64}})
    same_run.begin(store, {"seed": 1, "inputs": {"a": "0" * 64}})
    with pytest.raises(BadInput, match=r"another run: seed is 1 there and 2 here, inputs.a is 0{12}\.\.\. there"):
        same_run.begin(store, {"seed": 2, "inputs": {"a": "1" * 64}})
    store.put(same_run.FACTS, b"{")
    with pytest.raises(BadFile, match="run.json is damaged"):
        same_run.begin(store, {})


def test_something_else_is_left_alone(store):
    store.put("thesis.txt", b"precious")
    with pytest.raises(BadInput, match="holds something else than a run"):
        same_run.begin(store, {})
    assert store.names() == {"thesis.txt"}
