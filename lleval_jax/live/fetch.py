"""Polite http: one request at a time, a pause between requests, Retry-After obeyed, nothing fetched twice.

arXiv asks for one request in three seconds over one connection, for all its interfaces together
(https://info.arxiv.org/help/api/tou.html). A request that fails says so; nothing is kept of it.
"""

import dataclasses
import datetime
import email.utils
import functools
import hashlib
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from lleval_jax.errors import RunFailed, require
from lleval_jax.live.values import Finding

if TYPE_CHECKING:
    import ssl

    import httpx2

DELAY = 3.0  # seconds between requests
RETRIES = 4
MOST = 100_000_000  # bytes of an answer
LONGEST = 600.0  # seconds that a server may ask to wait
AGAIN = (429, 500, 502, 503, 504)
AGENT = "lleval_jax"


class NotFetched(RunFailed):
    """An address gave nothing that can be used. `finding` says so for the record."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.finding = Finding(paper=url, step="fetch", reason=reason)


@dataclasses.dataclass(frozen=True, slots=True)
class Got:
    """An answer: its bytes and their sha256, what the server calls the file, and whether it was here already."""

    url: str
    content: bytes
    sha256: str
    name: str = ""
    kind: str = ""  # the content type
    known: bool = False


class Blobs(Protocol):
    """Where bytes are kept, by their sha256."""

    def put(self, content: bytes, /) -> str:
        """Keep them; their sha256."""
        ...

    def get(self, sha256: str, /) -> bytes:
        """The bytes of this sha256."""
        ...


@functools.cache
def _trusted() -> "ssl.SSLContext":
    """Whom https trusts: read once, for it takes longer than a request on this machine."""
    import httpx2

    return httpx2.create_ssl_context()


class Memory(dict[str, bytes]):
    """Bytes by their sha256, for as long as the process lasts."""

    def put(self, content: bytes, /) -> str:
        """Keep them; their sha256."""
        key = hashlib.sha256(content).hexdigest()
        self[key] = content
        return key

    def get(self, sha256: str, /) -> bytes:  # type: ignore[override]
        """The bytes of this sha256; KeyError where there are none."""
        return self[sha256]


class Fetcher:
    """Asks a server politely: `with Fetcher() as f: f.get("https://oaipmh.arxiv.org/oai", verb="Identify")`.

    Args:
        delay: seconds from the end of a request to the next one.
        retries: how often a request that failed is repeated, after 1, 2, 4, ... times `delay`, or as the server asks.
        most: bytes of an answer at most.
        blobs: keeps what was fetched; needed again when the server says "not modified".
        seen: address -> what the server said of it (`etag`, `modified`, `sha256`, `name`, `kind`). All texts, so that a
            run can keep it as JSON and hand it in again.
        clock: seconds, as `time.monotonic`.
        sleep: as `time.sleep`.
        now: seconds since 1970, as `time.time`; for a Retry-After that names a date.
        progress: called with (address, bytes) after each answer.
        seconds: to wait for an answer.
    """

    def __init__(
        self,
        *,
        delay: float = DELAY,
        retries: int = RETRIES,
        most: int = MOST,
        blobs: Blobs | None = None,
        seen: MutableMapping[str, dict[str, str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        progress: Callable[[str, int], None] | None = None,
        seconds: float = 60.0,
    ) -> None:
        import httpx2

        require(delay >= 0 and retries >= 0 and most > 0, "delay and retries are 0 or more, most is above 0")
        self.delay, self.retries, self.most = delay, retries, most
        self.blobs: Blobs = Memory() if blobs is None else blobs
        self.seen: MutableMapping[str, dict[str, str]] = {} if seen is None else seen
        self.clock, self.sleep, self.now = clock, sleep, now
        self.progress = progress or (lambda url, size: None)
        self.fetched = 0  # bytes that came over the line
        self._free = clock()  # when the next request may go
        one = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
        headers = {"User-Agent": AGENT}
        self._client = httpx2.Client(
            verify=_trusted(), limits=one, timeout=seconds, follow_redirects=True, headers=headers
        )

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, url: str, **params: str | int) -> Got:
        """What is at an address.

        Raises:
            NotFetched: it is not there, too large, cut short, or still failing after the retries.
        """
        import httpx2

        address = str(httpx2.URL(url, params=params) if params else httpx2.URL(url))
        reason = ""
        for attempt in range(self.retries + 1):
            self._wait()
            try:
                status, headers, content = self._asked(address)
            except httpx2.HTTPError as error:
                reason = f"{type(error).__name__}: {error}"
                self._pause(self.delay * 2**attempt)
                continue
            except httpx2.InvalidURL as error:
                raise NotFetched(address, f"is no address: {error}") from error
            finally:
                self._free = max(self._free, self.clock() + self.delay)
            if status in (200, 304):
                return self._kept(address, status, headers, content)
            reason = f"the server answered {status}"
            if status not in AGAIN:
                raise NotFetched(address, reason)
            self._pause(self._asked_to_wait(headers, address, self.delay * 2**attempt))
        raise NotFetched(address, f"{reason}, {self.retries + 1} times")

    def _asked(self, address: str) -> tuple[int, "httpx2.Headers", bytes]:
        """(status, headers, body) of one request; the body is read no further than the limit."""
        before = self.seen.get(address, {})
        named = {"If-None-Match": before.get("etag"), "If-Modified-Since": before.get("modified")}
        headers = {name: value for name, value in named.items() if value}
        with self._client.stream("GET", address, headers=headers) as answer:
            parts, size = [], 0
            for part in answer.iter_bytes():
                size += len(part)
                if size > self.most:
                    raise NotFetched(address, f"is longer than {self.most:,} bytes, the most that is taken")
                parts.append(part)
            self.fetched += size
            return answer.status_code, answer.headers, b"".join(parts)

    def _kept(self, address: str, status: int, headers: Mapping[str, str], content: bytes) -> Got:
        known = status == 304
        if known:
            said = self.seen.get(address)
            if said is None:
                raise NotFetched(address, "the server says not modified, but it was never fetched")
            content = self.blobs.get(said["sha256"])
        else:
            said = {
                "etag": headers.get("etag", ""),
                "modified": headers.get("last-modified", ""),
                "sha256": self.blobs.put(content),
                "name": _file_name(headers.get("content-disposition", "")),
                "kind": headers.get("content-type", "").partition(";")[0].strip(),
            }
            self.seen[address] = said
        self.progress(address, 0 if known else len(content))
        return Got(address, content, said["sha256"], said["name"], said["kind"], known)

    def _wait(self) -> None:
        if (rest := self._free - self.clock()) > 0:
            self.sleep(rest)

    def _pause(self, seconds: float) -> None:
        self._free = max(self._free, self.clock() + seconds)

    def _asked_to_wait(self, headers: Any, address: str, otherwise: float) -> float:
        """Seconds of a Retry-After, given as seconds or as a date."""
        said = headers.get("retry-after", "").strip()
        if said.isdigit():
            seconds = float(said)
        else:
            try:
                moment = email.utils.parsedate_to_datetime(said)
            except ValueError:
                return otherwise
            moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
            seconds = max(moment.timestamp() - self.now(), 0.0)
        if seconds > LONGEST:
            raise NotFetched(address, f"the server asks to wait {seconds:.0f} s, more than {LONGEST:.0f}; try later")
        return max(seconds, otherwise)


def _file_name(disposition: str) -> str:
    """The file name of a Content-Disposition, without a folder."""
    _, _, name = disposition.partition("filename=")
    return name.split(";")[0].strip().strip('"').rpartition("/")[2].rpartition("\\")[2]
