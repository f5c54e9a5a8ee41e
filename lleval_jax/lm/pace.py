"""When to ask a server: a bounded rate of requests and tokens, and how long to wait before asking again."""

import dataclasses
import email.utils
import math
import threading
import time
from collections.abc import Callable, Mapping

from lleval_jax.errors import require

JITTER = 0.1  # share by which a wait that the server asked for is drawn out, so that threads do not all return at once


@dataclasses.dataclass(frozen=True)
class Retry:
    """How often to ask, and how long to wait in between: twice as long each time, and a random part of it.

    tries    times to ask, in all
    first    seconds to wait after the first failure
    most     seconds to wait at most, where the server says nothing
    longest  seconds that a server may ask to wait (`Retry-After`); if it asks for more, the run ends and says so
    """

    tries: int = 6
    first: float = 1.0
    most: float = 60.0
    longest: float = 600.0

    def __post_init__(self) -> None:
        require(self.tries >= 1, f"tries is {self.tries}; it must be at least 1")
        for name in ("first", "most", "longest"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"{name} is {value}; it must be seconds, at least 0")

    def seconds(self, tried: int, asked: float | None, share: float) -> float:
        """Seconds to wait after `tried` failures.

        Args:
            tried: times that were asked so far, from 1.
            asked: what the server asked for, which is never cut short; None or 0 where it left it open.
            share: from 0 to 1, drawn at random.

        Returns:
            `asked`, up to a tenth more; else from half to the whole of `first * 2**(tried - 1)`, at most `most`.
        """
        if asked:
            return asked * (1 + JITTER * share)
        return min(self.most, self.first * 2.0 ** min(tried - 1, 60)) * (1 + share) / 2


class Pace:
    """Spaces requests out evenly, so that no minute holds more than was allowed; shared by the threads of a client.

    A request takes its share of the minute when it begins; its tokens are guessed then and put right by `settle`.
    """

    def __init__(
        self,
        requests: float | None = None,
        tokens: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`requests` and `tokens` a minute, None for no bound; `clock` and `sleep` count seconds."""
        for name, value in (("requests", requests), ("tokens", tokens)):
            text = f"{name} a minute is {value}; it must be above 0, or None for no bound"
            require(value is None or 0 < value < math.inf, text)
        self._each = 60 / requests if requests else 0.0
        self._a_token = 60 / tokens if tokens else 0.0
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = self._next_token = self._closed = -math.inf

    def wait(self, tokens: float = 0) -> None:
        """Return when a request of so many tokens may begin."""
        begin = self._reserved(tokens)
        while (left := max(begin, self._closed) - self._clock()) > 0:
            self._sleep(left)

    def settle(self, guessed: float, used: float) -> None:
        """Count the tokens that a request really used in place of those that were guessed."""
        with self._lock:
            self._next_token += (used - guessed) * self._a_token

    def pause(self, seconds: float) -> None:
        """Let no request begin for so long: the server asked for it."""
        with self._lock:
            self._closed = max(self._closed, self._clock() + seconds)

    def _reserved(self, tokens: float) -> float:
        """When a request may begin; the ones that come after it begin later."""
        with self._lock:
            begin = max(self._clock(), self._next, self._next_token)
            self._next, self._next_token = begin + self._each, begin + tokens * self._a_token
            return begin


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to wait, by `Retry-After-Ms` or `Retry-After` (seconds, or a date: RFC 9110, 10.2.3).

    Args:
        headers: of its answer, with names in lower case.
        now: seconds since 1970, for a date.

    Returns:
        Seconds, at least 0; None where it asks for none that can be read.
    """
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        if name in headers:
            seconds = _seconds(headers[name], now) / unit
            if not math.isnan(seconds):
                return max(0.0, seconds)
    return None


def _seconds(text: str, now: float) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return math.nan
