"""Text as it is written, token by token: whole characters only, cut at the first stop string."""

from collections.abc import Iterable, Sequence
from typing import Protocol

UNFINISHED = "\ufffd"  # how a decoder shows bytes that are no character, or not yet


class _Decodes(Protocol):
    def decode(self, tokens: Iterable[int], *, special: bool = False) -> str: ...


class Stream:
    """Turns tokens into text as they come.

    Text is given out once it cannot change: bytes that are not yet a character wait for the rest of it, and what may
    be the start of a stop string waits until it is or is not. The parts given out join to what `decode` makes of all
    tokens at once, up to the stop string.

    Args:
        tokens: the model's `Tokens`.
        prompt: what the text goes on from, for the space between the two; it is not given out.
        stop: texts at which the writing ends; they are not given out.

    Example:
        >>> stream = Stream(tokens, stop=["Question:"])  # doctest: +SKIP
        >>> "".join(stream.push(each) for each in written) + stream.finish()  # doctest: +SKIP
        'The capital of France is Paris.'
    """

    def __init__(self, tokens: _Decodes, prompt: Sequence[int] = (), stop: Sequence[str] = ()) -> None:
        self._tokens, self._stop = tokens, tuple(text for text in stop if text)
        self._seen = list(prompt[-8:])  # enough to know what comes before
        self._start, self._given = 0, len(self._seen)  # decoded from `_start`; text is out up to `_given`
        self._held, self.text = "", ""
        self.stopped: str | None = None  # the stop string that ended the text

    def push(self, *tokens: int) -> str:
        """Take tokens; the text that is now certain, perhaps ""."""
        if self.stopped is not None:
            return ""
        self._seen += tokens
        self._held += self._whole(last=False)
        return self._release(last=False)

    def finish(self) -> str:
        """No more tokens come: the rest of the text. Bytes that are no character become U+FFFD."""
        if self.stopped is not None:
            return ""
        self._held += self._whole(last=True)
        return self._release(last=True)

    def _whole(self, last: bool) -> str:
        """New text in whole characters: what the tokens since `_start` say beyond those before `_given`."""
        before = self._tokens.decode(self._seen[self._start : self._given])
        now = self._tokens.decode(self._seen[self._start :])
        if len(now) <= len(before) or (now.endswith(UNFINISHED) and not last):
            return ""
        self._start, self._given = self._given, len(self._seen)
        return now[len(before) :]

    def _release(self, last: bool) -> str:
        places = [(self._held.find(text), text) for text in self._stop if text in self._held]
        if places:
            end, self.stopped = min(places)
        else:
            end = len(self._held) - (0 if last else self._may_stop())
        out, self._held = self._held[:end], self._held[end:]
        self.text += out
        return out

    def _may_stop(self) -> int:
        """How many of the last characters held may be the start of a stop string."""
        sizes = (n for text in self._stop for n in range(1, len(text)) if self._held.endswith(text[:n]))
        return max(sizes, default=0)
