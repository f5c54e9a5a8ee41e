"""An export answered as lm-eval does it, without lm-eval: through the export's own `utils.py`, to logs in its form.

What a model is shown and how its reply is scored is up to the functions that lm-eval would call; the rest of a line is
what lm-eval 0.4.13 writes. So what comes out is read as any log: `ll.read("logs/")`, `lleval check logs/`.
"""

import hashlib
import importlib.util
import json
import pathlib
import types
from collections.abc import Callable, Mapping
from typing import Any

from lleval_jax import writing
from lleval_jax.errors import require
from lleval_jax.live.exports import items, lm_eval

Says = Callable[[dict[str, str], str], str]  # (row of the export, what is shown) -> reply
WHEN = "2026-12-01T00-00-00.000000"  # in the names of logs: the same each time


def answer(export: pathlib.Path, models: Mapping[str, Says], out: pathlib.Path) -> list[pathlib.Path]:
    """Let models answer all questions of an export.

    Args:
        export: a folder that `exports.write` made, with lm-eval's tasks.
        models: name -> what it says. Names are names of folders.
        out: logs come to `out/<model>/samples_<task>_<date>.jsonl`.

    Returns:
        The logs.

    Raises:
        BadInput: the folder has no tasks for lm-eval.
    """
    utils, configs = _functions(export / "lm_eval"), sorted((export / "lm_eval" / "data").glob("*.parquet"))
    paths = []
    for path in configs:
        rows = _rows(path)
        shown = [utils.doc_to_text(row) for row in rows]
        for model, says in models.items():
            lines = [_line(i, rows[i], shown[i], says(rows[i], shown[i]), utils) for i in range(len(rows))]
            (task,) = {each for each in _tasks(export) if each.endswith(lm_eval.task_name("", path.stem)[4:])}
            paths.append(out / model / f"samples_{task}_{WHEN}.jsonl")
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            writing.put(paths[-1], "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
    return paths


def _tasks(export: pathlib.Path) -> list[str]:
    return [each.stem for each in (export / "lm_eval").glob("live_*.yaml")]


def _functions(folder: pathlib.Path) -> types.ModuleType:
    """`utils.py` of an export, as lm-eval takes it in."""
    path = folder / "utils.py"
    require(path.is_file(), f"{folder.parent} has no tasks for lm-eval: export with --to lm-eval")
    found = importlib.util.spec_from_file_location("live_export_utils", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


def _line(place: int, row: dict[str, str], shown: str, reply: str, utils: types.ModuleType) -> dict[str, Any]:
    """One answer, as lm-eval logs it."""
    target = utils.doc_to_target(row)
    return {
        "doc_id": place,
        "doc": row,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": shown}},
        "resps": [[reply]],
        "filtered_resps": [reply],
        "filter": "none",
        "metrics": ["acc", "invalid"],
        "doc_hash": items.doc_hash(row),
        "prompt_hash": hashlib.sha256(shown.encode()).hexdigest(),
        "target_hash": hashlib.sha256(target.encode()).hexdigest(),
        **utils.process_results(row, [reply]),
    }
