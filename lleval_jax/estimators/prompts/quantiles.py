"""What a fitted grid of prompts answers: quantiles, prompts compared, the whole distribution, each with its interval.

All are functions of joint posterior draws of the prompts' scores on the grid. Quantiles of point estimates would be too
narrow, or too wide; those of draws are not.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from lleval_jax.core import transport
from lleval_jax.errors import BadInput, require, require_known, require_level
from lleval_jax.renamed import renamed
from lleval_jax.values.findings import Distribution
from lleval_jax.values.params import PromptParams
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate, FitResult

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
WHAT = ("mean", "worst", "spread")
RANK = "weibull"  # an interval of these quantiles holds the next draw as often as it says
WORST = 0.05  # share of the prompts whose mean is "worst"


@renamed(what="of")
def estimate(
    fit: FitResult[PromptParams],
    *,
    quantiles: Sequence[float] = QUANTILES,
    of: Sequence[str] = (),
    per_prompt: bool = False,
    level: float = 0.95,
) -> Estimate:
    """Quantiles of the scores over prompts, and what else is asked for, each with its interval.

    Args:
        fit: from `fit`.
        quantiles: shares in [0, 1]; linear between order statistics. Rows are named "q05", "q50", ...
        of: what else: "mean" over prompts, "worst" (mean of the worst 5%, at least one), "spread" (standard
            deviation).
        per_prompt: also the score of each prompt.
        level: coverage of the intervals.

    Returns:
        Values are posterior means. With several models every entry stands once for each, with the model as group.

    Raises:
        BadInput: a quantile outside [0, 1], or an unknown functional.
    """
    require_level(level)
    for share in quantiles:
        require(0 <= share <= 1, f"quantile {share:g} is not in [0, 1]; give shares, such as 0.05")
    for word in of:
        require_known(word, FUNCTIONALS, "functional")
    require(len(quantiles) + len(of) > 0 or per_prompt, "nothing is asked for; give quantiles, `of` or per_prompt")
    names: list[str] = []
    groups: list[str] = []
    drawn: list[np.ndarray] = []
    seen: list[int] = []
    for group, rows in _groups(fit).items():
        scores = fit.params.draws[:, rows]
        answered = fit.params.answered[rows]
        labels = [f"q{100 * share:02.4g}" for share in quantiles] + list(of)
        columns = [*np.quantile(scores, quantiles, axis=1)] if len(quantiles) else []
        columns += [FUNCTIONALS[word](scores) for word in of]
        names += labels
        seen += [int(answered.sum())] * len(labels)
        if per_prompt:
            names += [fit.rows[i] for i in rows]
            columns += list(scores.T)
            seen += answered.tolist()
        drawn += columns
        groups += [group] * len(columns)
    return _summary(fit, np.stack(drawn), tuple(names), tuple(groups), np.array(seen), level, "accuracy")


def difference(fit: FitResult[PromptParams], first: str, second: str, *, level: float = 0.95) -> Estimate:
    """Score of prompt `first` minus that of `second`; of two models of one grid: of their means over their prompts.

    Raises:
        BadInput: a prompt or model that is not there, or twice the same.
    """
    a, b = _places(fit, first, second)
    gap = _gap(fit, a, b)[None]
    return _summary(fit, gap, (f"{first} - {second}",), (WHOLE,), _fewer(fit, a, b), level, "difference")


def better(fit: FitResult[PromptParams], first: str, second: str) -> float:
    """Posterior probability that `first` scores above `second`, two prompts or two models; ties count half."""
    return float(_ahead(_gap(fit, *_places(fit, first, second))).mean())


def won(fit: FitResult[PromptParams], first: str, second: str, *, level: float = 0.95) -> Estimate:
    """Of the prompts that two models have in common, the share under which `first` scores higher; ties count half.

    A model may lead on the whole and yet lose under many ways of asking.

    Raises:
        BadInput: a model that is not there, twice the same, or no common prompt.
    """
    one, other = _places(fit, first, second)
    groups = _groups(fit)
    for name in (first, second):
        require(name in groups, f"there is no model {name!r}; there are {', '.join(map(repr, groups))}")
    prompts = fit.params.prompt
    if prompts is None:
        raise BadInput("this fit does not say which row is which prompt; fit it again")
    _, a, b = np.intersect1d(prompts[one], prompts[other], return_indices=True)
    require(len(a) > 0, f"models {first!r} and {second!r} have no prompt in common")
    share = _ahead(fit.params.draws[:, one[a]] - fit.params.draws[:, other[b]]).mean(1)[None]
    return _summary(fit, share, (f"{first} over {second}",), (WHOLE,), _fewer(fit, one, other), level, "won")


def _places(fit: FitResult[PromptParams], first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two prompts, one each, or of two models."""
    groups = _groups(fit)
    what = "prompts" if {first, second} <= set(fit.rows) or len(groups) == 1 else "models"
    places = {name: np.array([i]) for i, name in enumerate(fit.rows)} if what == "prompts" else groups
    require(first != second, f"two different {what} are needed to compare; both are {first!r}")
    for name in (first, second):
        first_names = ", ".join(map(repr, list(places)[:6]))
        require(name in places, f"there is no {what[:-1]} {name!r}; there are {first_names}")
    return places[first], places[second]


