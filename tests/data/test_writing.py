"""What is written is whole or not there: killed at each call that changes a disk, on a full disk, by two at once."""

import errno
import io
import os
import pathlib
import threading
from collections.abc import Callable

import numpy as np
import pytest

from lleval_jax import data, writing
from lleval_jax.data import archive, cache
from lleval_jax.data.answers import Answers
from lleval_jax.errors import BadInput
from lleval_jax.values import Estimate, FitResult, ItemBank, Responses
from lleval_jax.values.params import IrtParams
from lleval_jax.values.results import Ended

CALLS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir")


class Killed(BaseException):
    """Not an error: nothing of the program runs after it."""


class Disk:
    """Counts the calls that change a disk. From one of them on all fail with `Killed`; or that one finds it full."""

    def __init__(self, patch: pytest.MonkeyPatch, last: int, *, full: bool = False) -> None:
        self.count, self.last, self.full = 0, last, full
        for name in CALLS:
            patch.setattr(os, name, self.counted(name, getattr(os, name)))
        patch.setattr(io, "open", self.opened(io.open))

    def fails(self) -> bool:
        self.count += 1
        return self.count == self.last if self.full else self.count >= self.last

    def stop(self, *path: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", *path) if self.full else Killed

    def counted(self, name: str, real: Callable) -> Callable:
        def call(*args, **more):
            needs_room = name not in ("unlink", "rmdir") and (name != "open" or args[1] & os.O_CREAT)
            if (needs_room or not self.full) and self.fails():
                if name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                self.stop(*(args[:1] if name not in ("write", "fsync") else ()))
            return real(*args, **more)

        return call

    def opened(self, real: Callable) -> Callable:
        def call(file, mode="r", *args, **more):
            if "w" in mode and self.fails():
                real(file, mode, *args, **more).close()
                self.stop()
            return real(file, mode, *args, **more)

        return call


def bank(mark: int) -> ItemBank:
    return ItemBank(
        name="tiny",
        version=str(mark),
        items=("i", "j"),
        slope=np.full((2, 1), 1.0 + mark),
        intercept=np.zeros(2),
        floor=np.zeros(2),
        ceiling=np.ones(2),
        weight=np.full(2, 0.5),
        group=np.zeros(2, int),
        groups=("g",),
        covariance=np.stack([np.eye(2)] * 2),
        prior_mean=np.zeros(1),
        prior_cov=np.eye(1),
    )


def fit(mark: int) -> FitResult:
    one, square = np.ones((1, 1)), np.ones((1, 1, 1))
    rest = (np.ones(1), one, square, np.eye(2)[None], np.zeros(1, int), np.ones(1))
    found = IrtParams(one, np.zeros(1), np.zeros(1), *rest)
    axes = {"models": ("a",), "items": ("i",), "groups": ("g",)}
    return FitResult(params=found, axes=axes, ended=Ended("ok", mark, 0.0), method="2pl", settings={})


def estimate(mark: int) -> Estimate:
    one, many = np.array([0.5]), np.array([3])
    rest = (one, one - 0.1, one + 0.1, 0.95, one / 10, many, ("ok",))
    return Estimate("accuracy", f"method-{mark}", ("a",), ("all",), *rest)


def answers(mark: int) -> Responses:
    return Responses.build(np.array([[0.0, 1.0], [1.0, mark % 2]]), rows=["a", "b"], items=["i", "j"])


def kept(mark: int) -> Answers:
    names, at = np.array(["a"], object), np.array([0])
    return Answers("f", names, names, names, at, at, np.array([float(mark)]))


def load_eee(place: pathlib.Path) -> int:
    found = data.read(place)
    assert found.rows == ("a", "b")
    return 1 + int(found.scores[found.rows.index("b"), found.items.index("j")] == 0)


def put_picture(mark: int, place: pathlib.Path) -> None:
    with writing.replacing(place) as part, part.open("wb") as stream:
        stream.write(b"%d" % mark)


# name -> (save a value with a mark, 1 or 2, at a place; the mark that is read there; whether another may stand there)
SAVERS: dict[str, tuple[Callable, Callable, bool]] = {
    "bank": (lambda m, p: data.save(bank(m), p), lambda p: int(data.load(p).version), True),
    "estimate": (lambda m, p: data.save(estimate(m), p), lambda p: int(data.load(p).method[7:]), True),
    "parquet": (lambda m, p: data.write(answers(m), p), load_eee, True),
    "eee": (lambda m, p: data.write(answers(m), p, format="eee"), load_eee, False),
    "json": (lambda m, p: writing.put(p, b"%d" % m), lambda p: int(p.read_bytes()), True),
    "picture": (put_picture, lambda p: int(p.read_bytes()), True),
    "cache": (
        lambda m, p: cache.store(p, "entry", kept(m)),
        lambda p: next((int(found.score[0]) for found in [cache.load(p, "entry")] if found is not None), None),
        True,
    ),
}
CASES = [(name, old) for name, (*_, replaces) in SAVERS.items() for old in ((False, True) if replaces else (False,))]


def read(load: Callable, place: pathlib.Path) -> int | None:
    """The mark that is read; None where nothing is there."""
    try:
        return load(place)
    except (BadInput, FileNotFoundError) as error:
        text = str(error)
        assert any(word in text for word in ("no such file", "No such file", "no file in", "there is no", "holds no"))
        return None


def everything(folder: pathlib.Path) -> set[str]:
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*")}


@pytest.mark.parametrize(("name", "old"), CASES)
def test_a_writer_killed_at_any_call_leaves_old_or_new(name, old, tmp_path):
    save, load, _ = SAVERS[name]
    (tmp_path / "whole").mkdir()
    save(2, tmp_path / "whole" / "out")
    whole = everything(tmp_path / "whole")
    for last in range(1, 200):
        folder = tmp_path / str(last)
        folder.mkdir()
        place = folder / "out"
        if old:
            save(1, place)
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, last)
            try:
                save(2, place)
            except Killed:
                pass
        done = disk.count < last
        assert read(load, place) in ({2} if done else {1, 2} if old else {None, 2}), f"killed at call {last}"
        save(2, place)
        assert read(load, place) == 2
        assert everything(folder) == whole, f"left over of call {last}"
        if done:
            return
    pytest.fail("a save never ends")


