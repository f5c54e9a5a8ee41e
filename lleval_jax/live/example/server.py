"""A small arXiv on this machine: `with Archive() as archive: harvest(fetcher, ..., Addresses.at(archive.url))`."""

import dataclasses
import functools
import hashlib
import http.server
import threading
import urllib.parse

from lleval_jax.errors import BadInput
from lleval_jax.live.example import answers, contents, forms, layout
from lleval_jax.live.example.corpus import Record, corpus
from lleval_jax.live.papers import identity

KINDS = {"pdf": "application/pdf", "html": "text/html; charset=utf-8", "src": "application/gzip", "png": "image/png"}
CHANGED = "Sat, 28 Nov 2026 00:00:00 GMT"


@dataclasses.dataclass(frozen=True)
class Reply:
    """What goes back."""

    content: bytes
    kind: str = "text/xml; charset=utf-8"
    name: str = ""
    status: int = 200
    wait: int = 0  # seconds of Retry-After


class Archive:
    """Serves the corpus on a port of its own until the block ends.

    Args:
        later: the corpus a month on, with 50 records changed.
        papers: so many records have files, 42 at most; None: 14.
        page: records of an OAI page.
        busy: every so many requests one is refused with 503 and Retry-After; 0 for none.
        expires: the number of the request with a token whose token has run out; 0 for none.
    """

    def __init__(
        self, *, later: bool = False, papers: int | None = None, page: int = 50, busy: int = 0, expires: int = 0
    ) -> None:
        self.records = {record.id: record for record in corpus(later=later, papers=papers or contents.COUNT)}
        self.page, self.busy, self.expires = page, busy, expires
        self.asked: list[str] = []
        self.sent = 0  # bytes of answers
        self.url = ""
        self._lock, self._tokens = threading.Lock(), 0

    def __enter__(self) -> "Archive":
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def answer(self, target: str) -> Reply:
        """The reply to a GET of a path with its query."""
        parts = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(parts.query))
        with self._lock:
            self.asked.append(target)
            if self.busy and len(self.asked) % self.busy == 0:
                return Reply(b"busy", "text/plain", status=503, wait=7)
            self._tokens += "resumptionToken" in query
            expired = "resumptionToken" in query and self._tokens == self.expires
        top, _, rest = parts.path.lstrip("/").partition("/")
        if top == "oai":
            return Reply(answers.oai(self.records.values(), query, self.page, expired))
        if parts.path == "/api/query":
            return Reply(answers.atom(self.records.values(), query))
        if top == "rss":
            return Reply(answers.rss(self.records.values(), rest))
        return self._of_paper(top, urllib.parse.unquote(rest))

    def _of_paper(self, form: str, rest: str) -> Reply:
        missing = Reply(b"not found", "text/plain", status=404)
        try:
            id, version = identity(rest)
        except BadInput:
            return missing
        record = self.records.get(id)
        if record is None or not 1 <= (version or 1) <= len(record.versions):
            return missing
        if form == "abs":
            return Reply(answers.page(record, version or len(record.versions)), KINDS["html"])
        if record.content is None or form not in ("pdf", "src", "html"):
            return missing
        name = f"{id}v{version or len(record.versions)}"
        return _file(record, form, rest.partition(".png")[0].rpartition("/")[2] if rest.endswith(".png") else "", name)


def _file(record: Record, form: str, picture: str, name: str) -> Reply:
    number = record.content or 0
    if picture:
        found = _pictures(number).get(f"{picture}.png")
        return Reply(b"not found", "text/plain", status=404) if found is None else Reply(found, KINDS["png"])
    ending = {"pdf": ".pdf", "src": ".tar.gz", "html": ".html"}[form]
    return Reply(_made(number, form), KINDS[form], f"arXiv-{name}{ending}".replace("/", "-"))


@functools.cache
def _made(number: int, form: str) -> bytes:
    made = contents.content(number)
    return {"pdf": layout.as_pdf, "src": forms.as_archive, "html": forms.as_html}[form](made)


@functools.cache
def _pictures(number: int) -> dict[str, bytes]:
    return forms.pictures(contents.content(number))


def _handler(archive: Archive) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body go in one packet

        def do_GET(self) -> None:
            reply = archive.answer(self.path)
            mark = f'"{hashlib.sha256(reply.content).hexdigest()[:32]}"'
            same = reply.status == 200 and self.headers.get("If-None-Match") == mark
            content = b"" if same else reply.content
            self.send_response(304 if same else reply.status)
            self.send_header("ETag", mark)
            self.send_header("Last-Modified", CHANGED)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(content)))
            if reply.name:
                self.send_header("Content-Disposition", f'attachment; filename="{reply.name}"')
            if reply.wait:
                self.send_header("Retry-After", str(reply.wait))
            self.end_headers()
            self.wfile.write(content)
            archive.sent += len(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
