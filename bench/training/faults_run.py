"""A training run for a process of its own: what `faults` kills and damages."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import sys
from typing import Any

import jax
import numpy as np
import pandas as pd

from lleval_jax.errors import BadInput, LlevalError

QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
TESTS = pathlib.Path(__file__).parents[2] / "tests"
PAIRS, HELD_OUT = 48, 8
STOPPED, ENDED = "stopped", "weights"  # what the last line of a run begins with
SHAPE = {"layers": 4, "width": 64, "heads": 4, "kv_heads": 2, "head_dim": 16, "hidden": 128, "context": 24}


def preferences(count: int, seed: int, changed: bool = False) -> Any:
    """Sums of two digits, right and wrong; `changed`: one answer is another."""
    from lleval_jax.values.preferences import Preferences

    rng, rows = np.random.default_rng(seed), []
    for a, b in rng.integers(10, 45, (count, 2)):
        rows.append({"prompt": f"{a}+{b}=", "chosen": f"{a + b}", "rejected": f"{a + b + rng.integers(1, 9)}"})
    if changed:
        rows[-1]["rejected"] = "99"
    return Preferences.from_frame(pd.DataFrame(rows), place=lambda row: f"sums.jsonl:{row + 1}")


def model(devices: int) -> Any:
    """A decoder of 170 thousand random weights over letters, on so many devices."""
    sys.path.insert(0, str(TESTS))
    from flax import nnx
    from nn import tiny_model

    from lleval_jax.lm.config import Config
    from lleval_jax.lm.decoder import Decoder
    from lleval_jax.lm.mesh import mesh, place

    decoder = Decoder(Config(vocab=tiny_model.Letters.vocab, **SHAPE), rngs=nnx.Rngs(0))
    if devices == 1:
        return tiny_model.Model(decoder)
    on = mesh(data=devices)
    decoder.mesh = on
    place(decoder, on)
    return tiny_model.Model(decoder, mesh=on)


def schedule(asked: dict) -> Any:
    """Checkpoints after each step, so that kills meet them."""
    from lleval_jax.training import Schedule

    rate = asked.get("rate", 1e-3)
    return Schedule(steps=asked["steps"], batch=8, rate=rate, keep=1, evaluate=4, clip=0 if rate > 1 else 1.0)


def train(asked: dict) -> None:
    """The run; a line for each step, and at its end the hash of all that was learned."""
    from lleval_jax.training import AOT, fit

    def tell(progress: Any) -> None:
        print(progress, flush=True)
        if progress.word == "training" and progress.done == asked.get("stop"):
            raise KeyboardInterrupt

    data = preferences(PAIRS, 0, asked.get("changed", False)), preferences(HELD_OUT, 1)
    words: dict[str, Any] = {"loss": AOT(beta=0.1), "lora": None, "schedule": schedule(asked), "tell": tell}
    try:
        trained = fit(model(asked.get("devices", 1)), data[0], held_out=data[1], out=asked["out"], **words)
    except KeyboardInterrupt:
        print(STOPPED, flush=True)
        return
    from flax import nnx

    leaves = jax.tree.leaves(nnx.state(trained.model.decoder, nnx.Param))
    digest = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()
    print(ENDED, digest, flush=True)


def damage(asked: dict) -> None:
    """Each file of the last checkpoint damaged in turn: what a run that goes on makes of it, a line of JSON each."""
    whole, copy = pathlib.Path(asked["out"]), pathlib.Path(asked["out"]).with_name("damaged")
    told, _, _ = restored(whole)
    files = sorted(path.relative_to(whole) for path in (whole / "last").rglob("*") if path.is_file())
    for name in files:
        content = (whole / name).read_bytes()
        for kind, made in damages(content, np.random.default_rng(len(content))).items():
            for best in (True, False):
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(whole, copy)
                (copy / name).write_bytes(made)
                if not best:
                    shutil.rmtree(copy / "best")
                found, step, said = restored(copy)
                same = found is not None and all(map(np.array_equal, found, told))
                print(json.dumps({"kind": kind, "best": best, "step": step, "same": same, "said": said}), flush=True)


def damages(content: bytes, rng: np.random.Generator) -> dict[str, bytes]:
    """The content cut at several places, and with one bit turned."""
    if not content:
        return {}
    turned = bytearray(content)
    turned[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    cuts = {"empty": b"", "cut to a half": content[: len(content) // 2], "cut by a byte": content[:-1]}
    return cuts | {"a bit turned": bytes(turned)}


def restored(folder: pathlib.Path) -> tuple[list[np.ndarray] | None, int | None, str]:
    """(arrays, step, what was said) of what a run goes on from; None where it is refused."""
    import warnings

    from lleval_jax.training import AOT
    from lleval_jax.training.run import batches, loop
    from lleval_jax.training.run.checkpoints import Kept, Run

    asked = {"steps": json.loads((folder / "run.json").read_text())["schedule"]["steps"]}
    given, data = model(1), preferences(PAIRS, 0)
    course = loop.Course(given, batches.rows_of(given, data), None, AOT(beta=0.1), None, schedule(asked))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            with Run(folder, json.loads((folder / "run.json").read_text())) as run:
                now = run.restored(Kept.first(course.start.learned, course.optimizer))
        except BadInput as error:
            return None, None, str(error)
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves((now.learned, now.state))]
    return arrays, now.step, "; ".join(str(each.message) for each in said)


def prepared() -> None:
    """Import what a run needs, before processes are forked. No device is started."""
    import grain  # noqa: F401
    import orbax.checkpoint  # noqa: F401

    from lleval_jax.lm import logprobs, mesh  # noqa: F401
    from lleval_jax.training import outcome  # noqa: F401
    from lleval_jax.training.low_rank import adapter_files  # noqa: F401
    from lleval_jax.training.run import loop  # noqa: F401

    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK_TO_COMPILE}".strip()


def main(asked: dict) -> None:
    """One of both; an error of ours is one line on stderr, as in the shell."""
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", asked.get("devices", 1))
    jax.config.update("jax_compilation_cache_dir", asked["compiled"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    try:
        (damage if asked.get("damage") else train)(asked)
    except (LlevalError, OSError) as error:
        print("error:", error.in_shell() if isinstance(error, LlevalError) else error, file=sys.stderr)
        sys.exit(2)
