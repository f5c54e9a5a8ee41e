"""A toy: two layers learn to repeat an answer with one banned word replaced; exact matches on answers never seen.

What it checks is the path of a row: marks, weights on the correction alone, writing until the mark that ends it.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import tempfile
import time
from typing import Any

import numpy as np
from flax import nnx
from tokenizers import Tokenizer, models, pre_tokenizers

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import training as tr
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.load import LanguageModel, Source
from lleval_jax.lm.tokens import Tokens
from lleval_jax.values.corrections import Corrections, Example

BANNED, INSTEAD = "bad", "good"
WORDS = tuple("abcdefghijklmnop") + (BANNED, INSTEAD)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    rows: int = setting(8000, "examples that are learned")
    test: int = setting(500, "answers that are not")
    steps: int = setting(1000, "of training")
    batch: int = setting(64, "examples of a step")
    width: int = setting(64, "of the model")
    rate: float = setting(3e-3, "learning rate")


def study(settings: Settings, record: Record) -> None:
    """Train, and count exact matches."""
    with tempfile.TemporaryDirectory() as folder:
        base = model(pathlib.Path(folder), settings.width)
    made = examples(settings.rows + settings.test)
    learned, apart = made.keep(made.rows[: settings.rows]), made.rows[settings.rows :]
    schedule = tr.Schedule(steps=settings.steps, batch=settings.batch, rate=settings.rate)
    began = time.perf_counter()
    found = tr.fit_aligner(base, learned, lora=None, schedule=schedule, limit=12)
    seconds = time.perf_counter() - began
    texts = found.aligner.align([row.question for row in apart], [row.answer for row in apart]).rows
    right = [text.text == row.correction for text, row in zip(texts, apart, strict=True)]
    losses = [each["loss"] for each in found.trained.history]
    record.keep(
        {
            "exact": float(np.mean(right)),
            "of": len(right),
            "seconds": seconds,
            "loss": losses[:: len(losses) // 10 or 1],
        }
    )


def examples(rows: int) -> Corrections:
    """Answers of four to eight words, all different, in two thirds of which one is banned."""
    rng, made = np.random.default_rng(0), {}
    while len(made) < rows:
        words = rng.choice(WORDS[:-2], rng.integers(4, 9)).tolist()
        if len(made) % 3:
            words[rng.integers(len(words))] = BANNED
        made.setdefault(" ".join(words), None)
    texts = list(made)
    return Corrections(
        "toy", tuple(Example(str(i), "a", text, text.replace(BANNED, INSTEAD)) for i, text in enumerate(texts))
    )


def model(folder: pathlib.Path, width: int) -> LanguageModel:
    """Two layers over whole words."""
    vocab = {word: number for number, word in enumerate(("<end>", "<unk>", *WORDS))}
    made = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(["<end>"])
    (folder / "tokenizer.json").write_text(made.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>", "unk_token": "<unk>"}))
    tokens = Tokens.read(folder)
    shape: dict[str, Any] = {
        "layers": 2,
        "width": width,
        "heads": 4,
        "kv_heads": 4,
        "head_dim": width // 4,
        "hidden": 2 * width,
    }
    config = Config(vocab=tokens.vocab, context=64, **shape)
    source = Source(pathlib.Path("toy"), (), "")
    return LanguageModel("toy", Decoder(config, rngs=nnx.Rngs(0)), tokens, config, None, source)
