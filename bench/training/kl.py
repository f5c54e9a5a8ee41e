"""How far a model went from its reference: log pi - log pi_ref of what it writes itself, whose mean is the KL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lleval_jax import lm
from lleval_jax.lm.load import LanguageModel
from lleval_jax.values.preferences import Prompt


def log_ratios(
    model: LanguageModel, reference: LanguageModel, prompts: Sequence[Prompt], *, limit: int, seed: int
) -> np.ndarray:
    """One text a prompt, drawn from the model at temperature 1: its log-ratio to the reference, in nats.

    The mean estimates the KL divergence, without bias, of the texts' first `limit` tokens; a text that ends before
    counts with the token that ends it. Single values may be negative; the mean is not, but for noise.

    Args:
        model: what writes.
        reference: what it was before.
        prompts: texts, or chats.
        limit: tokens of a text, at most.
        seed: of the draws.
    """
    end = model.tokens.eos[0]
    chat = not isinstance(prompts[0], str)
    asked: list[Any] = (
        [[turn._asdict() for turn in each if not isinstance(turn, str)] for each in prompts] if chat else list(prompts)
    )
    words: dict[str, Any] = {"limit": limit, "temperature": 1.0, "seed": seed, "eos": [end], "chat": chat}
    written = lm.generate(model, asked, **words)
    answers = [[*text.tokens, end] if text.ended == "eos" else list(text.tokens) for text in written]
    given = [model.tokens.chat_tokens(each) if chat else model.tokens.prompt(each) for each in asked]
    return lm.score(model, given, answers).sums - lm.score(reference, given, answers).sums
