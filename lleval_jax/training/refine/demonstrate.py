"""Which weak answers are shown for which question: others' alone, drawn by seed and by the question's own name.

Nothing depends on the order of the pool or on when replies come: each draw is made from the seed and from ids.
"""

import dataclasses
import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lleval_jax.errors import require
from lleval_jax.values.pool import Pool

WAYS = ("fresh", "block", "fixed")


@dataclasses.dataclass(frozen=True)
class Demonstrate:
    """How demonstrations are chosen. A question's own answer is never shown, nor that of an equal question.

    Fresh sets make a far better student than one fixed set: it learns the mean over them, and their accidents cancel
    (`concept.risks`). Fixed sets and blocks share the beginning of a prompt, which a server may have read already.

    many   demonstrations of a question
    way    "fresh": a set for each question; "fixed": one set for all, except that a question of the set is shown the
           next in its own place; "block": questions are put into blocks of `many`, and each block is shown the next
           one. (The paper's blocks describe their own questions, so there a question's own weak answer takes part.)
    near   fresh sets of the questions nearest in meaning, the nearest last, in place of random ones
    apart  leave out questions of the same topic
    seed   of the draws

    Example:
        >>> pool = Pool(("a", "b", "c"), ("1?", "2?", "3?"), ("1!", "2!", "3!"))
        >>> Demonstrate(2).choose(pool)
        ((2, 1), (2, 0), (0, 1))
    """

    many: int = 4
    way: Literal["fresh", "block", "fixed"] = "fresh"
    near: bool = False
    apart: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.many >= 0, f"many is {self.many}; it must be 0 or more demonstrations")
        require(self.way in WAYS, f"way is {self.way!r}; it is one of {', '.join(WAYS)}")
        require(self.way == "fresh" or not self.near, f"near sets differ by question; {self.way!r} ones do not")

    def choose(self, pool: Pool, vectors: NDArray | None = None) -> tuple[tuple[int, ...], ...]:
        """The rows that are shown for each row, in the order in which they are shown.

        Args:
            pool: whose rows.
            vectors: (rows, width) of the questions, of length 1, as `lm.embed` gives them; for `near` alone.

        Raises:
            BadInput: there are too few other questions, `near` has no vectors, or `apart` no topics.
        """
        count = len(pool.ids)
        require(not self.apart or bool(pool.topics), "the pool has no topics, by which to keep questions apart")
        require(not self.near or vectors is not None, "near sets need vectors of the questions: lm.embed gives them")
        shape = None if vectors is None else vectors.shape[0]
        require(shape in (None, count), f"there are vectors of {shape} questions, and {count:,} questions")
        kinds = _numbered([" ".join(question.casefold().split()) for question in pool.questions])
        topics = _numbered(pool.topics) if self.apart else np.arange(count)  # each its own: none is kept apart
        first = _first_of_each(pool.ids, kinds)
        order = _shuffled(first, f"{self.seed}")
        block = dict(zip(kinds[order], np.arange(len(order)) // max(1, self.many), strict=True))
        found = []
        for row in range(count):
            if self.near:
                by_id = np.array(first)
                others = by_id[np.argsort(-(vectors[by_id] @ vectors[row]), kind="stable")]  # type: ignore[index]
            elif self.way == "fresh":
                others = _shuffled(first, f"{self.seed} {pool.ids[row]}")
            else:
                others = np.roll(order, -(block[kinds[row]] + 1) * self.many) if self.way == "block" else order
            allowed = others[(kinds[others] != kinds[row]) & (topics[others] != topics[row])]
            what = f"row {pool.ids[row]!r} can be shown {len(allowed):,} other questions" + " apart" * self.apart
            require(len(allowed) >= self.many, f"{what}; {self.many} are to be shown. Show fewer.")
            taken = tuple(int(other) for other in allowed[: self.many])
            found.append(taken[::-1] if self.near else taken)
        return tuple(found)


def _numbered(texts: "tuple[str, ...] | list[str]") -> NDArray[np.int64]:
    """A number for each text, equal for equal ones."""
    return np.unique(np.array(texts, object), return_inverse=True)[1]


def _first_of_each(ids: tuple[str, ...], kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    """One row of each kind of question, that with the first id; in the order of ids."""
    rows = sorted(range(len(ids)), key=lambda row: ids[row])
    found: dict[int, int] = {}
    for row in rows:
        found.setdefault(int(kinds[row]), row)
    return np.array(list(found.values()))


def _shuffled(rows: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    """In an order that belongs to the name."""
    seed = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return np.random.default_rng(seed).permutation(rows)