def _gap(fit: FitResult[PromptParams], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(draws,) the mean score of some rows minus that of others."""
    return fit.params.draws[:, first].mean(1) - fit.params.draws[:, second].mean(1)


def _fewer(fit: FitResult[PromptParams], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(1,) answers of those rows that have fewer."""
    return np.array([min(int(fit.params.answered[rows].sum()) for rows in (first, second))])


def _ahead(gap: np.ndarray) -> np.ndarray:
    """1 where a difference is above 0; ties count half."""
    return (gap > 0) + 0.5 * (gap == 0)


def distribution(fit: FitResult[PromptParams], *, model: str | None = None, level: float = 0.95) -> Distribution:
    """The whole distribution of scores over prompts, with a band for each order statistic.

    Raises:
        BadInput: several models and none named, or one that is not there.
    """
    groups = _groups(fit)
    name = model if model is not None else next(iter(groups))
    require(model is not None or len(groups) == 1, f"name a model: {', '.join(groups)}")
    require(name in groups, f"there is no model {name!r}; there are {', '.join(groups)}")
    order = np.sort(fit.params.draws[:, groups[name]], axis=1)
    low, high = np.quantile(order, [(1 - level) / 2, (1 + level) / 2], axis=0, method=RANK)
    count = order.shape[1]
    value = np.clip(order.mean(0), low, high)
    return Distribution((np.arange(count) + 0.5) / count, value, low, high)


def wasserstein(first: Distribution | np.ndarray, second: Distribution | np.ndarray) -> float:
    """W1 distance of two distributions of as many scores, in units of the score.

    Raises:
        BadInput: different numbers of scores.
    """
    a, b = (np.asarray(x.value if isinstance(x, Distribution) else x, float) for x in (first, second))
    require(a.shape == b.shape, f"distributions of {a.shape} and {b.shape} scores; give as many in both")
    return float(transport.wasserstein(jnp.asarray(a), jnp.asarray(b)))


def _worst(scores: np.ndarray) -> np.ndarray:
    count = max(1, int(np.ceil(WORST * scores.shape[1])))
    return np.sort(scores, axis=1)[:, :count].mean(1)


FUNCTIONALS = {"mean": lambda s: s.mean(1), "worst": _worst, "spread": lambda s: s.std(1)}


def summarised(drawn: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means, both ends of middle intervals and half widths of 68% ones of draws (entries, draws), (entries,) each."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1, method=RANK)
    near, far = np.quantile(drawn, [0.1587, 0.8413], axis=1, method=RANK)
    return np.clip(drawn.mean(1), low, high), low, high, (far - near) / 2


def _summary(
    fit: FitResult[PromptParams],
    drawn: np.ndarray,
    names: tuple[str, ...],
    groups: tuple[str, ...],
    seen: np.ndarray,
    level: float,
    target: str,
) -> Estimate:
    value, low, high, std_error = summarised(drawn, level)
    return Estimate(
        target=target,
        method=fit.method,
        rows=names,
        group=groups,
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=std_error,
        n_seen=seen,
        status=(fit.status,) * len(names),
        source=fit.source,
    )


def _groups(fit: FitResult[PromptParams]) -> dict[str, np.ndarray]:
    """Model -> its rows; "all" where there is one model."""
    model = fit.params.model
    if model is None:
        return {WHOLE: np.arange(len(fit.rows))}
    return {fit.axes["models"][code]: np.flatnonzero(model == code) for code in dict.fromkeys(model.tolist())}
