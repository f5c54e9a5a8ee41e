"""Prompts as rows of tokens that can be written on, what they have in common, and groups that fit in memory."""

import collections
import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lleval_jax.core.shapes import rung
from lleval_jax.errors import require
from lleval_jax.lm.chats import Message

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

Prompt: TypeAlias = str | Sequence[Message]
LEAST = 32  # the shortest cache
AT_ONCE = 512  # tokens up to which a cache has its full length from the start
SHARE = 0.25  # of the free memory, for caches
FEWEST = 16  # rows that go on without those that have ended: fewer would save less than a compilation takes
WORTH = 16  # tokens that a common beginning must have before it is read on its own


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One prompt.

    Attributes:
        number: Its place among the prompts, from 0.
        tokens: Its tokens, int32, one at least.
        key: Two words of random bits, uint32: of the seed, the tokens, and how many equal prompts stand before it.
    """

    number: int
    tokens: np.ndarray
    key: np.ndarray


def rows_of(
    model: "LanguageModel", prompts: Sequence[Prompt], *, limit: int, chat: bool, seed: int | Sequence[int], prefix: str
) -> list[Row]:
    """A row for each prompt; see `generate` for its arguments.

    Raises:
        BadInput: names the prompt (from 0) that cannot be written on, and why.
    """
    require(not isinstance(prompts, str), "prompts is one text; give a list of texts")
    require(not (chat and prefix), "prefix is for plain text; in a chat give its messages, with a system message first")
    seeds = [seed] * len(prompts) if isinstance(seed, int) else seed
    same = len(seeds) == len(prompts)
    require(same, f"there are {len(seeds)} seeds for {len(prompts)} prompts; give one, or one for each prompt")
    copies: collections.Counter[tuple[int, bytes]] = collections.Counter()
    rows = []
    for number, tokens in enumerate(_tokens(model, prompts, chat, prefix)):
        _require_fits(model, number, len(tokens), limit)
        text = np.asarray(tokens, np.int32)
        copy = seeds[number], text.tobytes()
        rows.append(Row(number, text, _key(seeds[number], text, copies[copy])))
        copies[copy] += 1
    return rows


def _tokens(model: "LanguageModel", prompts: Sequence[Prompt], chat: bool, prefix: str) -> list[list[int]]:
    if chat:
        return [model.tokens.chat_tokens(prompt) for prompt in prompts]
    for number, prompt in enumerate(prompts):
        known = isinstance(prompt, str)
        require(known, f"prompt {number} is a {type(prompt).__name__}; give a text, or messages with chat=True")
    texts = model.tokens.encode_all([f"{prefix}{prompt}" for prompt in prompts])
    return [[*model.tokens.begin, *text] or _beginning(model, number) for number, text in enumerate(texts)]


def _beginning(model: "LanguageModel", number: int) -> list[int]:
    """What an empty prompt is written on from: the token that begins a text."""
    bos = model.tokens.bos
    what = f"prompt {number} is empty, and {model.name} has no token that begins a text (bos)"
    require(bos is not None, f"{what}; give it a first word")
    return [] if bos is None else [bos]


def _require_fits(model: "LanguageModel", number: int, size: int, limit: int) -> None:
    context = model.config.context
    what = f"prompt {number} has {size:,} tokens; {model.name} reads and writes {context:,} at most"
    require(size < context, f"{what}; shorten it")
    both = f"{what}, and with limit={limit:,} that is {size + limit:,}"
    require(size + limit <= context, f"{both}; shorten it, or ask for {context - size:,} or fewer")


def _key(seed: int, tokens: np.ndarray, copy: int) -> np.ndarray:
    """Of the row and of nothing else in the call, so that its text is the same alone and in any company."""
    found = hashlib.sha256(f"{seed} {copy} ".encode() + tokens.astype("<i4").tobytes())
    return np.frombuffer(found.digest()[:8], "<u4").astype(np.uint32)


def common(rows: Sequence[Row]) -> np.ndarray:
    """The tokens that all rows begin with, at least one token left to each; none if reading them apart saves little."""
    first, last = (of(row.tokens.tolist() for row in rows) for of in (min, max))
    size = min(len(os.path.commonprefix([first, last])), len(first) - 1)
    return rows[0].tokens[: size if size >= WORTH and len(rows) > 1 else 0]


def grouped(rows: Sequence[Row], size: int) -> list[list[Row]]:
    """Groups of `size` rows of nearly the same length, the longest first: what does not fit says so at the start."""
    order = sorted(rows, key=lambda row: (-len(row.tokens), row.number))
    return [order[i : i + size] for i in range(0, len(order), size)]


def length_of(prompt: int, limit: int, written: int) -> int:
    """Of a cache for a prompt and at least `written` of `limit` tokens: few lengths, and none far too long.

    Attention reads the whole cache, so that a long text gets room as it grows.
    """
    whole = prompt + limit
    return max(LEAST, rung(whole if whole <= AT_ONCE else min(whole, max(prompt + written, AT_ONCE)), 2))


def rows_at_once(row_bytes: int, device: Any) -> int:
    """How many rows have room, each with a cache of `row_bytes`."""
    return max(1, int(SHARE * free_memory(device)) // max(1, row_bytes))


def free_memory(device: Any) -> int:
    """Bytes free on a device; of a CPU, which does not say, those of the machine that no program uses."""
    found = device.memory_stats()
    if found and "bytes_limit" in found:
        return found["bytes_limit"] - found.get("bytes_in_use", 0)
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf(pages)