@pytest.mark.parametrize(("name", "old"), CASES)
def test_a_disk_full_at_any_call_is_named_and_leaves_nothing(name, old, tmp_path):
    save, load, _ = SAVERS[name]
    for last in range(1, 200):
        folder = tmp_path / str(last)
        folder.mkdir()
        place = folder / "out"
        if old:
            save(1, place)
        before = everything(folder)
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, last, full=True)
            failed = None
            try:
                save(2, place)
            except OSError as error:
                failed = error
        if failed is not None:
            assert failed.errno == errno.ENOSPC
            assert str(failed.filename).startswith(str(folder)), f"call {last} names {failed.filename}"
            assert not writing.IS_PART.search(str(failed.filename))
        mark = read(load, place)
        assert mark in ({1, 2} if old else {None, 2})
        if failed and mark != 2 and name != "cache":  # the cache's folders are its own
            assert everything(folder) == before, f"left over of call {last}"
        if disk.count < last:
            return
    pytest.fail("a save never ends")


def test_what_writers_of_earlier_versions_left_goes_and_blocks_nothing(tmp_path):
    data.save(bank(1), tmp_path / "old")
    for folder in ("new", "old"):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for name in ("bank.safetensors.next", "bank.safetensors.next.part99999999", "bank.json.part99999999"):
            (place / name).write_bytes(b"half")
        assert archive.foreign(place, "bank") == []
        data.save(bank(2), place)
        assert everything(place) == {"bank.json", "bank.safetensors"}
    (tmp_path / "old" / "notes.txt").write_text("mine")
    (tmp_path / "old" / f"bank.json.part{os.getpid()}").write_bytes(b"of a process that lives")
    assert archive.foreign(tmp_path / "old", "bank") == ["notes.txt"]
    data.save(bank(1), tmp_path / "old")
    assert len(everything(tmp_path / "old")) == 4


