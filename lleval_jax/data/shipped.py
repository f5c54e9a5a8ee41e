"""What ships with the banks, by name: "demo:NAME", a few models' answers, and "bank:NAME", those a bank was made from.

"bank:NAME/GROUP" are the answers to one group of its items. NAME may be a folder of one's own.
"""

import os
import pathlib
from collections.abc import Iterable
from typing import Any

from lleval_jax.data import store
from lleval_jax.errors import BadInput, nearest, require
from lleval_jax.values import Responses, Source

DEMO, BANK = "demo:", "bank:"
ANSWERS, SCORES = "demo.parquet", "demo_truth.csv"  # files in a bank's folder


def path(text: Any, file: str = ANSWERS) -> Any:
    """The file that "demo:NAME" names; anything else as it is.

    Raises:
        BadInput: no bank of this name ships such a file.
    """
    if not (isinstance(text, str) and text.startswith(DEMO)):
        return text
    name, banks = text.removeprefix(DEMO), store.list_banks()
    have = [bank for bank, folder in banks.items() if (folder / file).is_file()]
    there = ", ".join(have) or "no bank"
    require(name in have, f"there is no {file} for {name!r}; there is for: {there}{nearest(name, have)}")
    return os.fspath(banks[name] / file)


def bank_of(paths: Any) -> str | None:
    """NAME where "bank:NAME" is asked for, else None.

    Raises:
        BadInput: it is one of several.
    """
    several = [paths] if isinstance(paths, str) else list(paths) if isinstance(paths, list | tuple) else []
    named = [text for text in several if isinstance(text, str) and text.startswith(BANK)]
    if not named:
        return None
    require(len(several) == 1, f"{BANK}NAME stands alone; it cannot be mixed with other inputs")
    return named[0].removeprefix(BANK)


def made_from(name: str) -> Responses:
    """The answers that a bank was made from; of "NAME/GROUP" those to one group, of the models that have any.

    Raises:
        BadInput: there is no such bank or group, or the bank does not keep the answers.
    """
    whole, _, group = name.rpartition("/")
    if whole and not _is_bank(name):
        return _of_group(made_from(whole), whole, group)
    bank = store.load_bank(name)
    made = bank.calibration
    if made is None:
        raise BadInput(f"bank {name!r} does not keep the answers that it was made from")
    return Responses.build(
        made.answers,
        seen=made.seen,
        rows=made.rows,
        items=bank.items,
        group=[bank.groups[i] for i in bank.group],
        source=Source(bank=bank.name),
    )


def _is_bank(name: str) -> bool:
    return name in store.list_banks() or pathlib.Path(name).is_dir()


def _of_group(answers: Responses, bank: str, group: str) -> Responses:
    known = answers.groups
    require(group in known, f"bank {bank!r} has no group {group!r}; it has {', '.join(known)}{nearest(group, known)}")
    here = answers.group == known.index(group)
    part = answers.select([item for item, use in zip(answers.items, here, strict=True) if use])
    part = part.take(_with_answers(part))
    return Responses.build(
        part.scores, seen=part.seen, weight=part.weight, rows=part.rows, items=part.items, source=part.source
    )


def _with_answers(part: Responses) -> Iterable[int]:
    return (i for i, n in enumerate(part.n_seen) if n)
