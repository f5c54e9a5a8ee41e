"""Tasks for Inspect: `inspect eval inspect/task.py --model ...`. Ids of samples are those of the questions."""

# pyright: reportMissingImports=false

import json
import pathlib

from inspect_ai import Task, task  # noqa: F401  (each config's function below is one)
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText
from inspect_ai.scorer import choice
from inspect_ai.solver import multiple_choice

HERE = pathlib.Path(__file__).parent


def samples(config: str) -> MemoryDataset:
    """The rows of a config."""
    lines = (HERE / "data" / f"{config}.jsonl").read_text(encoding="utf-8").splitlines()
    return MemoryDataset([sample(json.loads(line)) for line in lines], name=config)


def sample(row: dict[str, str]) -> Sample:
    """A row: picture or table, question, options, key."""
    text = f"{row['table']}\n\n{row['question']}" if row["table"] and not row["image_file"] else row["question"]
    content: list[ContentText | ContentImage] = [ContentText(text=text)]
    if row["image_file"]:
        content.append(ContentImage(image=str(HERE.parent / "images" / row["image_file"])))
    options = [row[f"option_{letter}"] for letter in "abcd"]
    kept = {name: row[name] for name in ("element", "kind", "paper", "licence", "attribution")}
    return Sample(
        id=row["id"], input=[ChatMessageUser(content=content)], choices=options, target=row["answer"], metadata=kept
    )


def made(config: str) -> Task:
    """A config as a task."""
    return Task(dataset=samples(config), solver=multiple_choice(), scorer=choice())