def test_half_of_an_every_eval_ever_folder_gets_the_rest_and_other_files_are_left_alone(tmp_path):
    place = tmp_path / "out"
    data.write(answers(1), place, format="eee")
    whole = everything(tmp_path)
    lost = sorted(each for each in place.rglob("*") if each.is_file())[:2]
    for each in lost:
        each.rename(each.with_name(f"{each.name}.part99999999"))
    data.write(answers(1), place, format="eee")
    assert everything(tmp_path) == whole
    with pytest.raises(FileExistsError, match=r"it holds data/lleval/unknown/b/.*, another file; name a new folder"):
        data.write(answers(2), place, format="eee")
    assert everything(tmp_path) == whole


def test_a_folder_of_another_kind_is_refused(tmp_path):
    data.save(bank(1), tmp_path)
    with pytest.raises(BadInput, match="holds another value, a bank; keep each in its own folder"):
        data.save(fit(1), tmp_path)


def test_writers_of_one_folder_take_turns_and_a_reader_sees_one_of_them(tmp_path):
    """Eight threads, each with a file handle of its own, exclude each other as processes do."""
    place, over, errors = tmp_path / "bank", threading.Event(), []
    data.save(bank(1), place)

    def work(mark: int) -> None:
        try:
            for _ in range(6):
                data.save(bank(mark), place)
        except BaseException as error:  # noqa: B036  told below
            errors.append(error)

    seen = set()

    def look() -> None:
        try:
            while not over.is_set():
                seen.add(int(data.load(place).version))
                data.verify(place)
        except BaseException as error:  # noqa: B036  told below
            errors.append(error)

    writers = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 9)]
    reader = threading.Thread(target=look)
    for each in (*writers, reader):
        each.start()
    for each in writers:
        each.join()
    over.set()
    reader.join()
    assert errors == []
    assert seen <= set(range(1, 9))
    assert everything(place) == {"bank.json", "bank.safetensors"}


def test_a_reader_between_the_json_and_its_arrays_reads_again(tmp_path, monkeypatch):
    """The pair is replaced after the reader has read the old JSON, and once more before it looks for the arrays."""
    data.save(bank(1), tmp_path)
    real, turns = archive.read_json, iter((2, 1))

    def slow(*args):
        found = real(*args)
        data.save(bank(next(turns, 1)), tmp_path)
        return found

    monkeypatch.setattr(archive, "read_json", slow)
    monkeypatch.setattr(archive, "undisturbed", lambda folder: (monkeypatch.undo(), writing.locked(folder))[1])
    assert data.load(tmp_path).version == "2"


def test_who_waits_too_long_for_another_writer_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "WAIT", 0.05)
    with writing.locked(tmp_path), pytest.raises(BlockingIOError, match="another process has been writing there"):
        data.save(bank(1), tmp_path)
    assert everything(tmp_path) == set()
    data.save(bank(1), tmp_path)


def test_a_part_that_is_being_written_is_left_alone(tmp_path):
    place = tmp_path / "a.json"
    with writing.replacing(place) as part:
        writing.put(place, b"other")
        assert part.is_file()
        part.write_bytes(b"mine")
    assert place.read_bytes() == b"mine"
    assert everything(tmp_path) == {"a.json"}


def test_where_there_are_no_locks_old_parts_go_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "lock", lambda *_, **__: None)
    for age, name in ((0, ".a.000000000000.json"), (2 * writing.OLD, ".a.000000000001.json")):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (os.stat(tmp_path).st_mtime - age,) * 2)
    data.save(bank(1), tmp_path / "bank")
    writing.put(tmp_path / "a.json", b"whole")
    assert {name for name in everything(tmp_path) if "." in name} == {
        ".a.000000000000.json", "a.json", "bank/bank.json", "bank/bank.safetensors",
    }  # fmt: skip
