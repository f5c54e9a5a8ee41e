"""Our side of the training contest: `fit`, as users call it, twice; the second time nothing is compiled but the update.

`SCRIPT FOLDER OUT.json --adapter LoRA --variant float32 --loss aot --batch 16 --steps 8 --threads 2`
"""

from __future__ import annotations

import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)  # the first time counts as compiling

from bench.training import contest  # noqa: E402


def main() -> None:
    """Time the steps and the pass of the reference."""
    wanted = contest.asked(["float32", "bfloat16"])

    from lleval_jax import training
    from lleval_jax.data.preferences import read_preferences
    from lleval_jax.values.progress import Progress

    model = contest.model(wanted.folder, wanted.variant)
    data = read_preferences(wanted.folder / contest.DATA)
    loss = training.AOT(beta=contest.BETA, paired=wanted.loss == "aot")

    words = {"lora": contest.adapter(wanted.adapter), "schedule": contest.schedule(wanted.steps, wanted.batch)}

    def timed() -> dict:
        clock: list[float] = []

        def tell(progress: Progress) -> None:
            clock.append(time.perf_counter())

        began, used = time.perf_counter(), time.process_time()
        trained = training.fit(model, data, loss=loss, tell=tell, **words)
        reference, *steps = (after - before for before, after in zip(clock, clock[1:], strict=False))
        return {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": (time.process_time() - used) / wanted.steps,
            "reference": reference,
            "steps": steps,
            "losses": [record["loss"] for record in trained.history],
        }

    first, again = timed(), timed()
    peak = contest.peak()
    promised = training.cost(model, data, loss=loss, **words)
    contest.keep(
        wanted.out,
        peak_mib=peak,
        promised={"seconds": promised.seconds, "memory": promised.memory, "learned": promised.learned},
        compiling=first["seconds"] - again["seconds"],
        reference=again["reference"],
        steps=again["steps"][1:],  # the first compiles the update
        cpu_seconds=again["cpu_seconds"],
        losses=first["losses"],
    )


if __name__ == "__main__":
    main()
