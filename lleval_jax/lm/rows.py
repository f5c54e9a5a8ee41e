"""Prompts and answers to token rows: where the answer begins, and what cannot be scored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from lleval_jax.errors import require
from lleval_jax.lm.packing import Row

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

Text: TypeAlias = str | Sequence[int] | np.ndarray  # a text, or its token ids


def token_rows(model: "LanguageModel", prompts: Sequence[Text], answers: Sequence[Text], *, chat: bool) -> list[Row]:
    """One row for each prompt and its answer; see `score` for where the one ends and the other begins.

    Raises:
        BadInput: names the row (from 0) that cannot be scored, and why.
    """
    for word, given in (("prompts", prompts), ("answers", answers)):
        require(not isinstance(given, str), f"{word} is one text; give a list of texts, one for each row")
    counts = f"there are {len(prompts)} prompts and {len(answers)} answers"
    require(len(prompts) == len(answers), f"{counts}; give one answer for each prompt")
    for i, answer in enumerate(answers):
        require(len(answer) > 0, f"row {i}: the answer is empty; there is nothing to score")
    rows = _encoded(model, prompts, answers, chat)
    for i, row in enumerate(rows):
        _require_fits(model, i, row)
    return [Row(row.tokens.astype(np.int32), row.start) for row in rows]


def long_rows(model: "LanguageModel", text: Text, window: int | None, stride: int | None) -> list[Row]:
    """A text of any length as windows, each token of which is scored in one; see `perplexity`."""
    context = model.config.context
    window = context if window is None else window
    require(
        2 <= window <= context, f"window is {window}; it must be from 2 to {context:,}, the context of {model.name}"
    )
    stride = window // 2 if stride is None else stride
    require(1 <= stride < window, f"stride is {stride}; it must be from 1 to {window - 1}, one less than the window")
    tokens = np.asarray(_prompt(model, text, False, 0) if len(text) else [], np.int64)
    require(
        len(tokens) > 1, f"the text has {len(tokens)} tokens; perplexity needs two at least, for the first is given"
    )
    firsts = range(0, max(1, len(tokens) - window + stride), stride)
    rows = [Row(tokens[first : first + window], 1 if first == 0 else window - stride) for first in firsts]
    for i, row in enumerate(rows):
        _require_fits(model, i, row)
    return [Row(row.tokens.astype(np.int32), row.start) for row in rows]


def _encoded(model: "LanguageModel", prompts: Sequence[Text], answers: Sequence[Text], chat: bool) -> list[Row]:
    both = [
        isinstance(prompt, str) and isinstance(answer, str) for prompt, answer in zip(prompts, answers, strict=True)
    ]
    joint = [i for i, texts in enumerate(both) if texts and not chat]
    asked, given = ([str(side[i]) for i in joint] for side in (prompts, answers))
    rows = dict(zip(joint, _jointly(model, asked, given, joint), strict=True)) if joint else {}
    for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        if i not in rows:
            first = _prompt(model, prompt, chat, i)
            last = model.tokens.encode(answer) if isinstance(answer, str) else answer
            rows[i] = _row([*first, *last], len(first))
    return [rows[i] for i in range(len(prompts))]


def _jointly(model: "LanguageModel", prompts: list[str], answers: list[str], numbers: list[int]) -> list[Row]:
    """Encoded in one piece, cut where the prompt alone ends."""
    stripped = [prompt.rstrip() for prompt in prompts]
    tokens, rows = model.tokens, []
    whole = tokens.encode_all([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)])
    alone = tokens.encode_all(stripped)
    for i, prompt, all_of_it, first in zip(numbers, stripped, whole, alone, strict=True):
        before = [*tokens.begin] if prompt else _beginning(model, i)
        row = _row([*before, *all_of_it], len(before) + len(first))
        eaten = len(first) >= len(all_of_it)
        hint = "give token ids, or end the prompt where a word ends"
        require(not eaten, f"row {i}: the answer has no token of its own: it becomes part of the prompt's last; {hint}")
        rows.append(row)
    return rows


def _prompt(model: "LanguageModel", prompt: Text, chat: bool, row: int) -> list[int]:
    if not isinstance(prompt, str):
        require(len(prompt) > 0, f"row {row}: the prompt has no token; give one at least, such as the model's bos")
        return [int(token) for token in prompt]
    if chat:
        return model.tokens.chat_tokens(prompt)
    return model.tokens.prompt(prompt) if prompt else _beginning(model, row)


def _beginning(model: "LanguageModel", row: int) -> list[int]:
    """What stands before a text that follows no prompt."""
    tokens = model.tokens
    known = [*tokens.begin] or ([] if tokens.bos is None else [tokens.bos])
    text = f"row {row}: the prompt is empty, and {model.name} has no token that begins a text (bos)"
    require(bool(known), f"{text}; give a prompt of one token at least")
    return known


def _row(tokens: Sequence[int], start: int) -> Row:
    return Row(np.asarray(tokens, np.int64), start)


def _require_fits(model: "LanguageModel", i: int, row: Row) -> None:
    context, vocab, length = model.config.context, model.config.vocab, len(row.tokens)
    text = f"row {i}: prompt and answer have {length:,} tokens; {model.name} reads {context:,} at most"
    require(length <= context, f"{text}; shorten the prompt")
    low, high = int(row.tokens.min()), int(row.tokens.max())
    wrong = low if low < 0 else high
    require(
        low >= 0 and high < vocab, f"row {i}: there is no token {wrong}; {model.name} has tokens 0 to {vocab - 1:,}"
    )
