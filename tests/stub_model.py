"""A scorer that is a formula: tokens are bytes, and log-probabilities follow from them alone."""

import zlib

import numpy as np

from lleval_jax.errors import BadInput
from lleval_jax.values.progress import Progress


class Stub:
    """As `harness.model.Scorer`; dies at one of its calls if asked."""

    known = "stub 1"

    def __init__(self, *, context: int = 200, chats: bool = True, dies: int = -1) -> None:
        self.context, self.chats, self.dies = context, chats, dies
        self.calls: list[list[str]] = []

    def client(self, *, batch, tell):
        raise AssertionError("no example is answered in writing")

    def require_chat(self) -> None:
        if not self.chats:
            raise BadInput("stub has no chat template")

    def read(self, prompts):
        return [list(shown(prompt).rstrip(" ").encode()) for prompt in prompts]

    def after(self, before, answers):
        blank = [" " * (len(one) - len(one.rstrip(" "))) for one in before]
        return [list((b + answer).encode()) for b, answer in zip(blank, answers, strict=True)]

    def score(self, prompts, answers, *, tell):
        if len(self.calls) == self.dies:
            raise KeyboardInterrupt
        self.calls.append([bytes(prompt).decode() for prompt in prompts])
        tell(Progress("scoring", len(prompts), len(prompts), unit="tokens"))
        return np.array([value(bytes(p), bytes(a)) for p, a in zip(prompts, answers, strict=True)])


def shown(prompt) -> str:
    return prompt if isinstance(prompt, str) else "".join(f"<{role}>{text}</{role}>" for role, text in prompt)


def value(prompt: bytes, answer: bytes) -> float:
    """A log-probability: the length of the answer, and something of both texts."""
    return -len(answer) - zlib.crc32(prompt + b"|" + answer) % 1000 / 100
