"""The folder of an export: what is asked for, pictures, NOTICE and the names of the items."""

import csv
import io
import json
import pathlib
from collections.abc import Mapping, Sequence
from importlib import resources

from lleval_jax import writing
from lleval_jax.errors import require
from lleval_jax.live import references
from lleval_jax.live.exports import hf, items, lm_eval
from lleval_jax.live.recipe import HARNESSES
from lleval_jax.live.run import Version
from lleval_jax.live.steps import Blobs

Configs = Mapping[str, Sequence[dict[str, str]]]


def write(
    version: Version,
    blobs: Blobs,
    place: pathlib.Path,
    *,
    to: Sequence[str] = HARNESSES,
    sheet: str = "",
    shard: int = 0,
) -> dict[str, int]:
    """Put a version where harnesses find it, whole or not at all.

    Args:
        version: its kept questions are written.
        blobs: the pictures.
        place: a new folder.
        to: of `recipe.HARNESSES`.
        sheet: the data sheet in Markdown, for the card.
        shard: bytes of a parquet file; 0: as the recipe says.

    Returns:
        Config -> its questions.

    Raises:
        BadInput: no question is left, or the place is taken.
    """
    configs = items.configs(version)
    require(bool(configs), f"version {version.recipe.name} has no question that may be exported")
    require(not place.exists() or not any(place.iterdir()), f"{place} is not empty; name a new folder")
    rows = [each for group in configs.values() for each in group]
    with writing.new_folder(place) as folder:
        if "hf" in to:
            hf.write(folder, configs, blobs, shard=shard or version.recipe.export.shard)
        if "lm-eval" in to:
            lm_eval.write(folder / "lm_eval", version.recipe.name, configs, many_modal=False)
        if "lmms-eval" in to:
            lm_eval.write(folder / "lmms_eval", version.recipe.name, configs, many_modal=True)
        if "inspect" in to:
            _inspect(folder / "inspect", version.recipe.name, configs)
        if set(to) - {"hf"}:
            _pictures(folder / "images", rows, blobs)
        (folder / "README.md").write_text(hf.card(version.recipe.name, configs, sheet), encoding="utf-8")
        (folder / "NOTICE").write_text(items.notice(version, rows), encoding="utf-8")
        if referred := references.table(rows, blobs):
            (folder / references.FILE).write_text(referred, encoding="utf-8")
        (folder / "items.csv").write_text(_names(configs, version.recipe.name), encoding="utf-8")
    return {name: len(group) for name, group in configs.items()}


def _inspect(folder: pathlib.Path, name: str, configs: Configs) -> None:
    (folder / "data").mkdir(parents=True)
    text = resources.files("lleval_jax.live.exports").joinpath("inspect_task.py").read_text(encoding="utf-8")
    for config, rows in configs.items():
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows)
        (folder / "data" / f"{config}.jsonl").write_text(lines, encoding="utf-8")
        task = lm_eval.task_name(name, config)
        text += f'\n\n@task\ndef {task}() -> Task:\n    """The questions of {config}."""\n    return made("{config}")\n'
    (folder / "task.py").write_text(text, encoding="utf-8")


def _pictures(folder: pathlib.Path, rows: Sequence[dict[str, str]], blobs: Blobs) -> None:
    folder.mkdir()
    for name in sorted({each["image_file"] for each in rows if not each["box"]} - {""}):
        (folder / name).write_bytes(blobs.get(name.removesuffix(".png")))


def _names(configs: Configs, name: str) -> str:
    """items.csv: question id, and the item's name in answers that lleval reads from lm-eval's and Inspect's logs."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "config", "element", "lm_eval", "inspect"])
    for config, rows in configs.items():
        task = lm_eval.task_name(name, config)
        for each in rows:
            lm = f"{task}/{items.doc_hash(each)}"
            writer.writerow([each["id"], config, each["element"], lm, f"{task}/{each['id']}"])
    return out.getvalue()
