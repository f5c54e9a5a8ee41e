"""Answers scored by transformers on the CPU: `transformers_scoring.py FOLDER TOKENS.npy ANSWER REPEATS OUT WAY ...`.

The decoder runs over whole rows of equal length, without a cache; only positions that predict an answer's token meet
the head. A way is "sdpa" or "eager" for the kind of attention, or "compiled" for the first of them by torch.compile.
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import sys
import time

import numpy as np
import torch
import transformers


def scored(body, head, tokens, answer):
    """Sum of log-probabilities of each row's answer."""
    with torch.inference_mode():
        hidden = body(input_ids=tokens, use_cache=False).last_hidden_state
        logits = head(hidden[:, -answer - 1 : -1]).float()
        found = torch.log_softmax(logits, -1).gather(-1, tokens[:, -answer:, None])
        return found.sum((1, 2)).numpy()


def main(folder, tokens, answer, repeats, out, ways):
    """Time each way, and write after each."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tokens = torch.from_numpy(np.load(tokens)).long()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    record = {"versions": {"torch": torch.__version__, "transformers": transformers.__version__}, "ways": {}}
    for way in ways:
        model.set_attn_implementation("eager" if way == "eager" else "sdpa")
        body = torch.compile(model.model) if way == "compiled" else model.model
        seconds, processor = [], []
        for _ in range(repeats + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            sums = scored(body, model.lm_head, tokens, answer)
            seconds.append(time.perf_counter() - wall)
            processor.append(time.process_time() - cpu)
        record["ways"][way] = {
            "cold_seconds": seconds[0],
            "warm_seconds": statistics.median(seconds[1:]),
            "seconds": seconds[1:],
            "cpu_seconds": statistics.median(processor[1:]),
        }
        record["sums"] = sums.tolist()
        pathlib.Path(out).write_text(json.dumps(record))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6:])
