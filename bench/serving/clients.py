"""Clients of the endpoint: many at once, and one in a process that is killed while it reads."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import httpx2
import numpy as np
import openai

PROMPTS = (
    "Tom has 3 apples and",
    "A train goes",
    "Question: how many?",
    "Natalia sold 48 clips to her friends in April.",
)
READER = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
for _ in client.completions.create(model=sys.argv[3], prompt="Tom", max_tokens=400, temperature=0, stream=True):
    print("read", flush=True)
"""


@dataclasses.dataclass(frozen=True)
class Ask:
    """One request: greedy, so that its answer is known."""

    adapter: str
    prompt: str
    stream: bool


class Answer(NamedTuple):
    """What came of it.

    text     "" if nothing came
    error    kind of what went wrong, or ""
    seconds  that it took
    """

    text: str
    error: str
    seconds: float


def drawn(names: Sequence[str], count: int, seed: int) -> list[Ask]:
    """Requests with adapters and prompts at random; every other one is streamed."""
    rng = np.random.default_rng(seed)
    which, prompts = rng.integers(len(names), size=count), rng.integers(len(PROMPTS), size=count)
    pairs = enumerate(zip(which.tolist(), prompts.tolist(), strict=True))
    return [Ask(names[int(k)], PROMPTS[p], i % 2 == 1) for i, (k, p) in pairs]


async def ask_all(
    url: str, key: str, asks: Sequence[Ask], clients: int, new: int, told: Callable[[int], None] = lambda done: None
) -> list[Answer]:
    """All of them by so many clients at once, none tried again; `told` hears how many are answered."""
    found: list[Answer | None] = [None] * len(asks)
    left = iter(range(len(asks)))
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    http = httpx2.AsyncClient(limits=limits, timeout=300)

    async def work(client: openai.AsyncOpenAI) -> None:
        for number in left:
            found[number] = await ask(client, asks[number], new)
            told(sum(each is not None for each in found))

    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, http_client=http) as client:
        await asyncio.gather(*(work(client) for _ in range(clients)))
    return [each for each in found if each is not None]


async def ask(client: openai.AsyncOpenAI, one: Ask, new: int) -> Answer:
    """One request, whole or in pieces."""
    began, text, error = time.perf_counter(), "", ""
    words = {"model": one.adapter, "prompt": one.prompt, "max_tokens": new, "temperature": 0}
    try:
        if one.stream:
            async for each in await client.completions.create(**words, stream=True):
                text += each.choices[0].text
        else:
            text = (await client.completions.create(**words)).choices[0].text
    except (openai.APIError, httpx2.HTTPError) as problem:
        error = type(problem).__name__
    return Answer(text, error, time.perf_counter() - began)


def killed(url: str, key: str, adapter: str) -> None:
    """A client in a process of its own, killed once it has read some of a long text."""
    words = [sys.executable, "-c", READER, url, key, adapter]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        reader.kill()
