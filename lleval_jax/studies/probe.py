"""What a study will take: a task of each table is done twice, compiled first, then timed."""

import resource
import sys
import time
from typing import NamedTuple

from lleval_jax.studies import runs
from lleval_jax.studies.study import Study
from lleval_jax.values.progress import Progress, Tell, silent


class Cost(NamedTuple):
    """Of a table of tasks.

    verb     what they do
    tasks    how many
    first    seconds of the first, with reading and compiling
    seconds  of one more, alone; many that read the same input are faster
    """

    verb: str
    tasks: int
    first: float
    seconds: float


def probed(study: Study, *, tell: Tell = silent) -> tuple[list[Cost], float]:
    """The cost of each table, and the memory that the largest took, in bytes. Nothing is written."""
    found = []
    for number, table in enumerate(study.tables, 1):
        seconds = []
        for _ in range(2):
            began = time.perf_counter()
            runs.done([table.task(0, 0, study.seed)])
            seconds.append(time.perf_counter() - began)
        found.append(Cost(table.verb, len(table), *seconds))
        tell(Progress("trying a task", number, len(study.tables), unit="tables"))
    return found, peak()


def peak() -> float:
    """The largest memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
