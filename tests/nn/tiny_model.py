"""A language model of a few thousand weights over letters: what training and adapters are tried on."""

import dataclasses
from typing import Any

from flax import nnx

from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder

LETTERS = "abcdefghijklmnopqrstuvwxyz .?!0123456789+="


class Letters:
    """A token a letter: 0 ends, 1 begins."""

    bos, eos, begin, vocab, pad = 1, (0,), (1,), len(LETTERS) + 2, 0

    def encode(self, text: str) -> list[int]:
        return [LETTERS.index(letter) + 2 for letter in text]

    def encode_all(self, texts) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def prompt(self, text: str) -> list[int]:
        return [1, *self.encode(text)]

    def chat_tokens(self, turns) -> list[int]:
        return self.prompt(" ".join(turn["content"] for turn in turns))


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """The fields of `lm.LanguageModel` that are used."""

    decoder: Any
    name: str = "toy"
    tokens: Any = Letters()
    mesh: Any = None
    source: Any = "toy"

    @property
    def config(self) -> Config:
        return self.decoder.config


def model(seed: int = 0, mesh: Any = None, **settings: Any) -> Model:
    shape = {"layers": 2, "width": 16, "heads": 4, "kv_heads": 2, "head_dim": 4, "hidden": 24, "context": 48}
    return Model(Decoder(Config(vocab=Letters.vocab, **shape, **settings), rngs=nnx.Rngs(seed)), mesh=mesh)
