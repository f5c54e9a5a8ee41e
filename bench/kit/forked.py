"""A process of its own for a call, forked from one that has imported what it needs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import NamedTuple


class Ended(NamedTuple):
    """How a call ended.

    status  of the process: 0, or that of `sys.exit`; negative for a signal
    stdout  what it printed
    stderr  likewise
    """

    status: int
    stdout: str
    stderr: str


class Forked:
    """A call that runs in a process of its own.

    Nothing that starts threads may have run in this process, as JAX's devices do: they are not there after a fork.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the object)
        read, write = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(read)
            _done(call, write, self._errors.fileno())
        os.close(write)
        self.lines = os.fdopen(read)
        self._status: int | None = None

    def alive(self) -> bool:
        """Whether it still runs."""
        if self._status is None:
            found, status = os.waitpid(self.process, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if found else None
        return self._status is None

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.alive():
            os.kill(self.process, signal.SIGKILL)

    def ended(self) -> Ended:
        """Wait for its end."""
        said = self.lines.read()
        self.lines.close()
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace")
        self._errors.close()
        return Ended(self._status, said, errors)


def _done(call: Callable[[], object], out: int, errors: int) -> None:
    """The call, with stdout and stderr as given; it does not return."""
    status = 1
    try:
        os.dup2(out, 1)
        os.dup2(errors, 2)
        sys.stdout, sys.stderr = open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115
        call()
        status = 0
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:  # noqa: BLE001  (whatever it is, this process must end here)
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
