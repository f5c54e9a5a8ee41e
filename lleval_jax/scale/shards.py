"""Which worker this is, as it was told, or as the cluster says it: Slurm arrays, Kubernetes, TPU pods, GNU parallel."""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from lleval_jax.errors import require

AUTO = "auto"
WORDS = re.compile(r"(\d+)/(\d+)")
KNOWN = (  # the index of a worker, how many there are, and the lowest index; the first that is set counts
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", ""),
    ("TPU_WORKER_ID", "TPU_WORKER_COUNT", ""),
    ("PARALLEL_SEQ", "PARALLEL_JOBSLOTS", ""),
)


class Shard(NamedTuple):
    """One of several workers.

    index  from 0
    count  how many there are; None: not known
    alone  whether it does its own chunks only; else it begins with these and goes on with what others have not done
    """

    index: int = 0
    count: int | None = 1
    alone: bool = False

    def order(self, chunks: int) -> list[int]:
        """The chunks that this worker takes, in its order."""
        if self.alone:
            return list(range(self.index, chunks, self.count or 1))
        first = 0 if not chunks else (self.index * chunks // self.count if self.count else self.index * 7919 % chunks)
        return [(first + k) % chunks for k in range(chunks)]


def shard(text: str | None, env: Mapping[str, str] = os.environ) -> Shard:
    """The worker that a text names: "3/8" (from 0, its own chunks only), "auto" (as the environment says), or none.

    Raises:
        BadInput: it is neither, or the index is not below the count.

    >>> shard("3/8").order(20)
    [3, 11, 19]
    """
    if text is None:
        return Shard()
    if text == AUTO:
        return _around(env)
    found = WORDS.fullmatch(text)
    require(found is not None, f"the shard is {text!r}; it must be like 0/8, from 0, or {AUTO}")
    index, count = (int(part) for part in found.groups())  # type: ignore[union-attr]
    require(index < count, f"the shard is {text}; the index is from 0 to {count - 1}")
    return Shard(index, count, alone=True)


def _around(env: Mapping[str, str]) -> Shard:
    for index, count, least in KNOWN:
        if env.get(index, "").isdecimal():
            first = int(env.get(least) or 0) if least else (1 if index == "PARALLEL_SEQ" else 0)
            many = int(env[count]) if env.get(count, "").isdecimal() else None
            return Shard(max(0, int(env[index]) - first), many)
    return Shard()
