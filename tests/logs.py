"""A small log of each harness: of one model, with the questions, ids and scores that a test wants."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ABSENT = "absent"  # the score does not stand there at all
NAN = float("nan")


@dataclasses.dataclass(frozen=True)
class Asked:
    """One answer: the id that the log gives the question, what it asks, and the score."""

    id: int
    text: str
    score: object


def asked(scores: Sequence[object], texts: Sequence[str] | None = None, ids: Sequence[int] | None = None):
    """Answers to questions 0, 1, ... or to other texts under other ids."""
    texts = [f"question {i}" for i in range(len(scores))] if texts is None else texts
    return [Asked(*each) for each in zip(ids or range(len(scores)), texts, scores, strict=True)]


def lm_eval(folder: pathlib.Path, model: str, answers: Sequence[Asked], metric: str = "acc") -> pathlib.Path:
    """Lines as lm-eval 0.4.13 writes them."""
    lines = []
    for each in answers:
        doc = {"question": each.text}
        line = {"doc_id": each.id, "doc": doc, "target": "a", "filter": "none", "metrics": [metric]}
        line |= {"doc_hash": hashlib.sha256(json.dumps(doc).encode()).hexdigest(), metric: each.score}
        lines.append(without(line | {"metrics": [] if each.score == ABSENT else [metric]}, metric))
    return jsonl(folder / f"org__{model}" / "samples_quiz_2026-01-02T03-04-05.000000.jsonl", lines)


def lmms_eval(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """Lines as lmms-eval 0.7.2 writes them."""
    lines = [
        without({"doc_id": each.id, "target": each.text, "filtered_resps": "x", "acc": each.score, "input": "?"}, "acc")
        for each in answers
    ]
    return jsonl(folder / f"org__{model}" / "20260102_030405_samples_quiz.jsonl", lines)


def inspect(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """A log as Inspect 0.3.285 writes it as JSON."""
    samples = []
    for each in answers:
        score = {} if each.score == ABSENT else {"value": each.score}
        samples.append({"id": each.id, "epoch": 1, "input": each.text, "target": "x", "scores": {"match": score}})
    about = {"task": "quiz", "model": model, "task_args": {}, "dataset": {"name": "quiz"}}
    return put(folder / f"{model}.json", {"version": 2, "status": "success", "eval": about, "samples": samples})


def lighteval(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """Details as lighteval 0.13 writes them."""
    rows = [
        {"doc": {"query": each.text, "id": str(each.id)}, "metric": without({"acc": each.score}, "acc")}
        | {"model_response": {"logprobs": [0.5]}}
        for each in answers
    ]
    kind = pa.schema([("doc", pa.struct([("query", pa.string()), ("id", pa.string())]))])
    kind = kind.append(pa.field("metric", pa.struct([("acc", pa.float64())])))
    kind = kind.append(pa.field("model_response", pa.struct([("logprobs", pa.list_(pa.float64()))])))
    return parquet(
        folder / "details" / model / "2026-01-02T03-04-05" / "details_quiz_2026-01-02T03-04-05.parquet", rows, kind
    )


def lighteval_old(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """Details as lighteval 0.6 wrote them, all columns texts of Python values."""
    rows = [
        {"example": each.text, "metrics": str({"em": 1} if each.score == ABSENT else {"acc": each.score, "em": 1})}
        for each in answers
    ]
    return parquet(
        folder / "details" / model / "2026-01-02T03-04-05" / "details_quiz_2026-01-02T03-04-05.parquet", rows
    )


def helm(folder: pathlib.Path, model: str, answers: Sequence[Asked], split: str = "test") -> pathlib.Path:
    """Statistics as HELM writes them: one that is NaN is taken away, and a count may be zero."""
    entries = []
    for each in answers:
        stats = [{"name": {"name": "num_prompt_tokens", "split": split}, "count": 1, "sum": 30.0}]
        if each.score != ABSENT:
            count, total = (0, 0.0) if each.score is None else (1, each.score)
            stats.append({"name": {"name": "exact_match", "split": split}, "count": count, "sum": total})
        entries.append({"instance_id": f"id{each.id}", "train_trial_index": 0, "stats": stats})
    place = folder / f"quiz:model=org_{model}"
    put(place / "run_spec.json", {"name": f"quiz:model=org_{model}", "adapter_spec": {"model": f"org/{model}"}})
    return put(place / "per_instance_stats.json", entries)


def opencompass(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """Results as OpenCompass 0.5.4 writes them with --dump-eval-details."""
    details = [
        without(
            {"example_abbr": f"quiz_{each.id}", "answer": [f"answer to {each.text}"], "correct": each.score}, "correct"
        )
        for each in answers
    ]
    return put(folder / model / "quiz.json", {"score": 50.0, "details": details})


def every_eval(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """Instances as Every Eval Ever 0.3 writes them, without hashes."""
    about = {"schema_version": "0.3.0", "model_id": f"org/{model}", "evaluation_name": "quiz"}
    lines = [
        about
        | {
            "sample_id": str(each.id),
            "input": {"raw": each.text},
            "evaluation": without({"score": each.score}, "score"),
        }
        for each in answers
    ]
    return jsonl(folder / f"{model}_samples.jsonl", lines)


def every_eval_hashed(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """The same, with hashes."""
    path = every_eval(folder, model, answers)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return jsonl(path, [line | {"sample_hash": line["input"]["raw"]} for line in lines])


def pyirt(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """A data set of py-irt of one subject."""
    return jsonl(
        folder / f"{model}.jsonlines", [{"subject_id": model, "responses": {a.text: a.score for a in answers}}]
    )


def torch_measure(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """The long form of measurement-db."""
    rows = [{"subject_id": model, "item_id": each.text, "response": each.score} for each in answers]
    kind = pa.schema([("subject_id", pa.string()), ("item_id", pa.string()), ("response", pa.float64())])
    return parquet(folder / f"{model}.parquet", rows, kind)


def swe_bench(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """A report of a run as SWE-bench's harness writes it; what has no score was not submitted."""
    ids = {each: f"org__{each.text.replace(' ', '_')}-1" for each in answers}
    lists = {
        "resolved_ids": [ids[each] for each in answers if each.score == 1],
        "unresolved_ids": [ids[each] for each in answers if each.score == 0],
        "incomplete_ids": [ids[each] for each in answers if each.score == ABSENT],
    }
    counts = {"total_instances": len(answers), "submitted_instances": len(answers) - len(lists["incomplete_ids"])}
    counts["resolved_instances"] = len(lists["resolved_ids"])
    return put(folder / f"{model}.run.json", counts | lists | {"schema_version": 2})


