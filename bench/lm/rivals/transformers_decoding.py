"""transformers' torch models, greedy, by a bare loop that is faster than its `generate`.

"eager" grows a `DynamicCache`; "compiled" is `torch.compile` over a `StaticCache` of the length needed. With all
threads or with one, whichever wrote faster in a trial: small models lose more to waiting than they gain.
"""

from __future__ import annotations

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from bench.lm import timing  # noqa: E402

VARIANTS = ["float32 eager", "float32 compiled", "bfloat16 eager", "bfloat16 compiled"]


def main() -> None:
    """Time each number of rows."""
    wanted = timing.asked(VARIANTS)

    import torch
    from transformers import AutoModelForCausalLM, DynamicCache, StaticCache

    from bench.lm.models import prompts

    kind, way = wanted.variant.split()
    model = AutoModelForCausalLM.from_pretrained(wanted.folder, dtype=getattr(torch, kind)).eval()
    step = torch.compile(model.forward, dynamic=False) if way == "compiled" else model.forward
    length = wanted.prompt + wanted.tokens

    def contest(rows: int) -> dict:
        tokens = torch.tensor(prompts(rows, wanted.prompt, model.config.vocab_size), dtype=torch.long)

        def read() -> tuple:
            static = way == "compiled"
            cache = StaticCache(config=model.config, max_cache_len=length) if static else DynamicCache()
            logits = model(tokens, past_key_values=cache, logits_to_keep=1, use_cache=True).logits
            return logits[:, -1].argmax(-1, keepdim=True), cache

        def write(state: tuple) -> list[list[int]]:
            token, cache = state
            parts = [token]
            for place in range(wanted.prompt, length):
                where = torch.full((1, 1), place)
                logits = step(token, position_ids=where, past_key_values=cache, use_cache=True).logits
                token = logits[:, -1].argmax(-1, keepdim=True)
                parts.append(token)
            return torch.cat(parts, 1).tolist()

        def trial(threads: int) -> float:
            torch.set_num_threads(threads)
            state = read()
            began = time.perf_counter()
            write(state)
            return time.perf_counter() - began

        began = time.perf_counter()
        trial(wanted.threads)
        first = time.perf_counter() - began
        threads = min((wanted.threads, 1), key=lambda each: min(trial(each), trial(each)))
        torch.set_num_threads(threads)
        return timing.timed(read, write, wanted.repeats) | {"first": first, "threads": threads}

    with torch.inference_mode():
        found = {str(rows): contest(rows) for rows in wanted.rows}
    timing.keep(wanted.out, found)


if __name__ == "__main__":
    main()
