"""Three tasks on real short texts, and preferences of a decoder, for `bench.training.asymmetry`.

origin    which of AlpacaEval's five collections an instruction is from
asked     what a problem of GSM8K asks for (money, time, other), from what stands before its last sentence
speaker   whether a turn of an HH dialogue is the human's or the assistant's
turns     how the assistant's turn of an HH dialogue begins, preferred to how the human's does
"""

from __future__ import annotations

import gzip
import json
import re

import numpy as np
import pandas as pd

from bench.kit.problems import shared
from lleval_jax.training.run import recipe
from lleval_jax.values.preferences import Preferences

MONEY = re.compile(
    r"\$|dollar|cost|pay|earn|spend|spent|money|price|cents|bill|profit|change|sav|worth|charge|owe|make", re.I
)
TIME = re.compile(r"hour|minute|day|week|month|year|old|age|time|long", re.I)
TURN = re.compile(r"\n\n(Human|Assistant): ?")
SENTENCES = re.compile(r"(?<=[.?!])\s+")
Labelled = tuple[list[str], list[str]]


def origin() -> Labelled:
    table = pd.read_parquet(shared("data", "alpaca_eval", "instructions.parquet"))
    return table["instruction"].tolist(), table["dataset"].tolist()


def asked(most: int = 1200) -> Labelled:
    texts, labels = [], []
    for row in _mixed(_lines("gsm8k_train")):
        *before, last = SENTENCES.split(row["question"].strip())
        if before and last.endswith("?"):
            texts.append(" ".join(before))
            labels.append("money" if MONEY.search(last) else "time" if TIME.search(last) else "other")
    return texts[:most], labels[:most]


def speaker(most: int = 1200) -> Labelled:
    texts, labels = [], []
    rng = np.random.default_rng(0)
    for row in _mixed(_lines("hh_harmless_base_test")):
        who, *_ = parts = TURN.split(row["chosen"])[1:]
        at = 2 * int(rng.integers(len(parts) // 2))
        who, text = parts[at], parts[at + 1].strip()
        if text:
            texts.append(text)
            labels.append(who)
    return texts[:most], labels[:most]


TASKS = {"origin": origin, "asked": asked, "speaker": speaker}


def turns(most: int = 800, letters: int = 60) -> Preferences:
    """The beginnings of two turns of a dialogue."""
    rows = []
    for row in _mixed(_lines("hh_harmless_base_test")):
        parts = TURN.split(row["chosen"])[1:]
        said = {who: parts[i + 1].strip()[:letters] for i, who in list(enumerate(parts))[::2]}
        chosen, rejected = said.get("Assistant"), said.get("Human")
        if chosen and rejected and chosen != rejected:
            rows.append({"prompt": "Reply:", "chosen": f" {chosen}", "rejected": f" {rejected}"})
    return Preferences.from_frame(pd.DataFrame(rows[:most]))


def demo() -> Preferences:
    return Preferences.from_frame(pd.read_json(recipe.SHIPPED / "demo.jsonl", lines=True))


PREFERENCES = {"turns": turns, "demo": demo}


def _lines(name: str) -> list[dict]:
    with gzip.open(shared("data", "preference", f"{name}.jsonl.gz"), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _mixed(rows: list[dict]) -> list[dict]:
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
