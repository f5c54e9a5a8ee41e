"""Preferences of the shared data: right and wrong solutions of school problems, and harmless answers in dialogues."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.kit.problems import shared
from lleval_jax.data.preferences import read_preferences
from lleval_jax.lm.load import LanguageModel
from lleval_jax.training.run import recipe
from lleval_jax.values.preferences import Preferences, Prompt

CALCULATOR = re.compile(r"<<[^>]*>>")


def solutions() -> Preferences:
    """Right with wrong solutions of GSM8K's problems, by four systems (Cobbe et al. 2021, MIT licence)."""
    rows = []
    for row in read("gsm8k_model_solutions"):
        written = [each for each in row.values() if isinstance(each, dict)]
        good, bad = ([_plain(each) for each in written if each["is_correct"] is right] for right in (True, False))
        prompt = f"Question: {row['question']}\nAnswer:"
        rows += [
            {"prompt": prompt, "chosen": one, "rejected": other}
            for one, other in itertools.product(dict.fromkeys(good), dict.fromkeys(bad))
        ]
    return Preferences.from_frame(pd.DataFrame(rows))


def dialogues() -> Preferences:
    """Pairs of HH harmless (Bai et al. 2022, MIT licence): last answers, after the chat that both share."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that are left out: one answer is empty, or both are the same
        return read_preferences(shared("data", "preference", "hh_harmless_base_test.jsonl.gz"), unfit="drop")


def short(model: LanguageModel, data: Preferences, longest: int) -> Preferences:
    """The pairs whose rows both have at most so many tokens."""
    prompts = [_length(model, prompt) for prompt in data.chosen.prompts]
    answers = [[len(each) + 1 for each in model.tokens.encode_all(side.answers)] for side in data.sides]
    most = np.array(prompts) + np.max(answers, axis=0)
    return data.take(np.flatnonzero(most <= longest).tolist())


def parted(data: Preferences, sizes: Sequence[int], seed: int) -> list[Preferences]:
    """Parts of so many prompts each with one pair a prompt, and last all pairs of the other prompts."""
    rng = np.random.default_rng(seed)
    rows = pd.Series(range(len(data.chosen.prompts))).groupby([str(each) for each in data.chosen.prompts])
    groups = [each.tolist() for _, each in rows]
    order = iter(rng.permutation(len(groups)))
    parts = [[int(rng.choice(groups[i])) for i in itertools.islice(order, size)] for size in sizes]
    return [data.take(each) for each in (*parts, [row for i in order for row in groups[i]])]


def kept_of(count: int, share: float) -> np.ndarray:
    """Which of so many answers are kept where some are dropped: drawn once, the same for all."""
    return np.sort(np.random.default_rng(0).permutation(count)[: round(share * count)])


def shipped() -> Iterator[dict[str, str]]:
    """The pairs of `lleval train demo:solutions`."""
    with (recipe.SHIPPED / "solutions.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def read(name: str) -> Iterator[dict[str, Any]]:
    """The rows of a file of preferences in the shared data."""
    with gzip.open(shared("data", "preference", f"{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _plain(written: dict[str, Any]) -> str:
    """As tiny-lm learned to write: without the marks of GSM8K's calculator."""
    return " " + CALCULATOR.sub("", written["solution"]).strip()


def _length(model: LanguageModel, prompt: Prompt) -> int:
    if isinstance(prompt, str):
        return len(model.tokens.prompt(prompt))
    return len(model.tokens.chat_tokens([turn._asdict() for turn in prompt]))
