"""A program of many batched factorisations ends on a machine of few cores."""

import os
import subprocess
import sys

import pytest

from lleval_jax.core import threads

PROGRAM = """
import os, pathlib
import jax, jax.numpy as jnp
from lleval_jax.core import threads

threads.enough()

@jax.jit
def program(stacks):
    return [jnp.linalg.qr(a)[0].sum() + jax.scipy.linalg.solve_triangular(a, a, lower=True).sum() for a in stacks]

stacks = [jnp.broadcast_to(jnp.eye(k), (n, k, k)) for n, k in ((64, 48), (32, 64), (500, 16), (64, 32))]
for _ in range(100):
    jax.block_until_ready(program(stacks))
found = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(found.count("tf_XLAEigen"), os.environ.get("NPROC"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
@pytest.mark.parametrize("asked", [None, "9"])
def test_threads_suffice_and_the_environment_stays(asked: str | None) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "NPROC"}
    env = kept | {"OPENBLAS_NUM_THREADS": "1"} | ({"NPROC": asked} if asked else {})
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    count, name = done.stdout.split()
    assert int(count) == int(asked) if asked else int(count) >= threads.LEAST
    assert name == str(asked)
