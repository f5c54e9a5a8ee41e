"""Repeats: several answers of one model to one question, as k of n with their number as weight.

Inside one file only what the file itself numbers (an epoch, a trial) is a repeat. Between files the answers decide:
two files that agree on every answer they share are copies and count once; two that do not are different runs (two
seeds, say), and every answer they share is a repeat.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lleval_jax.data.answers import Answers, Repeats, labels, unscored
from lleval_jax.data.cells import AGREE, Cells
from lleval_jax.data.notes import Note
from lleval_jax.errors import BadInput, require

MOST_RUNS = 64  # files of one question further apart than this are not compared; they are taken for different runs


def reduced(answers: Answers, repeat: np.ndarray, how: Repeats, scale: tuple[float, float] | None) -> Answers:
    """One cell for each question of a file that numbers its repeats in `repeat` (cells,).

    The mean is the score, the number of repeats times their weight is the weight. Cells without a score are left out
    and counted.
    """
    answers.check(scale)  # before the mean, which can hide a score outside
    repeat = np.unique(repeat, return_inverse=True)[1] if len(repeat) else repeat
    key = answers.row.astype(np.int64) * len(answers.items) + answers.item
    order = np.lexsort((repeat, key))
    order = order[~np.isnan(answers.score[order])]
    key, number, score = key[order], repeat[order], answers.score[order].astype(np.float64)
    weight = np.ones(len(order)) if answers.weight is None else answers.weight[order].astype(np.float64)
    new = np.r_[True, (key[1:] != key[:-1]) | (number[1:] != number[:-1])][: len(key)]
    first = np.flatnonzero(new)[np.cumsum(new) - 1]
    for cell in np.flatnonzero(np.abs(score - score[first]) > AGREE)[:1]:
        one, two = (f"{score[at]:g} ({answers.place(int(order[at]))})" for at in (first[cell], cell))
        item = answers.items[answers.item[order[cell]]]
        raise BadInput(f"item {item!r} has two different answers in one repeat: {one} and {two}. Keep one.")
    order, key, score, weight = order[new], key[new], score[new], weight[new]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]][: len(key)])
    if how == "error" and len(starts) < len(key):
        text = f"{answers.file} holds {len(key) - len(starts)} repeats of answers"
        raise BadInput(text, python="(repeats='error')", shell="(--repeats error)")
    if how == "count" and len(starts) < len(key):
        total = np.add.reduceat(weight, starts)
        score, weight = np.add.reduceat(score * weight, starts) / total, total
    else:
        score, weight = score[starts], weight[starts]
    back = np.argsort(order[starts], kind="stable")
    kept = order[starts][back]
    line = None if answers.line is None else answers.line[kept]
    cells = {"row": answers.row[kept], "item": answers.item[kept], "score": score[back], "line": line}
    missing = unscored(answers.score, answers.left)
    left = (*answers.left, missing) if missing.count else answers.left
    return dataclasses.replace(answers, weight=weight[back].astype(np.float32), left=left, **cells)


def joined(
    parts: Sequence[Answers], cells: Cells, n_items: int, repeats: Repeats = "count"
) -> tuple[Cells, list[Note]]:
    """Each cell once, and what to say of those that stood several times. `BadInput` for one that disagrees."""
    key = cells.row * n_items + cells.item
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    if len(first) == len(key):
        return cells, []
    order = np.lexsort((cells.part, key))  # stable: within a file as they stand there
    key, cells = key[order], cells.take(order)
    kept = _once_a_file(parts, key, cells)
    copies = len(key) - int(kept.sum())
    key, cells = key[kept], cells.take(kept)
    run = _runs(key, cells, len(parts))
    key, cells, run, more = _once_a_run(key, cells, run)
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    size = np.diff(np.r_[starts, len(key)])
    notes = []
    if copies + more:
        notes.append(Note(f"{copies + more} answers stand twice, with the same score; they were counted once"))
    if len(starts) < len(key):
        one = np.repeat(starts, size)
        two = int(np.argmin(cells.agree(np.arange(len(key)), one)))  # the first that differs from its cell's first
        said = disagreement(parts, cells, int(one[two]), two, int((size > 1).sum()))
        require(
            repeats != "error",
            f"{said} Keep one run.",
            python="Or pass repeats='count' to read them as k of n.",
            shell="Or pass --repeats count to read them as k of n.",
        )
        notes.append(_read_as(said, repeats))
    found = cells.take(starts)
    if repeats == "count" and len(starts) < len(key):
        weight = np.add.reduceat(cells.weight.astype(np.float64), starts)
        score = np.add.reduceat(cells.score.astype(np.float64) * cells.weight, starts) / weight
        found = found.scored(np.clip(score, 0, 1), weight)
    return found.take(np.lexsort((found.at, found.part))), notes


def disagreement(parts: Sequence[Answers], cells: Cells, one: int, two: int, count: int) -> str:
    """What to say of two different answers of one cell."""
    said = []
    for which in (one, two):
        part, at = parts[cells.part[which]], int(cells.at[which])
        said.append(f"{cells.score[which]:g} ({part.place(at)}, weight {cells.weight[which]:g})")
    row, item = part.rows[part.row[at]], part.items[part.item[at]]
    return (
        f"model {labels([row])[0]!r} has two different answers on item {item!r}: "
        f"{said[0]} and {said[1]}; {count} such answers."
    )


def _read_as(said: str, repeats: Repeats) -> Note:
    """What was made of answers that differ."""
    if repeats == "first":
        return Note(f"{said} The first was read.")
    return Note(
        f"{said} They were read as repeats of different runs, k of n with n as weight.",
        python="Pass repeats='first' to read one run, repeats='error' to refuse; rows='prompt' if they are different "
        "prompts.",
        shell="Pass --repeats first to read one run, --repeats error to refuse; different prompts are for "
        "`lleval prompts`.",
    )


def _once_a_file(parts: Sequence[Answers], key: np.ndarray, cells: Cells) -> np.ndarray:
    """(cells,) the first of each cell in each file; `BadInput` where one file gives two scores."""
    new = np.r_[True, (key[1:] != key[:-1]) | (cells.part[1:] != cells.part[:-1])]
    first = np.flatnonzero(new)[np.cumsum(new) - 1]
    apart = ~cells.agree(np.arange(len(key)), first)
    for cell in np.flatnonzero(apart)[:1]:
        said = disagreement(parts, cells, int(first[cell]), int(cell), int(apart.sum()))
        raise BadInput(
            f"{said} Keep one; if they are repeats, give their mean as score and their number as weight, or number "
            "them in a column 'repeat'.",
            python="Pass columns={'repeat': NAME} if another column does; rows='prompt' if they are different prompts.",
            shell="Pass --columns repeat=NAME if another column does; different prompts are for `lleval prompts`.",
        )
    return new


def _runs(key: np.ndarray, cells: Cells, n_parts: int) -> np.ndarray:
    """(parts,) the run each file belongs to, as its first file: files that agree on all they share are one run."""
    size = int(np.diff(np.flatnonzero(np.r_[True, key[1:] != key[:-1], True])).max())
    pairs = []
    for lag in range(1, min(size, MOST_RUNS + 1)):
        one = np.flatnonzero(key[lag:] == key[:-lag])
        agree = cells.agree(one, one + lag)
        frame = pd.DataFrame({"one": cells.part[one], "two": cells.part[one + lag], "agree": agree})
        pairs.append(frame.groupby(["one", "two"])["agree"].all())
    run = np.arange(n_parts)
    if pairs:
        agree = pd.concat(pairs).groupby(["one", "two"]).all()
        copies = agree[agree].reset_index().groupby("two")["one"].min()
        for two, one in copies.sort_index().items():
            run[two] = run[one]
    return run


def _once_a_run(key: np.ndarray, cells: Cells, run: np.ndarray) -> tuple[np.ndarray, Cells, np.ndarray, int]:
    """(keys, cells, run of each, copies left out): each cell once a run.

    A file that agrees with one file of a run and not with another becomes a run of its own.
    """
    while True:
        mine = run[cells.part]
        order = np.lexsort((cells.part, mine, key))
        new = np.r_[True, (key[order][1:] != key[order][:-1]) | (mine[order][1:] != mine[order][:-1])]
        first = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
        apart = ~cells.agree(order, first)
        if not apart.any():
            kept = order[new]
            return key[kept], cells.take(kept), mine[kept], len(key) - len(kept)
        outside = np.unique(cells.part[order[apart]])
        run[outside] = outside
