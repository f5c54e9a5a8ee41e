"""What both sides' scripts of the training contest share: their command line, the task, and the JSON they write."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
from collections.abc import Sequence
from typing import Any

DATA, ROWS, ADAPTER = "pairs.jsonl", "rows.json", "adapter"  # in the folder of a model
ADAPTERS = ("all weights", "LoRA", "B only")
LOSSES = ("aot", "aot_unpaired")  # as TRL calls them
BETA, RATE, RANK, CLIP = 0.1, 1e-4, 8, 1.0


def asked(variants: Sequence[str]) -> argparse.Namespace:
    """The words of the command line; the process is held to so many cores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--variant", choices=list(variants), default=variants[0])
    parser.add_argument("--adapter", choices=ADAPTERS, default=ADAPTERS[0])
    parser.add_argument("--loss", choices=LOSSES, default=LOSSES[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    found = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: found.threads])
    for name in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = str(found.threads)
    return found


def keep(out: pathlib.Path, **about: Any) -> None:
    """The JSON, with the most memory that the process held."""
    out.write_text(json.dumps({"status": "ok", "peak_mib": peak(), **about}))


def peak() -> int:
    """The most MiB that the process held so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def adapter(name: str) -> Any:
    """Our settings of what learns."""
    from lleval_jax.training import Lora

    learn: dict[str, Any] = {"LoRA": "both", "B only": "B"}
    return None if name == "all weights" else Lora(rank=RANK, learn=learn[name])


def schedule(steps: int, batch: int) -> Any:
    """Our settings of AdamW; the rate is the same in all steps."""
    from lleval_jax.training import Schedule

    return Schedule(steps=steps, batch=batch, rate=RATE, warmup=0.0, decay="constant", clip=CLIP)


def model(folder: pathlib.Path, compute: str = "float32") -> Any:
    """The model in a folder, whatever its vocabulary, with the tokens of tiny-lm."""
    import dataclasses

    import jax.numpy as jnp
    from flax import nnx

    from lleval_jax import lm
    from lleval_jax.lm import families, safetensors_files, weights

    hf = json.loads((folder / "config.json").read_text())
    config = families.read_config(hf)
    decoder = nnx.eval_shape(lambda: lm.Decoder(config, compute=jnp.dtype(compute)))
    stored = safetensors_files.read(folder)
    weights.fill(decoder, families.family(hf).tensors(config, stored), stored, folder)
    return dataclasses.replace(lm.load("tiny-lm"), decoder=decoder, config=config)
