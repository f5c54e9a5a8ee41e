"""Tasks for lm-eval and lmms-eval: YAML, rows without pictures, and `utils.py`, which reads what lies next to it."""

import io
import pathlib
from collections.abc import Mapping, Sequence
from importlib import resources

from lleval_jax import writing
from lleval_jax.live.exports.items import TEXTS

VERSION = 1  # of the tasks
TEMPLATE = """custom_dataset: !function utils.{config}
test_split: test
metadata:
  version: {version}
"""
ANSWERED = """output_type: generate_until
doc_to_text: !function utils.doc_to_text
{visual}doc_to_target: !function utils.doc_to_target
process_results: !function utils.process_results
generation_kwargs:
  until: ["\\n\\n"]
  temperature: 0.0
  do_sample: false
  {tokens}: 64
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: invalid
    aggregation: mean
    higher_is_better: false
"""
CHOSEN = """output_type: multiple_choice
doc_to_text: !function utils.doc_to_text
doc_to_choice: ["A", "B", "C", "D"]
doc_to_target: !function utils.place_of_key
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""


def write(
    folder: pathlib.Path, name: str, configs: Mapping[str, Sequence[dict[str, str]]], *, many_modal: bool
) -> None:
    """A folder of tasks: one a config, another that chooses by log-probability for tables, and a group of all.

    Args:
        folder: of the tasks; the pictures lie in `images` next to it.
        name: of the group.
        configs: their rows.
        many_modal: for lmms-eval, where pictures are `doc_to_visual` and a limit of tokens has another name.
    """
    (folder / "data").mkdir(parents=True)
    picture = "doc_to_visual" if many_modal else "doc_to_image"
    tasks = []
    for config, rows in configs.items():
        writing.put(folder / "data" / f"{config}.parquet", packed(rows))
        sees = any(each["image_file"] for each in rows)
        visual = f"{picture}: !function utils.doc_to_image\n" if sees or many_modal else ""
        tokens = "max_new_tokens" if many_modal else "max_gen_toks"
        head = TEMPLATE.format(config=function(config), version=VERSION)
        tasks.append((task_name(name, config), head + ANSWERED.format(visual=visual, tokens=tokens)))
        if not sees and not many_modal:
            tasks.append((f"{task_name(name, config)}_choice", head + CHOSEN))
    for task, text in tasks:
        writing.put(folder / f"{task}.yaml", f"task: {task}\n{text}".encode())
    chosen = [task for task, _ in tasks if not task.endswith("_choice")]
    group = f"group: {task_name(name)}\ntask:\n" + "".join(f"  - {each}\n" for each in chosen)
    writing.put(folder / f"_{task_name(name)}.yaml", group.encode())
    writing.put(folder / "utils.py", utils(configs).encode())


def utils(configs: Mapping[str, Sequence[dict[str, str]]]) -> str:
    """The functions that the YAML names: those of `harness_utils.py`, and a reader of each config."""
    text = resources.files("lleval_jax.live.exports").joinpath("harness_utils.py").read_text(encoding="utf-8")
    readers = (
        f'\n\ndef {function(each)}(**_):\n    """The rows of {each}."""\n    return dataset("{each}")\n'
        for each in configs
    )
    return text + "".join(readers)


def packed(rows: Sequence[dict[str, str]]) -> bytes:
    """Rows without pictures as parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    schema = pa.schema([(name, pa.string()) for name in TEXTS])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), out, compression="zstd")
    return out.getvalue()


def task_name(name: str, config: str = "") -> str:
    """`live_2026_11_cc_by_figures`."""
    words = "_".join(filter(None, ("live", name, config)))
    return "".join(letter if letter.isalnum() else "_" for letter in words).lower()


def function(config: str) -> str:
    """The name of the function that reads a config."""
    return "read_" + "".join(letter if letter.isalnum() else "_" for letter in config)
