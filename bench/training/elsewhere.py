"""What alignment costs elsewhere: the whole path in the shell, from a recipe to the interval of a difference.

tiny-lm learns to prefer right solutions, by adapters; the adapter's folder becomes a model again; both models choose
the question that belongs to a story, of GSM8K's test problems that were not learned; `lleval estimate` compares them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import re
import shlex
import tempfile
from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.training import pairs
from lleval_jax.cli.main import run

QUESTION = re.compile(r"^(?P<story>.+[.!])\s+(?P<question>[^.!]+\?)$", re.DOTALL)
RECIPE = """model = "tiny-lm"
data = "pairs.jsonl"
held_out = 0.25
out = "runs/aot"

[loss]
name = "aot"
beta = 0.1

[adapter]
rank = 8
targets = ["attention.*", "mlp.*"]

[schedule]
steps = {steps}
batch = {batch}
rate = 5e-3
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    steps: int = setting(8, "of training")
    batch: int = setting(8, "pairs a step")
    items: int = setting(60, "stories")
    options: int = setting(4, "questions to choose from")


def study(settings: Settings, record: Record) -> None:
    """Each command with what it printed."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        prepared(settings)
        ask = "lleval prompts run --prompts prompts.csv --examples stories.csv --per token"
        commands = (
            "lleval train recipe.toml",
            "lleval models merge runs/aot/adapter --out aligned",
            f"{ask} --model tiny-lm --as before --out before.csv",
            f"{ask} --model aligned --as after --out after.csv",
            "lleval estimate before.csv after.csv --compare after before --json found.json",
        )
        said = []
        for command in commands:
            said.append({"command": command, "printed": _typed(command)})
            record.keep({"path": said})
        record.keep({"found": json.loads(pathlib.Path("found.json").read_text())})


def prepared(settings: Settings) -> None:
    """The files that the commands read, in the folder where one is."""
    data = list(pairs.shipped())
    pathlib.Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
    pathlib.Path("recipe.toml").write_text(RECIPE.format(**dataclasses.asdict(settings)))
    pd.DataFrame([{"prompt": "plain", "template": "Question: {story}"}]).to_csv("prompts.csv", index=False)
    learned = {row["prompt"] for row in data}
    stories(settings, learned).to_csv("stories.csv", index=False)


def stories(settings: Settings, learned: set[str]) -> pd.DataFrame:
    """Problems without their question, which is one of the options; the others are of other problems."""
    rng = np.random.default_rng(0)
    cut = list(_cut(learned))
    order = rng.permutation(len(cut))[: settings.items]
    rows = []
    for i in order:
        others = rng.choice([j for j in range(len(cut)) if j != i], settings.options - 1, replace=False)
        options = rng.permutation([cut[i][1], *(cut[j][1] for j in others)])
        row = {"item": f"gsm8k-test-{cut[i][2]:04}", "story": cut[i][0], "answer": cut[i][1]}
        rows.append(row | {f"option_{k}": option for k, option in enumerate(options, 1)})
    return pd.DataFrame(rows)


def _cut(learned: set[str]) -> Iterator[tuple[str, str, int]]:
    """Story, question and number of each problem that is short, and not learned."""
    for number, row in enumerate(pairs.read("gsm8k_test")):
        found = QUESTION.match(row["question"].strip())
        if found and len(row["question"]) < 300 and f"Question: {row['question']}\nAnswer:" not in learned:
            yield found["story"], found["question"], number


def _typed(command: str) -> str:
    """What a command prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(open(os.devnull, "w")):
        status = run(shlex.split(command)[1:])
    if status != 0:
        raise RuntimeError(f"{command} ended with {status}: {out.getvalue()}")
    return re.sub(r"[\d,.]+ s, [\d,]+ tokens/s", "...", out.getvalue().rstrip())