def table(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """A long table."""
    rows = [(model, each.text, each.score) for each in answers]
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=["model", "item", "score"]).to_csv(folder / f"{model}.csv", index=False)
    return folder / f"{model}.csv"


def matrix(folder: pathlib.Path, model: str, answers: Sequence[Asked]) -> pathlib.Path:
    """A matrix of one row."""
    scores = np.array([[each.score for each in answers]], float)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / f"{model}.npz", responses=scores, models=np.array([model]), items=np.array([a.text for a in answers])
    )
    return folder / f"{model}.npz"


@dataclasses.dataclass(frozen=True)
class Log:
    """How a harness writes a log, and what it can write where a score is missing.

    joins  what questions are joined by: an "id", or a "hash" of their content, with the id beside it; "" for neither
    """

    write: Callable[..., pathlib.Path]
    missing: tuple[object, ...]
    joins: str


LOGS = {
    "lm_eval": Log(lm_eval, (None, NAN, ABSENT), "hash"),
    "lmms_eval": Log(lmms_eval, (None, NAN, ABSENT), "id"),
    "inspect": Log(inspect, (None, NAN, ABSENT), "id"),
    "lighteval": Log(lighteval, (None, NAN), "hash"),
    "lighteval_old": Log(lighteval_old, (NAN, ABSENT), ""),  # the place is the row's
    "helm": Log(helm, (None, NAN, ABSENT), ""),  # the statistics do not say what was asked
    "opencompass": Log(opencompass, (None, NAN, ABSENT), "id"),
    "every_eval": Log(every_eval, (None, NAN, ABSENT), "id"),
    "every_eval_hashed": Log(every_eval_hashed, (None, NAN, ABSENT), "hash"),
    "pyirt": Log(pyirt, (None, NAN), ""),
    "torch_measure": Log(torch_measure, (None, NAN), ""),
    "swe_bench": Log(swe_bench, (ABSENT,), ""),
    "table": Log(table, (None, NAN), ""),
}


def without(entry: dict, key: str) -> dict:
    """The same; without the key where what stands there is `ABSENT`."""
    return {name: value for name, value in entry.items() if name != key or value != ABSENT}


def put(path: pathlib.Path, value: object) -> pathlib.Path:
    """JSON, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
    return path


def jsonl(path: pathlib.Path, lines: Sequence[dict]) -> pathlib.Path:
    """Lines of JSON, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def parquet(path: pathlib.Path, rows: Sequence[dict], kind: pa.Schema | None = None) -> pathlib.Path:
    """Rows as parquet, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), kind), path)
    return path
