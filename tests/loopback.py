"""A small server on this machine that answers as a test says, and remembers what it was asked."""

import dataclasses
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

LONGEST = 10.0  # seconds that an answer may be held back


@dataclasses.dataclass
class Answer:
    """What the server sends: a dict goes as JSON; `promise` more bytes are announced than are sent."""

    content: Any = b""
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    promise: int = 0


@dataclasses.dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: Any


def chat(text: str, **more: Any) -> Answer:
    """A reply as OpenAI-compatible servers write it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return Answer({"id": "1", "object": "chat.completion", "model": "m-1", "choices": [choice | more], "usage": usage})


class Loopback:
    """`with Loopback(answer) as server:` answers what `answer(asked, number)` gives, on a port of its own."""

    def __init__(self, answer: Callable[[Asked, int], Answer]) -> None:
        self.answer, self.asked, self.now, self.most = answer, list[Asked](), 0, 0
        self.lock, self.ended = threading.Lock(), threading.Event()

    def __enter__(self) -> "Loopback":
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(LONGEST)

    def hold(self) -> None:
        """Do not answer before the test is over."""
        self.ended.wait(LONGEST)

    def _begin(self, asked: Asked) -> int:
        with self.lock:
            self.asked.append(asked)
            self.now += 1
            self.most = max(self.most, self.now)
            return len(self.asked)

    def _handler(loopback) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked = Asked(self.path, dict(self.headers), json.loads(content) if content else None)
                number = loopback._begin(asked)
                try:
                    self.put(loopback.answer(asked, number))
                finally:
                    with loopback.lock:
                        loopback.now -= 1

            def put(self, answer: Answer) -> None:
                said = answer.content
                content = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(answer.status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(content) + answer.promise)}
                for name, value in (headers | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = bool(answer.promise)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Clock:
    """Time that passes when one sleeps, and only then."""

    def __init__(self) -> None:
        self.now, self.slept, self.lock = 1000.0, list[float](), threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(seconds)
            self.now += seconds
