"""A run of Inspect with a model that knows some of the answers; in a process of its own, for it starts threads.

python true_inspect.py FOLDER stop|source EPOCHS  ->  JSON: [report, path of the log, reasons of refusals]
"""

import json
import pathlib
import sys

from inspect_ai import Task, eval  # noqa: A004
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate

import lleval_jax as ll
from lleval_jax.harness.inspect_source import AdaptiveSource
from lleval_jax.harness.inspect_stop import AdaptiveStopping

folder, kind, epochs = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
bank, right = ll.load_bank(folder / "bank"), json.loads((folder / "right.json").read_text())
stop = ll.adaptive.Stop(std_error=0.07)


def answer(messages, *_):
    output = ModelOutput.from_content("mockllm/model", "yes" if right[f"sums/{messages[-1].text}"] else "no")
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else Inspect asks a tokenizer
    return output


names = [item.removeprefix("sums/") for item in bank.items]
samples = [Sample(id=name, input=name, target="yes") for name in names]
more = {"solver": generate(), "scorer": match(), "name": "sums", "epochs": epochs}
if kind == "stop":
    task = Task(dataset=samples, early_stopping=AdaptiveStopping(bank, stop=stop), **more)
else:
    source = AdaptiveSource(bank, stop=stop, samples=samples, task="sums", batch=4)
    task = Task(dataset=source.source, **more)
model = get_model("mockllm/model", custom_outputs=answer)
log = eval(task, model=model, log_dir=str(folder / "logs"), display="none", max_samples=4)[0]
if log.status != "success":
    sys.exit(f"{log.status}: {log.error}")
stopped = log.results.early_stopping
report = stopped.metadata if kind == "stop" else source.report()
print(json.dumps([report, log.location, [each.reason for each in stopped.early_stops] if stopped else []]))
