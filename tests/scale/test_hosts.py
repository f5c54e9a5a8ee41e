"""Several processes as one, over the loopback: the roll, one fit, one that is killed, one that has other answers."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.scale import hosts

SCRIPT = pathlib.Path(__file__).with_name("one_of_hosts.py")
LIMIT = 200  # seconds that processes may take


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def called(port: int, indices: list[int], processes: int, timeout: float) -> dict[int, str]:
    """What each process that comes is told; "" where all came. The first is 0."""
    said: dict[int, str] = {}

    def one(number: int, index: int) -> None:
        try:
            if index:
                hosts.answer_roll(("127.0.0.1", port), index, timeout)
            else:
                hosts.call_roll(port, processes, timeout)
            said[number] = ""
        except ll.BadInput as error:
            said[number] = str(error)

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(indices)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return said


def test_the_roll_is_called():
    port = free_port()
    assert called(port, [0, 3, 1, 2], 4, 20.0) == dict.fromkeys(range(4), "")
    with socket.create_server(("127.0.0.1", port)):  # the port is free for what comes next
        pass


def test_who_does_not_come_is_named_in_every_process():
    said = called(free_port(), [0, 2, 4], 5, 1.0)
    assert set(said) == {0, 1, 2}
    assert {text.split(";")[0] for text in said.values()} == {"after 1 s these processes have not joined: 1, 3"}


def test_two_of_one_number_are_refused():
    said = called(free_port(), [0, 1, 1], 3, 20.0)
    assert any("two processes say that they are number 1" in text for text in said.values())


def test_a_first_process_that_is_not_there_is_named():
    with pytest.raises(ll.BadInput, match=r"the first process, at 127\.0\.0\.1:\d+, did not answer within 0\.5 s"):
        hosts.answer_roll(("127.0.0.1", free_port()), 1, 0.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", 2, 0), "it must be like 10.0.0.1:8476"),
        (("a:1", 2, 2), "index is 2 of 2"),
        (("a:1",), "index is None"),
    ],
)
def test_words_that_name_no_process_are_refused(words, said):
    with pytest.raises(ll.BadInput, match=said):
        hosts.join(*words)


def started(count: int, folder: pathlib.Path, *words: str, own: dict[int, tuple[str, ...]] | None = None, absent=()):
    """Processes, each with its own words, until they have ended. -> [(status, what it said)]"""
    address = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2]), "JAX_PLATFORMS": "cpu"}
    environment |= {"JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir)}  # type: ignore[attr-defined]
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    processes = []
    with contextlib.ExitStack() as stack:
        for index in sorted(set(range(count)) - set(absent)):
            asked = [address, f"{count}", f"{index}", str(folder / f"{index}.npz"), *words, *(own or {}).get(index, ())]
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), *asked], stderr=subprocess.PIPE, text=True, env=environment
            )
            stack.callback(process.wait)
            stack.callback(process.kill)  # none is left behind, whatever happens
            processes.append(process)
        return [(process.communicate(timeout=LIMIT)[1], process.returncode)[::-1] for process in processes]


def found(folder: pathlib.Path, index: int = 0) -> dict[str, np.ndarray]:
    with np.load(folder / f"{index}.npz") as kept:
        return dict(kept)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, np.ndarray]:
    """What one process finds, on two devices."""
    folder = tmp_path_factory.mktemp("alone")
    assert started(1, folder)[0][0] == 0
    return found(folder)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.slow
def test_eight_devices_find_what_two_find(alone, tmp_path):
    assert started(1, tmp_path, "--devices", "8")[0][0] == 0
    same(found(tmp_path), alone)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(alone, tmp_path):
    ended = started(2, tmp_path)
    assert [status for status, _ in ended] == [0, 0], ended
    for index in range(2):
        same(found(tmp_path, index), alone)


@pytest.mark.slow
def test_a_killed_fit_goes_on_with_another_number_of_processes(alone, tmp_path):
    state = "--state", str(tmp_path / "state")
    ended = started(2, tmp_path, *state, own={1: ("--kill", "3")})
    assert ended[1][0] == -signal.SIGKILL
    assert ended[0][0] != 0  # it cannot go on alone, and does not wait for ever
    kept = {path.name for path in (tmp_path / "state").glob("*.state")}
    assert "step-00000003.state" in kept
    ended = started(4, tmp_path, *state, own={2: ("--term", "6")})
    assert all(status == 1 and "Stopped: the fit was asked to leave" in said for status, said in ended), ended
    assert started(1, tmp_path, *state)[0][0] == 0
    same(found(tmp_path), alone)


@pytest.mark.slow
def test_processes_with_other_answers_are_named(tmp_path):
    ended = started(3, tmp_path, own={1: ("--seed", "2")})
    text = "processes 1 have other answers or settings than process 0"
    assert all(status == 1 and text in said for status, said in ended), ended


@pytest.mark.slow
def test_a_process_that_never_joins_is_named(tmp_path):
    ended = started(3, tmp_path, "--timeout", "3", absent={1})
    assert all(status == 1 and "have not joined: 1;" in said for status, said in ended), ended
