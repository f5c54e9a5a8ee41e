"""A language model of a few thousand weights with byte-level tokens, any text and back, with or without turns."""

import pathlib
from typing import Any

from flax import nnx
from nn import tiny_tokens

from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.load import LanguageModel, Source
from lleval_jax.lm.tokens import Tokens

SHAPE = {"layers": 2, "width": 16, "heads": 4, "kv_heads": 2, "head_dim": 4, "hidden": 24}


def tokens(folder: pathlib.Path, *, chat: bool) -> Tokens:
    """Byte-level BPE."""
    settings = {"eos_token": "<|endoftext|>"} | ({"chat_template": tiny_tokens.CHAT} if chat else {})
    tiny_tokens.write(folder, tiny_tokens.byte_level(), settings)
    return Tokens.read(folder)


def model(folder: pathlib.Path, *, chat: bool = False, seed: int = 0, **settings: Any) -> LanguageModel:
    """A model with random weights."""
    read = tokens(folder, chat=chat)
    config = Config(vocab=read.vocab, **SHAPE | {"context": 256} | settings)
    source = Source(folder, (), "none")
    return LanguageModel("tiny", Decoder(config, rngs=nnx.Rngs(seed)), read, config, None, source)
