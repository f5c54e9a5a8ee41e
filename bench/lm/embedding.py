"""Sentences a second of MiniLM, ours and transformers' in torch on the same texts, in turn, on the same cores.

Texts are drawn from a few words, of 5 to 120 words, most of them short. Both sides sort them by length. The
rival tries several numbers of texts in a batch. It needs PyTorch: `LLEVAL_PARITY` names its Python.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import lm
from lleval_jax.lm import registry

RIVAL = pathlib.Path(__file__).parent / "rivals" / "transformers_embedding.py"
WORDS = (
    "the a model reads one text and writes another while people count apples in Paris on Friday with some care".split()
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    texts: int = setting(1000, "texts")
    turns: int = setting(5, "passes of each side, in turn")
    rows: tuple[int, ...] = setting((32, 64), "texts of a batch that the rival tries")
    theirs: bool = setting(True, "time the rival too")


def made(count: int) -> list[str]:
    """Texts of 5 to 120 words, most of them short."""
    draw = np.random.default_rng(0)
    sizes = np.clip(draw.lognormal(2.8, 0.8, count), 5, 120).astype(int)
    return [" ".join(draw.choice(WORDS, size)) for size in sizes]


class Rival:
    """transformers in a process of its own, asked for one pass at a time."""

    def __init__(self, folder: pathlib.Path, texts: list[str], rows: int, place: pathlib.Path) -> None:
        """Start it, and wait for its first pass."""
        (place / "texts.json").write_text(json.dumps(texts))
        self.out = place / f"{rows}.npy"
        python = os.environ.get("LLEVAL_PARITY", sys.executable)
        words = [python, str(RIVAL), str(folder), str(place / "texts.json"), str(self.out), str(rows)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line()

    def seconds(self) -> float:
        """Of one pass."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the rival ended before it answered")
        return line


def study(settings: Settings, record: Record) -> None:
    """Both sides in turn, so that what else runs on the machine slows both."""
    texts, encoder, folder = made(settings.texts), lm.load_encoder("minilm"), registry.located("minilm")
    ours: list[float] = []
    theirs: dict[int, list[float]] = {rows: [] for rows in settings.rows} if settings.theirs else {}
    vectors = lm.embed(encoder, texts)  # compiles
    with tempfile.TemporaryDirectory() as place:
        rivals = {rows: Rival(folder, texts, rows, pathlib.Path(place)) for rows in theirs}
        apart = {rows: float(np.abs(np.load(rival.out) - vectors).max()) for rows, rival in rivals.items()}
        for _ in range(settings.turns):
            began = time.perf_counter()
            lm.embed(encoder, texts)
            ours.append(time.perf_counter() - began)
            for rows, rival in rivals.items():
                theirs[rows].append(rival.seconds())
        for rival in rivals.values():
            rival.process.terminate()
            rival.process.wait()
    content = {"texts": len(texts), "ours": _side(len(texts), ours)}
    content["theirs"] = {str(rows): _side(len(texts), found) | {"apart": apart[rows]} for rows, found in theirs.items()}
    print(json.dumps(content), flush=True)
    record.keep(content)


def _side(count: int, seconds: list[float]) -> dict:
    return {"sentences_a_second": count / statistics.median(seconds), "best": count / min(seconds), "seconds": seconds}
