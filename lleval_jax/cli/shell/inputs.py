"""INPUT words -> answers: what `read` knows, and known scores."""

from collections.abc import Callable, Sequence

import lleval_jax as ll
from lleval_jax.cli.shell.options import Reading


def answers(
    inputs: Sequence[str], reading: Reading, *, strict: bool, tell: "Callable[[ll.Progress], None]"
) -> "ll.Responses | ll.SparseResponses":
    """Everything named by `inputs`, as one matrix."""
    return ll.read(list(inputs), strict=strict, tell=tell, **reading.keywords())


def known_scores(text: str) -> dict[tuple[str, str], float]:
    """(model, group) -> score, from a file; "demo:NAME" is the one that ships with bank NAME."""
    scores = ll.read_scores(text)
    return {(str(m), str(g)): float(s) for m, g, s in zip(scores.model, scores.group, scores.score, strict=True)}
