"""One small file of each format: true outputs of the programs, and what is written by their schemas."""

import gzip
import json
import pathlib

import numpy as np
import pandas as pd

FIXTURES = pathlib.Path(__file__).parent / "data" / "fixtures"
SUMS = [f"What is {a} + {b}?" for a, b in ((2, 3), (4, 5), (6, 1), (7, 2))]


def make(folder: pathlib.Path) -> list[pathlib.Path]:
    """Write a file of each format into `folder`; returns them and the true logs."""
    frame = pd.DataFrame({"model": list("aabb"), "item": list("ijij"), "score": [0, 1, 1, 0.5]})
    frame.to_parquet(folder / "a.parquet")
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_json(folder / "a.jsonl", orient="records", lines=True)
    frame.to_json(folder / "a.jsonl.gz", orient="records", lines=True)
    np.savez_compressed(folder / "a.npz", responses=np.eye(2), models=np.array(["a", "b"]), items=np.array(["i", "j"]))
    pyirt(folder / "pyirt.jsonlines")
    lmms_eval(folder / "20260102_030405_samples_sums_vqa.jsonl")
    opencompass(folder / "sums.json")
    swe_bench(folder / "agent.nightly.json")
    torch_measure(folder / "responses.parquet")
    lighteval_old(folder / "details_old_2024-01-01T00-00-00.parquet")
    true = [path for path in FIXTURES.rglob("*") if path.suffix in (".eval", ".jsonl", ".parquet")]
    true += [FIXTURES / "inspect" / "tiny-sums.json", FIXTURES / "helm" / "sums" / "per_instance_stats.json"]
    return [*sorted(folder.iterdir()), *sorted(true)]


def pyirt(path: pathlib.Path) -> pathlib.Path:
    """As `py_irt.dataset.Dataset.from_jsonlines` reads it."""
    lines = [
        {"subject_id": name, "responses": {"i": one, "j": two}} for name, one, two in (("a", 1, 0), ("b", 0, None))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def lmms_eval(path: pathlib.Path) -> pathlib.Path:
    """As lmms-eval 0.7.2 writes it: `EvaluationTracker.save_results_samples` of what `evaluate` logs."""
    lines = [
        {
            "doc_id": i,
            "target": "5",
            "filtered_resps": "5",
            "token_counts": [{"input_tokens": 10, "output_tokens": 1}],
            "doc_hash": "0" * 64,
            "sums_acc": {"question_id": i, "category": "sums", "score": float(i % 2)},
            "submission": {"id": i, "pred": "5"},
            "input": text,
        }
        for i, text in enumerate(SUMS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def swe_bench(path: pathlib.Path) -> pathlib.Path:
    """As SWE-bench 4's `make_run_report` writes it."""
    lists = {
        "completed_ids": ["django__django-1", "sympy__sympy-2", "sympy__sympy-3"],
        "incomplete_ids": [],
        "empty_patch_ids": [],
        "submitted_ids": ["django__django-1", "sympy__sympy-2", "sympy__sympy-3"],
        "resolved_ids": ["django__django-1"],
        "unresolved_ids": ["sympy__sympy-2", "sympy__sympy-3"],
        "error_ids": [],
    }
    counts = {"total": 3, "submitted": 3, "completed": 3, "resolved": 1, "unresolved": 2, "empty_patch": 0, "error": 0}
    report = {f"{name}_instances": count for name, count in counts.items()} | lists | {"schema_version": 2}
    path.write_text(json.dumps(report, indent=4))
    return path


def opencompass(path: pathlib.Path, runs: int = 1) -> pathlib.Path:
    """As OpenCompass 0.5.4 writes `details` with --dump-eval-details: `BaseEvaluator.evaluate` of an EMEvaluator."""
    right = [[(i + run) % 2 == 0 for run in range(runs)] for i in range(4)]
    details = [
        {"example_abbr": f"sums_{i}", "pred": ["5"] * runs, "answer": [["5"]] * runs, "correct": each}
        for i, each in enumerate(right)
    ]
    path.write_text(json.dumps({"score": 50.0, "details": details}, indent=4))
    return path


def opencompass_choices(path: pathlib.Path) -> pathlib.Path:
    """As `OpenICLEvalTask.format_details` writes it for perplexity: a dict with "type" among the examples."""
    entry = {"origin_prediction": {"A": {"PPL": 1.5}, "B": {"PPL": 2.5}}, "predictions": "A"}
    details = {"type": "PPL"} | {
        str(i): entry | {"references": ref, "correct": ref == "A"} for i, ref in enumerate(("A", "B"))
    }
    path.write_text(json.dumps({"accuracy": 50.0, "details": details}, indent=4))
    return path


def torch_measure(path: pathlib.Path, condition: tuple[str | None, ...] = (None,)) -> pathlib.Path:
    """As measurement-db's DATA_FORMAT.md says of `responses.parquet`."""
    rows = [
        (subject, item, "bench", trial, each, float((trial + ord(item)) % 2), None, None)
        for subject in "ab"
        for item in "ij"
        for each in condition
        for trial in (1, 2)
    ]
    names = ["subject_id", "item_id", "benchmark_id", "trial", "test_condition", "response", "correct_answer", "trace"]
    frame = pd.DataFrame(rows, columns=names).astype({"trial": "int32"})
    frame.to_parquet(path)
    return path


def lighteval_old(path: pathlib.Path, as_text: bool = True) -> pathlib.Path:
    """As lighteval 0.6 (all columns texts of Python values) or 0.3 (as they are) wrote its details."""
    rows = [
        {
            "example": f"Q: {text}\nA:",
            "full_prompt": text,
            "predictions": [[-0.1, False]],
            "gold_index": [1],
            "pred_logits": [-1.0, -2.0],
            "choices": ["5", "6"],
            "metrics": {"acc": i % 2, "acc_norm": 1.0},
        }
        for i, text in enumerate(SUMS)
    ]
    pd.DataFrame([{k: str(v) for k, v in row.items()} if as_text else row for row in rows]).to_parquet(path)
    return path


def zipped(path: pathlib.Path, content: bytes) -> pathlib.Path:
    """The same bytes as a gzip."""
    path.write_bytes(gzip.compress(content))
    return path
