"""Several processes as one: they call the roll before JAX joins them, agree on what they have, and leave together."""

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from lleval_jax.errors import BadInput, require

TIMEOUT = 300.0  # seconds
GO, LATE, TWICE = b"go", b"late", b"twice"
PAUSE = 0.2  # seconds between two tries to reach the first process


def join(
    address: str | None = None,
    processes: int | None = None,
    index: int | None = None,
    *,
    timeout: float = TIMEOUT,
    heartbeat: float = 100.0,
) -> None:
    """Join the processes of one fit; each calls this before its first use of JAX, and `mesh()` after it.

    With an address the roll is called first: JAX's own start-up ends a process without saying who is missing.

    Args:
        address: "host:port" of the first process; the port must be free there. None: JAX finds all of this by itself,
            as it does on a TPU pod, and no roll is called.
        processes: how many there are.
        index: of this one, from 0.
        timeout: seconds to wait for the others.
        heartbeat: seconds without a sign of life after which a process counts as dead, and the others end.

    Raises:
        BadInput: not all came in time: those that are missing are named; or two have the same index.

    Example:
        >>> join("10.0.0.1:8476", 4, int(os.environ["SLURM_PROCID"]))  # doctest: +SKIP
    """
    limits: dict[str, Any] = {"initialization_timeout": int(timeout), "heartbeat_timeout_seconds": int(heartbeat)}
    if address is None:
        return jax.distributed.initialize(**limits)
    host, _, port = address.rpartition(":")
    require(bool(host) and port.isdecimal(), f"the address is {address!r}; it must be like 10.0.0.1:8476")
    known = processes is not None and index is not None and 0 <= index < processes
    require(known, f"index is {index} of {processes} processes; it must be from 0 to one less than these")
    assert processes is not None
    if index == 0:
        call_roll(int(port), processes, timeout)
    else:
        answer_roll((host, int(port)), index or 0, timeout)
    jax.distributed.initialize(address, processes, index, **limits)


def call_roll(port: int, processes: int, timeout: float) -> None:
    """Wait for all others; of the first process. All that came hear how it ended.

    Raises:
        BadInput: some did not come; or two have the same index.
    """
    came: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as waiting:
        door = stack.enter_context(socket.create_server(("", port)))
        waiting.register(door, selectors.EVENT_READ)
        end = time.monotonic() + timeout
        while len(came) < processes - 1 and (left := end - time.monotonic()) > 0:
            if not waiting.select(left):
                continue
            caller = stack.enter_context(door.accept()[0])
            index = _index(caller)
            if index in came:
                _tell([*came.values(), caller], TWICE + b" %d" % index)
                raise BadInput(_twice(f"{index}"))
            if 0 < index < processes:  # else not one of ours
                came[index] = caller
        missing = sorted(set(range(1, processes)) - set(came))
        _tell(list(came.values()), LATE + b" %b" % _listed(missing).encode() if missing else GO)
    require(not missing, _late(_listed(missing), timeout))


def answer_roll(first: tuple[str, int], index: int, timeout: float) -> None:
    """Say that this process is there, and wait until all are.

    Raises:
        BadInput: the first process does not answer; some did not come; or another has this index.
    """
    end, answer = time.monotonic() + timeout, b""
    while not answer and time.monotonic() < end:
        try:
            with socket.create_connection(first, timeout=max(0.1, end - time.monotonic())) as line:
                line.sendall(b"%d" % index)
                line.settimeout(max(0.1, end - time.monotonic()) + 2 * PAUSE + 5.0)  # its clock began before ours
                answer = line.recv(4096)
        except OSError:
            time.sleep(PAUSE)
    word, _, more = answer.partition(b" ")
    require(bool(answer), f"the first process, at {first[0]}:{first[1]}, did not answer within {timeout:g} s")
    require(word != LATE, _late(more.decode(), timeout))
    require(word != TWICE, _twice(more.decode()))


def _index(caller: socket.socket) -> int:
    """The number that a caller says it has; 0 where it says none."""
    caller.settimeout(5.0)
    try:
        return int(caller.recv(16))
    except (OSError, ValueError):
        return 0


def _tell(callers: list[socket.socket], word: bytes) -> None:
    """Say it to all, and let them close first, so that the port is free at once."""
    for each in callers:
        with contextlib.suppress(OSError):
            each.sendall(word)
            each.recv(1)


def _listed(missing: list[int]) -> str:
    return ", ".join(map(str, missing))


def _late(missing: str, timeout: float) -> str:
    return f"after {timeout:g} s these processes have not joined: {missing}; look at their logs, or wait longer"


def _twice(index: str) -> str:
    return f"two processes say that they are number {index}; each needs an index of its own"


def is_first() -> bool:
    """Whether this process writes what all have."""
    return jax.process_index() == 0


def of_first(content: bytes) -> bytes:
    """What the first process gives, in every process."""
    if jax.process_count() == 1:
        return content
    size = int(multihost_utils.broadcast_one_to_all(np.asarray(len(content), np.int32)))
    own = np.frombuffer(content if is_first() else bytes(size), np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(own), np.uint8).tobytes()


def of_all(value: bytes) -> list[bytes]:
    """What each process gives, all of one length."""
    if jax.process_count() == 1:
        return [value]
    found = multihost_utils.process_allgather(np.frombuffer(value, np.uint8))
    return [row.tobytes() for row in np.asarray(found, np.uint8)]


@contextlib.contextmanager
def first_does() -> Iterator[list[str]]:
    """A block for the first process alone (ask `is_first`); what goes wrong there is raised in every process.

    Raises:
        BadInput: as the first process did.
    """
    said: list[str] = []
    try:
        yield said
    except BadInput as error:
        said.append(str(error))
    message = of_first(" ".join(said).encode()).decode()
    require(not message, message)
