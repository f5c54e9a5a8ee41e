"""One process of several that fit together: `one_of_hosts.py ADDRESS PROCESSES INDEX OUT [--state DIR] [--stop N]`."""

import argparse
import os
import signal

import jax
import numpy as np

import lleval_jax as ll
from lleval_jax.data import simulate

LONGEST = 240  # seconds; after them the process ends, though whoever started it may have gone


def answers(seed: int) -> ll.SparseResponses:
    whole, _ = simulate(30, 45, seed=seed)
    row, item = np.nonzero(np.random.default_rng(0).random((30, 45)) < 0.5)
    names = whole.rows, whole.items, whole.group, whole.groups
    return ll.SparseResponses(row, item, whole.scores[row, item], np.ones(len(row), np.float32), *names)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("processes", type=int)
    parser.add_argument("index", type=int)
    parser.add_argument("out")
    parser.add_argument("--model", default="2pl")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--state")
    parser.add_argument("--kill", type=int, help="SIGKILL itself after so many steps")
    parser.add_argument("--term", type=int, help="SIGTERM itself after so many steps")
    asked = parser.parse_args()
    signal.alarm(LONGEST)
    jax.config.update("jax_num_cpu_devices", asked.devices)
    if asked.processes > 1:
        ll.join(asked.address, asked.processes, asked.index, timeout=asked.timeout, heartbeat=10)

    def tell(progress: ll.Progress) -> None:
        for steps, number in ((asked.kill, signal.SIGKILL), (asked.term, signal.SIGTERM)):
            if steps is not None and progress.done >= steps:
                os.kill(os.getpid(), number)

    plan = ll.Plan(mesh=ll.mesh(), out=asked.state, every=3)
    fit = ll.irt.fit(answers(asked.seed), model=asked.model, tol=1e-5, precision="float64", plan=plan, tell=tell)
    params = {name: np.asarray(value) for name, value in fit.params._asdict().items() if value is not None}
    np.savez(asked.out, steps=fit.ended.steps, loglik=fit.ended.value, **params)


if __name__ == "__main__":
    main()
