"""A response matrix to files that other programs read: a long parquet table, or Every Eval Ever."""

import hashlib
import json
import os
import pathlib
import re
import uuid
from collections.abc import Iterator
from importlib import metadata
from typing import IO, Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from lleval_jax import writing
from lleval_jax.errors import BadInput, require
from lleval_jax.values import Responses, SparseResponses

SCHEMA = "0.3.0"  # of Every Eval Ever
ROWS = 1 << 20  # rows of a table written at once
OTHERS = (".csv", ".tsv", ".json", ".jsonl", ".txt")  # names that promise what a parquet table is not
OURS = re.compile(r"data/lleval/[^/]+/[^/]+/\.?[0-9a-f-]{36}(_samples)?\.")  # how files of Every Eval Ever begin here
Kind = Literal["parquet", "eee"]


def write(responses: Responses | SparseResponses, path: str | os.PathLike[str], *, format: Kind = "parquet") -> None:  # noqa: A002
    """Write the answers for other programs; `read` gives them back.

    "parquet": one table, a row an answer: model, item, score, group, weight and, where known, file and line.
    "eee": a folder in the schema of Every Eval Ever: of each model one file of totals and one of instances. Texts of
    questions and answers are not kept in a matrix and come out empty. The folder is there once it is whole. One that
    holds a part of the same files already, as an earlier version left it when it was stopped, gets the rest.

    Raises:
        BadInput: a folder where a file is needed or the other way round, a name that promises another kind, or a
            folder that holds something else.
        OSError: there is no room or no permission. What was there still is.
    """
    place = pathlib.Path(path)
    require_place(place, format)
    if format == "parquet":
        _table(responses, place)
        return
    with writing.new_folder(place) as part:
        for model, answers in responses.to_frame(origins=True).groupby("model", sort=False):
            _model(part, str(model), answers)


def require_place(place: pathlib.Path, format: Kind) -> None:  # noqa: A002
    """`BadInput` where `write` cannot put answers in this format; for a look before the work."""
    require(format in ("parquet", "eee"), f"format is {format!r}; it must be 'parquet' or 'eee'")
    if format == "parquet":
        require(not place.is_dir(), f"{place} is a folder; a table needs a file's name")
        require(
            place.suffix.lower() not in OTHERS,
            f"{place} would be parquet in spite of its name; call it {place.with_suffix('.parquet').name}",
        )
        require(place.absolute().parent.is_dir(), f"{place}: there is no folder {place.parent}; make it first")
        return
    require(not place.is_file(), f"{place} is a file; Every Eval Ever needs a folder")
    strange = [] if not place.is_dir() else [name for name in writing.files_in(place) if not OURS.match(name)]
    if strange:
        raise BadInput(f"{place} is not empty, it holds {strange[0]!r}; name a new folder")


def _table(responses: Responses | SparseResponses, place: pathlib.Path) -> None:
    """The long table in its place; to a pipe it is written as it comes."""
    if place.exists() and not place.is_file():
        with place.open("wb") as stream:
            _parquet(responses, stream)
        return
    with writing.replacing(place) as part, part.open("wb") as stream:
        _parquet(responses, stream)


def _parquet(responses: Responses | SparseResponses, stream: IO[bytes]) -> None:
    """The long table, in pieces of `ROWS`."""
    frame = responses.to_frame(origins=True)
    kinds = {"model": "category", "item": "category", "group": "category", "file": "category"}
    table = pa.Table.from_pandas(frame.astype({k: v for k, v in kinds.items() if k in frame}), preserve_index=False)
    pa_parquet.write_table(table, stream, row_group_size=ROWS, compression="zstd", store_schema=False)


def _model(place: pathlib.Path, model: str, answers: pd.DataFrame) -> None:
    """The two files of one model, in a folder not yet in its place. The same answers get the same name again."""
    lines = [json.dumps(line, ensure_ascii=False, allow_nan=False) for line in _instances(model, answers)]
    content = ("\n".join(lines) + "\n").encode("utf-8", "replace")
    digest = hashlib.sha256(content)
    name = str(uuid.UUID(bytes=digest.digest()[:16], version=4))
    developer, _, short = model.rpartition("/")
    where = f"data/lleval/{_safe(developer or 'unknown')}/{_safe(short)}"  # as the schema wants its files to lie
    folder = place / where
    folder.mkdir(parents=True, exist_ok=True)
    about = _totals(model, answers) | {
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": f"{where}/{name}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": digest.hexdigest(),
            "total_rows": len(lines),
        }
    }
    (folder / f"{name}_samples.jsonl").write_bytes(content)
    text = json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / f"{name}.json").write_bytes(text.encode("utf-8", "replace"))


def _instances(model: str, answers: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """One line an answer. Weight and origin, for which the schema has no field, are metadata."""
    for answer in answers.to_dict(orient="records"):
        more = {"item": answer["item"]} | ({"weight": f"{answer['weight']:g}"} if answer["weight"] != 1 else {})
        if "file" in answer:
            more["origin"] = f"{answer['file']}:{answer['line']}" if answer["line"] else answer["file"]
        score = float(answer["score"])
        yield {
            "schema_version": SCHEMA,
            "evaluation_id": _evaluation(model),
            "model_id": model,
            "evaluation_name": answer["group"],
            "evaluation_result_id": answer["group"],
            "sample_id": answer["item"],
            "interaction_type": "single_turn",
            "input": {"raw": "", "reference": []},
            "output": {"raw": []},
            "answer_attribution": [],
            "evaluation": {"score": score, "is_correct": score == 1.0},
            "metadata": more,
        }


def _totals(model: str, answers: pd.DataFrame) -> dict[str, Any]:
    """The file of totals: the mean score of each group."""
    results = [
        {
            "evaluation_result_id": str(group),
            "evaluation_name": str(group),
            "source_data": {"dataset_name": str(group), "source_type": "other"},
            "metric_config": {"lower_is_better": False, "score_type": "continuous", "min_score": 0.0, "max_score": 1.0},
            "score_details": {"score": float(part["score"].mean()), "uncertainty": {"num_samples": len(part)}},
        }
        for group, part in answers.groupby("group", sort=False)
    ]
    return {
        "schema_version": SCHEMA,
        "evaluation_id": _evaluation(model),
        "retrieved_timestamp": "0",
        "source_metadata": {
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "lleval-jax", "version": metadata.version("lleval-jax")},
        "model_info": {
            "name": model,
            "id": model,
            "additional_details": {"deployment_type": "unknown", "model_availability": "unknown"},
        },
        "evaluation_results": results,
    }


def _evaluation(model: str) -> str:
    return f"lleval/{model}"


def _safe(model: str) -> str:
    """A model's name as one folder's."""
    kept = "".join(letter if letter.isalnum() or letter in "-_.@+" else "_" for letter in model).strip(".")[:100]
    return kept if kept == model else f"{kept}-{hashlib.sha256(model.encode('utf-8', 'replace')).hexdigest()[:8]}"
