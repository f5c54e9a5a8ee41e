"""What a method of full scores is: how it is called, what it cites, what it needs, and what it owes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from lleval_jax.errors import BankMismatch
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.responses import Responses

FEWEST_MODELS = 8  # calibration models that a method which learns from them takes


class Spread(NamedTuple):
    """An estimate and how wide it is: value, standard error, low and high, each (rows, targets).

    remark  (rows, targets) words for what a reader must know of an estimate, "" where there is nothing; None for none
    """

    value: np.ndarray
    std_error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    remark: np.ndarray | None = None


class Call(Protocol):
    """The function behind a method; see `Method`."""

    def __call__(self, here: Responses, bank: ItemBank, targets: np.ndarray, level: float, seed: int, /) -> Spread:
        """Value, standard error, low and high of each row's score in each target."""
        ...


@dataclasses.dataclass(frozen=True)
class Need:
    """Something that a bank has or has not.

    met    whether a bank has it
    lacks  what is wrong with one that has not, after "bank 'x' ..."; {method} stands for the method's name
    """

    met: Callable[[ItemBank], bool]
    lacks: str


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to estimate full scores from few answers.

    call    the function, see below
    cite    keys of `report.cite.BIBTEX`; a method of another package gives whole BibTeX entries
    needs   what the bank must have; checked before the call, in this order
    widen   the intervals are stretched about the value by the error on models left out of the calibration, in units of
            the nominal one, which `anchors.choose` learns for each such method by its name and keeps in
            `bank.misfit.width`. False: `call` sees to it itself. Left-out models are tried with a bank that has no
            `learned`; a method that needs it has factor 1

    `call(here, bank, targets, level, seed) -> Spread` is given

        here     answers in the bank's order of items: scores, seen and weight are (rows, items), scores in [0, 1] and
                 zero where not seen; weight is the number of answers that a score is the mean of. Each row has one at
                 least; rows may have seen different items
        bank     calibrated items, and what `needs` asks for
        targets  (targets,) positions in `bank.targets`: 0 is the whole, then the groups; their shares of the items are
                 `bank.target_weight[targets]`
        level    of the interval from low to high
        seed     of all that is drawn at random

    and owes (`tests/test_properties.py` asks each of it):

        rows are estimated each for itself: their order and the other rows do not matter, nor do items without answers
        targets are estimated each for itself: the whole is the same with and without the groups
        a wider level holds the narrower one; the same seed gives the same
        no standard error is 0 while items are unanswered, even if all answers are right
        better answers never lower the value; more answers narrow the interval, and come nearer to the score
        fractional scores are taken as they are

    What comes back need not lie in [0, 1], nor within what the answers make certain: `score.estimate` clips it.
    """

    call: Call
    cite: tuple[str, ...]
    needs: tuple[Need, ...]
    widen: bool = True

    def allowed(self, bank: ItemBank) -> bool:
        """Whether the bank has all that the method needs."""
        return all(need.met(bank) for need in self.needs)


def require_needs(name: str, bank: ItemBank, among: Mapping[str, Method]) -> None:
    """`BankMismatch` with the first thing that a bank lacks for a method, and the methods that it has enough for."""
    for need in among[name].needs:
        if not need.met(bank):
            what = f"bank {bank.name!r} {need.lacks.format(method=repr(name))}"
            others = [other for other, method in among.items() if method.allowed(bank)]
            if not others:
                raise BankMismatch(f"{what}; calibrate with more models")
            python, shell = "by=" + " or ".join(map(repr, others)), "--method " + " or ".join(others)
            raise BankMismatch(f"{what}.", python=f"Pass {python}.", shell=f"Pass {shell}.")


def _is_whole(bank: ItemBank) -> bool:
    return bank.calibration is None or not bank.calibration.outside


def _has_learned(bank: ItemBank) -> bool:
    return bank.learned is not None and bank.calibration is not None


def _is_checked(bank: ItemBank) -> bool:
    return bank.answers is None or bank.misfit is not None


def _has_models(bank: ItemBank) -> bool:
    return bank.calibration is not None and len(bank.calibration.rows) >= FEWEST_MODELS


WHOLE = Need(
    _is_whole,
    "holds only part of its benchmark (its full scores came from a table), so method {method} would estimate that part",
)
CHECKED = Need(
    _is_checked,
    "has graded or continuous answers and was not checked on models left out (anchors, check=True, and at least "
    f"{FEWEST_MODELS} models with complete answers), without which the intervals of {{method}} are too narrow",
)
LEARNED = Need(
    _has_learned,
    f"keeps no complete answers of at least {FEWEST_MODELS} calibration models, which method {{method}} learns from",
)
MODELS = Need(_has_models, f"keeps fewer than {FEWEST_MODELS} calibration models, which method {{method}} learns from")
