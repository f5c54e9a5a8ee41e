"""Writing: greedy or drawn, in groups of rows that fit, with a cache that grows as the text does.

A row's text depends on its own prompt, the seed and the settings, not on its neighbours: its random key is made of
these, and the mask keeps rows apart. (Another group may add up a product in another order; where two tokens are equally
probable to the last digit, that can decide.)
"""

import dataclasses
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lleval_jax.core.shapes import rung
from lleval_jax.errors import require
from lleval_jax.lm import decoding
from lleval_jax.lm.cache import Cache
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.decoding import CHUNK, PIECE, Choice, State
from lleval_jax.lm.groups import Prompt, Row, common, grouped, length_of, rows_at_once, rows_of
from lleval_jax.lm.sampling import Sampling
from lleval_jax.lm.stream import Stream
from lleval_jax.values.progress import Progress, Tell, silent

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

Ended = Literal["stop", "eos", "limit"]


@dataclasses.dataclass(frozen=True)
class Written:
    """What a model wrote on one prompt.

    Attributes:
        text: Without the prompt, the stop string and control tokens.
        tokens: The tokens written, up to the one that completed the stop string; without the one that ends a text.
        ended: By a "stop" string, by "eos", or by the "limit" of tokens.
    """

    text: str
    tokens: tuple[int, ...]
    ended: Ended


def generate(
    model: "LanguageModel",
    prompts: Sequence[Prompt],
    *,
    limit: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    penalty: float = 1.0,
    stop: str | Sequence[str] = (),
    eos: Sequence[int] | None = None,
    chat: bool = False,
    seed: int = 0,
    prefix: str = "",
    batch: int | None = None,
    tell: Tell = silent,
) -> tuple[Written, ...]:
    """Let a language model go on from each prompt.

    Args:
        model: From `lm.load`.
        prompts: Texts; with `chat=True` conversations, each a list of messages or the user's text alone. An empty text
            is written on from the token that begins a text, if the model has one.
        limit: Tokens that a row may write. Prompt and limit must fit in the model's context: nothing is cut off.
        temperature: 0 takes the most probable token each time; above 0 tokens are drawn.
        top_p: Draw among the most probable tokens that together have this probability.
        top_k: Draw among the k most probable tokens; 0 is all.
        penalty: For tokens that the prompt or the text holds; 1 is none. See `lm.Sampling`.
        stop: Texts that end the writing. They are not part of the text.
        eos: Tokens that end the writing; None is the tokenizer's own.
        chat: Put each prompt into the model's chat template.
        seed: Of the draws. Each row has a key of its own, made of the seed, its prompt and how many equal prompts stand
            before it: its text is the same alone, in another batch and in another order.
        prefix: A text before every prompt. What prompts have in common is read once, here and wherever it is found.
        batch: Rows at once; None is as many as fit in a quarter of the free memory.
        tell: Called with `Progress` in tokens, with tokens a second, after every few tokens; what it raises ends the
            call.

    Returns:
        A `Written` for each prompt, in order.

    Raises:
        BadInput: A prompt is empty where it may not be, or too long for the context (it is named by its number), or a
            setting is out of range.

    Example:
        >>> model = lm.load("tiny-lm")  # doctest: +SKIP
        >>> lm.generate(model, ["Natalia sold 48 clips."], limit=20, stop="\\n")[0].text  # doctest: +SKIP
    """
    how = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, penalty=penalty)
    task = Task(how, limit, _stops(stop), tuple(model.tokens.eos if eos is None else eos))
    rows = rows_of(model, prompts, limit=limit, chat=chat, seed=seed, prefix=prefix)
    found = dict(_written(model, rows, task, batch, tell))
    return tuple(found[number] for number in range(len(rows)))
