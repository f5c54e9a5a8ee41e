"""INPUT words -> answers: files as `read` knows them, and what ships with a bank."""

import os
from collections.abc import Callable, Sequence

import lleval_jax as ll
from lleval_jax.cli.shell.options import Reading
from lleval_jax.errors import require

DEMO = "demo:"  # demo:NAME is the demonstration data that ships with bank NAME
BANK = "bank:"  # bank:NAME is the answers that bank NAME was made from


def answers(
    inputs: Sequence[str], reading: Reading, *, strict: bool, tell: "Callable[[ll.Progress], None]"
) -> "ll.Responses | ll.SparseResponses":
    """Everything named by `inputs`, as one matrix."""
    if any(text.startswith(BANK) for text in inputs):
        require(len(inputs) == 1, f"{BANK}NAME stands alone; it cannot be mixed with other inputs")
        return _made_from(inputs[0].removeprefix(BANK))
    paths = [_shipped(text, "demo.parquet") if text.startswith(DEMO) else text for text in inputs]
    return ll.read(paths, strict=strict, tell=tell, **reading.keywords())


def known_scores(text: str) -> dict[tuple[str, str], float]:
    """(model, group) -> score, from a file; "demo:NAME" is the one that ships with bank NAME."""
    path = _shipped(text, "demo_truth.csv") if text.startswith(DEMO) else text
    scores = ll.read_scores(path)
    return {(str(m), str(g)): float(s) for m, g, s in zip(scores.model, scores.group, scores.score, strict=True)}


def _shipped(text: str, file: str) -> str:
    name, banks = text.removeprefix(DEMO), ll.list_banks()
    have = [bank for bank, folder in banks.items() if (folder / file).is_file()]
    require(name in have, f"there is no {file} for {name!r}; there is for: {', '.join(have) or 'no bank'}")
    return os.fspath(banks[name] / file)


def _made_from(name: str) -> "ll.Responses":
    bank = ll.load_bank(name)
    made = bank.calibration
    if made is None:
        raise ll.BadInput(f"bank {name!r} does not keep the answers that it was made from")
    group = [bank.groups[i] for i in bank.group]
    source = ll.Source(bank=bank.name)
    return ll.Responses.build(
        made.answers, seen=made.seen, rows=made.rows, items=bank.items, group=group, source=source
    )
