"""A small server on this machine that speaks as much of S3 as a study needs, with errors and slow answers at will."""

from __future__ import annotations

import collections
import dataclasses
import http.server
import random
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

PAGE = 1000  # names in an answer


@dataclasses.dataclass
class Faults:
    """What goes wrong, each at random.

    failed   share of requests that are answered with 500, before or after they are done
    slow     share of reads that wait
    seconds  that these wait
    """

    failed: float = 0.0
    slow: float = 0.0
    seconds: float = 0.2
    rng: random.Random = dataclasses.field(default_factory=lambda: random.Random(0))


class Objects:
    """`with Objects(Faults(...)) as server:` keeps objects in memory; `address` is of a place there."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults, self.kept = faults or Faults(), dict[str, bytes]()
        self.lock, self.asked = threading.Lock(), collections.Counter[str]()

    def __enter__(self) -> Objects:
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"objects": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def address(self, place: str) -> str:
        """Of a place, such as "bucket/study"."""
        about = {"endpoint_override": f"127.0.0.1:{self.server.server_port}", "scheme": "http", "region": "us-east-1"}
        return f"s3://key:secret@{place}?{urllib.parse.urlencode(about)}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer in one packet
    objects: Objects

    def do_GET(self) -> None:
        self._answer("get")

    def do_HEAD(self) -> None:
        self._answer("head")

    def do_PUT(self) -> None:
        self._answer("put")

    def do_DELETE(self) -> None:
        self._answer("delete")

    def handle_expect_100(self) -> bool:
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def _answer(self, kind: str) -> None:
        faults, path = self.objects.faults, urllib.parse.urlsplit(self.path)
        name, words = urllib.parse.unquote(path.path).lstrip("/"), dict(urllib.parse.parse_qsl(path.query))
        body = self._body() if kind == "put" else b""
        with self.objects.lock:
            fails, first = faults.rng.random() < faults.failed, faults.rng.random() < 0.5
            waits = kind == "get" and faults.rng.random() < faults.slow
            self.objects.asked["failed" if fails else kind] += 1
        if waits:
            time.sleep(faults.seconds)
        if fails and first:
            return self._send(500)
        status, content, headers = self._done(kind, name, words, body)
        if fails:
            return self._send(500)
        self._send(status, content, headers, kind == "head")

    def _done(self, kind: str, name: str, words: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        with self.objects.lock:
            kept = self.objects.kept
            if kind == "put":
                kept[name] = body
                return 200, b"", {"ETag": '"0"'}
            if kind == "delete":
                kept.pop(name, None)
                return 204, b"", {}
            if "list-type" in words:
                return 200, _listed(kept, name.rstrip("/"), words), {"Content-Type": "application/xml"}
            if "/" not in name.rstrip("/"):
                return 200, b"", {"x-amz-bucket-region": "us-east-1"}
            found = kept.get(name)
        if found is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>" if kind == "get" else b"", {}
        about = {"ETag": '"0"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT", "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes="):
            return 200, found, about
        low, _, high = asked.removeprefix("bytes=").partition("-")
        part = found[int(low) : int(high or len(found)) + 1]
        return 206, part, about | {"Content-Range": f"bytes {low}-{int(low) + len(part) - 1}/{len(found)}"}

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = b"".join(iter(self._piece, b""))
            self.rfile.readline()
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return _decoded(content) if "aws-chunked" in self.headers.get("Content-Encoding", "") else content

    def _piece(self) -> bytes:
        piece = self.rfile.read(size := int(self.rfile.readline().split(b";")[0], 16))
        if size:
            self.rfile.readline()
        return piece

    def _send(self, status: int, content: bytes = b"", headers: dict | None = None, head: bool = False) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if not head:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _decoded(content: bytes) -> bytes:
    """A body in pieces, each after its length in hexadecimal and a signature."""
    found = b""
    while content:
        head, _, content = content.partition(b"\r\n")
        size = int(head.split(b";")[0] or b"0", 16)
        if not size:
            break
        found, content = found + content[:size], content[size + 2 :]
    return found


def _listed(kept: dict[str, bytes], bucket: str, words: dict[str, str]) -> bytes:
    """A page of names below a prefix; what lies in further folders is named by these."""
    prefix, delimiter, after = (words.get(word, "") for word in ("prefix", "delimiter", "continuation-token"))
    most, found = min(PAGE, int(words.get("max-keys", PAGE))), dict[str, int | None]()
    for name in sorted(kept):
        key = name.removeprefix(f"{bucket}/")
        if name == key or not key.startswith(prefix):
            continue
        head, more, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key[len(prefix) :], "", "")
        found[prefix + head + more] = None if more else len(kept[name])
    page = [key for key in found if key > after][: most + 1]
    is_cut, page = len(page) > most, page[:most]
    files = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>0</ETag>"
        f"<Size>{found[key]}</Size></Contents>"
        for key in page
        if found[key] is not None
    )
    below = "".join(
        f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>" for key in page if found[key] is None
    )
    more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if is_cut else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><KeyCount>{len(page)}</KeyCount><MaxKeys>{most}</MaxKeys>"
        f"<IsTruncated>{str(is_cut).lower()}</IsTruncated>{more}{files}{below}</ListBucketResult>"
    ).encode()
