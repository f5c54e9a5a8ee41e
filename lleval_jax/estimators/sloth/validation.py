"""How well a law predicts what it has not seen: models left out, and the choice of a law by that."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lleval_jax.core.precision import Precision
from lleval_jax.errors import require
from lleval_jax.estimators.sloth.law import CITE, SKILLS, Link, Target, estimate, fit_many, require_fit
from lleval_jax.layout.board import codes
from lleval_jax.renamed import renamed
from lleval_jax.values.leaderboard import Leaderboard
from lleval_jax.values.params import SlothParams
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.results import Choice, Estimate, FitResult, Source


@renamed(report="tell")
def left_out(
    leaderboard: Leaderboard,
    *,
    skills: int = SKILLS,
    link: Link = "monotone",
    known: int = 1,
    folds: int = 5,
    level: float = 0.95,
    seed: int = 0,
    strict: bool = False,
    tell: Tell = silent,
    precision: Precision = "float64",
) -> Estimate:
    """Predictions of models whose scores the law has not seen, to hold against them (Sloth, section 4.1).

    Lineages are dealt into folds. Of a fold's families all models but the smallest are hidden, a law is learned from
    all other models, and predicts the hidden ones.

    Args:
        leaderboard: with at least as many lineages as folds that have families of more than `known` models.
        skills: as for `fit`.
        link: as for `fit`.
        known: how many of a family's smallest models are kept; families of no more are kept whole.
        folds: laws learned.
        level: coverage of the intervals.
        seed: of the folds and of the searches.
        strict: as for `fit`.
        tell: called between rounds of the searches, which run side by side, with the rounds and the error.
        precision: as for `fit`.

    Returns:
        One entry a hidden model and benchmark with a known score: the row is the model's name.

    Raises:
        BadInput: too few lineages for so many folds; see also `fit`.
        NotConverged: with `strict`, a search stopped early.
    """
    require_fit(leaderboard, skills, link)
    hidden = _dealt(leaderboard, known, folds, seed)
    boards = [leaderboard.hide(one) for one in hidden]
    laws = fit_many(boards, skills=skills, link=link, seed=seed, strict=strict, tell=tell, precision=precision)
    parts = [_predicted(leaderboard, law, np.flatnonzero(one), level) for law, one in zip(laws, hidden, strict=True)]
    names, group, value, low, high, spread, n_seen, status = map(np.concatenate, zip(*parts, strict=True))
    return Estimate(
        target="score",
        method=f"sloth d={skills} {link}, families left out",
        rows=tuple(names),
        group=tuple(group),
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=spread,
        n_seen=n_seen,
        status=tuple(status),
        source=leaderboard.source.merge(Source(seed=seed, cite=CITE)),
    )


@renamed(report="tell")
def choose(
    leaderboard: Leaderboard,
    *,
    skills: Sequence[int] = (1, 2, 3),
    link: Sequence[Link] = ("monotone", "logistic"),
    known: int = 1,
    folds: int = 5,
    seed: int = 0,
    strict: bool = False,
    tell: Tell = silent,
    precision: Precision = "float64",
) -> Choice:
    """How many skills and which link predict best what is left out: cross-validation over families.

    Args:
        leaderboard: see `left_out`.
        skills: numbers of skills to try.
        link: links to try.
        known: see `left_out`.
        folds: see `left_out`.
        seed: see `left_out`.
        strict: see `left_out`.
        tell: see `left_out`.
        precision: see `fit`.

    Returns:
        One row, "law": its items are the number of skills and the link with the least error, the mean over families of
        the mean absolute error of a family's hidden models. `why` tells it and the next best with standard errors.

    Raises:
        BadInput: nothing to choose from; see also `left_out`.
        NotConverged: with `strict`, a search stopped early.
    """
    tried: list[tuple[int, Link]] = [(d, curve) for d in dict.fromkeys(skills) for curve in dict.fromkeys(link)]
    require(len(tried) > 1, "there is nothing to choose from; give two or more numbers of skills or links")
    words: dict[str, Any] = {"known": known, "folds": folds, "seed": seed, "strict": strict, "tell": tell}
    each = [left_out(leaderboard, skills=d, link=curve, precision=precision, **words) for d, curve in tried]
    errors = [_errors(leaderboard, found) for found in each]
    order = np.argsort([error.mean() for error in errors], kind="stable")
    best = errors[order[0]]

    def described(i: int) -> str:
        error = 100 * errors[i]
        return f"skills {tried[i][0]}, link {tried[i][1]}: {error.mean():.2f} ± {_mean_sd(error):.2f}"

    apart = 100 * (errors[order[1]] - best)
    why = (
        f"mean absolute error in points over {len(best)} families left out: {'; '.join(map(described, order))}; "
        f"the best two differ by {apart.mean():.2f} ± {_mean_sd(apart):.2f}"
    )
    d, curve = tried[order[0]]
    return Choice(("law",), ((str(d), curve),), (why,), leaderboard.source.merge(Source(seed=seed, cite=CITE)))


def _dealt(board: Leaderboard, known: int, folds: int, seed: int) -> np.ndarray:
    """(folds, models) which are hidden: the larger models of the families of the lineages dealt to a fold."""
    require(known >= 1, f"known is {known}; at least 1 model of each family is kept")
    hidden, lineages = _beyond(board, known), np.asarray(board.lineages, object)
    able = sorted(set(lineages[hidden]))
    message = (
        f"folds is {folds}; it must lie in 2 to {len(able)}, the number of lineages with families of more than {known}"
    )
    require(2 <= folds <= len(able), message)
    dealt = dict(zip(np.random.default_rng(seed).permutation(able), np.arange(len(able)) % folds, strict=True))
    fold = np.array([dealt.get(name, -1) for name in lineages])
    return hidden & (fold == np.arange(folds)[:, None])


def _predicted(
    board: Leaderboard, law: FitResult[SlothParams], test: np.ndarray, level: float
) -> tuple[np.ndarray, ...]:
    """Columns of an estimate of hidden models where their scores are known."""
    facts = zip(*(column[test].tolist() for column in (board.params, board.tokens)), strict=True)
    targets = [Target(board.families[i], *fact) for i, fact in zip(test, facts, strict=True)]
    found, seen = estimate(law, family=targets, level=level), board.seen[test].ravel()
    names = np.repeat(np.asarray(board.models, object)[test], len(board.benchmarks))
    columns = found.group, found.value, found.low, found.high, found.std_error, found.n_seen, found.status
    return names[seen], *(np.asarray(column)[seen] for column in columns)


def _beyond(board: Leaderboard, known: int) -> np.ndarray:
    """(models,) whether larger than the `known` smallest models of its family that have a score."""
    scored = board.seen.any(1)
    rank = np.zeros(len(board.models), int)
    for name in dict.fromkeys(board.families):
        own = np.flatnonzero((np.asarray(board.families, object) == name) & scored)
        rank[own[np.argsort(board.params[own], kind="stable")]] = np.arange(len(own))
    return scored & (rank >= known)


def _errors(board: Leaderboard, found: Estimate) -> np.ndarray:
    """(families,) mean absolute errors."""
    at = {name: i for i, name in enumerate(board.models)}
    column = {name: j for j, name in enumerate(board.benchmarks)}
    rows, columns = [at[name] for name in found.rows], [column[name] for name in found.group]
    family = codes([board.families[i] for i in rows])
    return np.bincount(family, np.abs(found.value - board.scores[rows, columns])) / np.bincount(family)


def _mean_sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
