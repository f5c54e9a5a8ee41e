"""transformers' torch BERT on the texts of a file, the longest first, in batches of so many texts: seconds a pass.

`SCRIPT FOLDER TEXTS.json OUT.npy`: the vectors go to OUT.npy, and a line a request of the standard input is answered
with the seconds of a pass.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

LIMIT = 256


def main() -> None:
    """Answer each line with the seconds of a pass."""
    folder, texts, out, rows = (
        sys.argv[1],
        json.loads(pathlib.Path(sys.argv[2]).read_text()),
        sys.argv[3],
        int(sys.argv[4]),
    )
    tokens, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))

    def vectors() -> np.ndarray:
        found = np.zeros((len(texts), model.config.hidden_size), np.float32)
        for at in range(0, len(order), rows):
            some = order[at : at + rows]
            given = tokens(
                [texts[i] for i in some], padding=True, truncation=True, max_length=LIMIT, return_tensors="pt"
            )
            mask = given["attention_mask"][..., None]
            mean = (model(**given).last_hidden_state * mask).sum(1) / mask.sum(1)
            found[some] = torch.nn.functional.normalize(mean).numpy()
        return found

    with torch.inference_mode():
        np.save(out, vectors())
        print("ready", flush=True)
        for _ in sys.stdin:
            began = time.perf_counter()
            vectors()
            print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
