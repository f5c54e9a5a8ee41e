"""Stands for lm-eval: answers the documents in docs.json (beside the output) and logs as lm-eval does."""

import argparse
import hashlib
import json
import pathlib
import sys
import time

parser = argparse.ArgumentParser()
for name in ("--model", "--tasks", "--samples", "--output_path", "--docs", "--mood"):
    parser.add_argument(name)
parser.add_argument("--log_samples", action="store_true")
said = parser.parse_args()

if said.mood == "fails" and said.model != "dummy":
    print("Traceback: CUDA out of memory", file=sys.stderr)
    sys.exit(3)
if said.mood == "silent" and said.model != "dummy":
    sys.exit(0)
if said.mood == "hangs" and said.model != "dummy":
    pathlib.Path(said.docs).with_suffix(".started").touch()
    time.sleep(60)

docs = json.loads(pathlib.Path(said.docs).read_text())  # task -> [[question, right], ...]
chosen = json.loads(said.samples) if said.samples else {task: range(len(docs[task])) for task in said.tasks.split(",")}
folder = pathlib.Path(said.output_path) / "fake-model"
folder.mkdir(parents=True)
for task, places in chosen.items():
    kept = [i for i in range(len(docs[task])) if i in places]  # in the data set's order, as lm-eval does
    lines = []
    for place, i in zip(places, kept, strict=True):  # and it names them in the order of --samples
        question, right = docs[task][i]
        digest = hashlib.sha256(question.encode()).hexdigest()[:16]
        right = 0 if said.model == "dummy" else right
        entry = {"doc_id": place, "doc": {"question": question}, "filter": "none", "doc_hash": digest}
        lines.append(json.dumps(entry | {"metrics": ["acc"], "acc": right}))
    (folder / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl").write_text("\n".join(lines) + "\n")
total = {"model_name": f"fake-{time.time_ns()}"}  # another name each time, as the dummy model has
(folder / "results_2026-01-01T00-00-00.000000.json").write_text(json.dumps(total))
