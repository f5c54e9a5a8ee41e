"""An application at an address, until a signal stops it or, in a thread, for as long as a context lasts."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lleval_jax.errors import BadInput

if TYPE_CHECKING:
    from starlette.applications import Starlette

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address, before anything long begins: who connects waits, and is not refused, until `listen`.

    Args:
        host: a name or a number.
        port: 0 for any that is free.

    Raises:
        BadInput: the address is not this machine's, the port is in use, or it may not be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with contextlib.ExitStack() as unless:
            found = unless.enter_context(socket.socket(family))
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, port))
            found.listen()
            unless.pop_all()
        return found
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        hint = "Give another --port, or 0 for any that is free."
        raise BadInput(f"cannot listen at {host}:{port}: {why}.", shell=hint) from error


def address(listening: socket.socket) -> str:
    """The address of a socket, as clients write it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(application: "Starlette", listening: socket.socket, *, seconds: float, stopping: Callable[[], None]) -> None:
    """Answer until SIGINT or SIGTERM; what is being answered then is finished, for so many seconds at most.

    A second signal stops at once.

    Args:
        application: what answers.
        listening: of `bound`.
        seconds: for what is being answered.
        stopping: called when the first signal comes.
    """
    import uvicorn  # an extra

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: object) -> None:
            if not self.should_exit:
                stopping()
            super().handle_exit(sig, frame)  # type: ignore[arg-type]

    config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=max(1, int(seconds)))
    with _caught(), contextlib.closing(listening):
        Server(config).run(sockets=[listening])


@contextlib.contextmanager
def running(application: "Starlette") -> Iterator[str]:
    """An application at a free port of this machine, in a thread, until the context ends; gives its address."""
    import uvicorn  # an extra

    with contextlib.closing(bound("127.0.0.1", 0)) as place:
        server = uvicorn.Server(uvicorn.Config(application, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield address(place)
        finally:
            server.should_exit = True
            thread.join(30)


@contextlib.contextmanager
def _caught() -> Iterator[None]:
    """Uvicorn raises a signal again once it has stopped: then it has done its work."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, lambda *_: None) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
