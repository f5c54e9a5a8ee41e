"""Sloth's published variants, kept to compare with; `estimators/sloth/law.py` is what to use.

Maia Polo et al. 2024, *Sloth: scaling laws for LLM skills to predict multi-benchmark performance across families*,
arXiv:2412.06540, eqs. 3.1 to 3.3, and the laws it is measured against (section 4 and appendix). The paper searches for
the least training error from one start; here unknowns have the priors of `laws.published`, and predictions intervals.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from lleval_jax.core.laws.published import Form
from lleval_jax.core.precision import precise
from lleval_jax.core.shapes import pad, rung
from lleval_jax.errors import require, require_known, require_level
from lleval_jax.estimators import contract
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.sloth.law import CITE, MIDDLE, NEW, Target, require_target
from lleval_jax.estimators.sloth.published_kernel import Found, Search, components, predicted
from lleval_jax.layout import published as layout
from lleval_jax.renamed import renamed
from lleval_jax.types import Status
from lleval_jax.values.leaderboard import Leaderboard
from lleval_jax.values.params import SlothPaperParams, coded
from lleval_jax.values.results import Estimate, FitResult, Source

Inputs = Literal["translog", "size and tokens", "flops", "pca"]
Intercept = Literal["family", "shared", "family slopes"]
Link = Literal["logistic", "monotone"]
Floors = Literal["chance", "learned"]
Loss = Literal["huber", "squared", "binomial"]
CORE_WORDS = {"chance": "fixed", "squared": "gaussian"}  # words of `core.laws.published`
FREEDOM = 5.0  # of the t distribution of scores around the law
LOGITS, NOISES = 101, 101  # equally likely points that an interval is taken from
LEAST_LOGIT = -1e3  # stands for minus infinity, the logit of a floor of 0
FEWEST_LANES = 16  # predictions at least that are made in one call: few or many, it is compiled once


def fit(
    leaderboard: Leaderboard,
    *,
    skills: int = 3,
    inputs: Inputs = "translog",
    intercept: Intercept = "family",
    link: Link = "logistic",
    floors: Floors = "chance",
    loss: Loss = "huber",
    items: Mapping[str, int] | None = None,
    starts: int = 8,
    seed: int = 0,
    strict: bool = False,
) -> FitResult[SlothPaperParams]:
    """Learn one of the published laws. Models with some scores missing are used as they are, but by "pca".

    Each start is searched for a mode of the posterior, priors included. Where starts end in different modes the one
    with most evidence by Laplace's method is kept, so the training error decides nothing. Lineages and tuning are not
    used: in these laws each family stands alone.

    Args:
        leaderboard: at least four models, of several sizes and numbers of tokens.
        skills: how many latent skills (the paper's d). "size and tokens" and "flops" have one a benchmark.
        inputs: "translog": logs of size, of tokens, and their product (eq. 3.2); "size and tokens": the two logs, a
            law for each benchmark; "flops": log of size x tokens, a law for each benchmark; "pca": principal components
            of scores regressed on log flops (Ruan et al. 2024), linear and in closed form, from models that lack no
            score; link, floors and loss must be as they are, starts and seed are not used.
        intercept: "family": each has its own; "shared": one for all; "family slopes": each has its own and its own
            slope in log size besides (in log flops for "flops" and "pca"; the code's F x one-hot).
        link: "logistic"; "monotone": each benchmark's curve is learned, increasing (the trained link).
        floors: "chance": the score of guessing; "learned": moved from there.
        loss: "huber" as published; "squared"; "binomial": of `items` answers.
        items: benchmark -> number of questions; for the binomial loss.
        starts: of the search.
        seed: of where it starts.
        strict: raise `NotConverged` rather than warn.

    Returns:
        Laws with the covariance of all unknowns; `ended` has the log evidence, less a constant ("pca": the log
        likelihood), and the steps of the longest search that was kept.

    Raises:
        BadInput: a word or a number of skills that is not known, too few models, no two different sizes, tokens or
            scores, or the binomial loss without items.
        NotConverged: with `strict`, the search stopped early.
    """
    words = {"inputs": inputs, "intercept": intercept, "link": link, "floors": floors, "loss": loss}
    _require_fit(leaderboard, skills, words, starts)
    count = _items(leaderboard, loss, items)
    skills = 1 if inputs in layout.ALONE else skills
    family, families = coded(leaderboard.families)
    with precise("float64"):
        use = leaderboard.seen.any(1).astype(float)
        x = layout.inputs(inputs, leaderboard.params, leaderboard.tokens, use)
        member = (family[:, None] == np.arange(len(families))).astype(float)
        design = layout.design(intercept, inputs, x, member)
        if inputs == "pca":
            whole = leaderboard.seen.all(1)
            found = components(design[whole], leaderboard.scores[whole], skills)
        else:
            facts = leaderboard.scores, leaderboard.seen, leaderboard.floor, count
            data = layout.lay_out(inputs, design, x.shape[1], *facts)
            found = contract.solve(Search(_form(skills, words), starts), data, jax.random.key(seed))
    settings = words | {"skills": skills, "starts": starts, "seed": seed}
    return _result(jax.tree.map(np.asarray, found), leaderboard, count, settings, strict)


def _result(
    found: Found, leaderboard: Leaderboard, items: np.ndarray, settings: dict[str, Any], strict: bool
) -> FitResult[SlothPaperParams]:
    """The names back on, and how the searches ended."""
    family, families = coded(leaderboard.families)
    inputs, skills, intercept, link = (settings[word] for word in ("inputs", "skills", "intercept", "link"))
    end = ended(
        "the law",
        next((Status(int(one)) for one in found.status if one != Status.CONVERGED), Status.CONVERGED),
        int(np.max(found.steps)),
        advice="more models or fewer skills help",
        strict=strict,
        value=float(np.sum(found.value)),
        unit="log likelihood" if inputs == "pca" else "log evidence",
        error=float(np.max(found.error)),
    )
    return FitResult(
        params=SlothPaperParams(
            mode=np.asarray(found.mode),
            cov=np.asarray(found.cov),
            noise=np.ravel(found.noise),
            freedom=np.ravel(found.freedom),
            floor=leaderboard.floor,
            items=items,
            size=leaderboard.params,
            tokens=leaderboard.tokens,
            score=leaderboard.scores,
            seen=leaderboard.seen,
            family=family,
        ),
        axes={"models": leaderboard.models, "benchmarks": leaderboard.benchmarks, "families": families},
        ended=end,
        method=f"sloth as published, {inputs} d={skills} {intercept} {link}",
        settings=settings,
        source=leaderboard.source.merge(Source(seed=int(settings["seed"]), cite=CITE)),
    )


@renamed(params="size")
def estimate(
    fit: FitResult[SlothPaperParams],
    *,
    family: str | Sequence[Target] = NEW,
    size: float = MIDDLE[0],
    tokens: float = MIDDLE[1],
    level: float = 0.95,
) -> Estimate:
    """What a model will score on each benchmark by a published law, with intervals for the score to be observed.

    The value is the law's at its mode, as published. Its logit varies as the unknowns do: their covariance is Laplace's
    with the noise that was found in place of the assumed one, carried on by the delta method. Scores vary around the
    law as the residuals do, in a t distribution of 5 degrees. A new family is taken for one of the known ones: it has
    their mean and, for the interval, their spread.

    Args:
        fit: from `fit`.
        family: a family of the leaderboard, or "new"; or a list of `Target`s, whose lineage and tuning are not used.
        size: of the model, a count of parameters.
        tokens: that it is trained on, a count.
        level: coverage of the intervals.

    Returns:
        One entry a target and benchmark, in [0, 1]: row "family:size:tokens", group the benchmark; `n_seen` is the
        number of models whose score on it was known.

    Raises:
        BadInput: the family is not known (the nearest names are given), size or tokens are no plausible counts, or
            the family is new and there are no two families to learn from.
    """
    targets = [Target(family, size, tokens)] if isinstance(family, str) else list(family)
    require(bool(targets), "there is nothing to predict; give at least one target")
    require_level(level)
    for target in targets:
        require_target(target, fit.axes["families"])
    mean, cov = _predicted(fit, targets)
    return Estimate.crossed(
        [str(target) for target in targets],
        fit.items,
        _interval(fit, mean, cov, level),
        target="score",
        method=fit.method,
        level=level,
        n_seen=fit.params.seen.sum(0),
        status=fit.status,
        source=fit.source,
    )


def _require_fit(board: Leaderboard, skills: int, words: Mapping[str, str], starts: int) -> None:
    allowed = {"inputs": Inputs, "intercept": Intercept, "link": Link, "floors": Floors, "loss": Loss}
    for name, kind in allowed.items():
        require_known(words[name], get_args(kind), name)
    kind, benchmarks = words["inputs"], len(board.benchmarks)
    if kind not in layout.ALONE:
        fine = 1 <= skills <= benchmarks
        require(fine, f"skills is {skills}; with {benchmarks} benchmarks it must lie in 1 to {benchmarks}")
    require(starts >= 1, f"starts is {starts}; at least one is needed")
    require(NEW not in board.families, f"a family is called {NEW!r}, which stands for those not known; rename it")
    whole = board.seen.all(1) if kind == "pca" else board.seen.any(1)
    if kind == "pca":
        plain = (words["link"], words["floors"], words["loss"]) == ("logistic", "chance", "huber")
        require(plain, "inputs 'pca' is a linear law in closed form: it has no link, floors or loss to choose")
    which = "without a missing score" if kind == "pca" else "with a score"
    require(whole.sum() >= 4, f"the leaderboard has {whole.sum()} models {which}; a law needs at least 4")
    sizes = {"parameters": board.params, "tokens": board.tokens}
    if kind in ("flops", "pca"):
        sizes = {"parameters x tokens": board.params * board.tokens}
    for name, found in sizes.items():
        found = found[whole]
        require(np.ptp(found) > 0, f"all models have {found[0]:g} {name}; a law needs several")
    for j, name in enumerate(board.benchmarks):
        found = board.scores[board.seen[:, j] & whole, j]
        same = len(found) < 2 or np.ptp(found) == 0
        require(not same, f"benchmark {name!r} has no two different scores; leave it out")


def _items(board: Leaderboard, loss: str, items: Mapping[str, int] | None) -> np.ndarray:
    """(benchmarks,) questions; ones where no loss asks."""
    if loss != "binomial":
        return np.ones(len(board.benchmarks))
    for name in board.benchmarks:
        found = (items or {}).get(name)
        given = f"{name!r} has {found}" if found is not None else f"{name!r} is missing"
        fine = found is not None and found >= 1
        require(fine, f"the binomial loss needs the number of questions of each benchmark, and {given}; pass items=")
    return np.array([(items or {})[name] for name in board.benchmarks], float)


def _form(skills: int, words: Mapping[str, str]) -> Form:
    link, floors, loss = (CORE_WORDS.get(words[name], words[name]) for name in ("link", "floors", "loss"))
    return Form(skills, link=link, floors=floors, loss=loss)  # pyright: ignore[reportArgumentType]


def _predicted(fit: FitResult[SlothPaperParams], targets: Sequence[Target]) -> tuple[np.ndarray, np.ndarray]:
    """Logit and floor of each target (targets, benchmarks, 2), and their covariance."""
    p, words, count = fit.params, fit.settings, len(fit.items)
    families = np.asarray(fit.axes["families"])
    learned = p.seen.all(1) if words["inputs"] == "pca" else p.seen.any(1)
    known = np.isin(np.arange(len(families)), p.family[learned])
    use = np.append(p.seen.any(1), np.zeros(len(targets)))
    size, tokens = (np.array([t[i] for t in targets], float) for i in (1, 2))
    with precise("float64"):
        x = layout.inputs(words["inputs"], np.append(p.size, size), np.append(p.tokens, tokens), use)
        member = np.eye(len(families))
        design, owner = [], []
        for i, target in enumerate(targets):
            mine = families == target.family
            if words["intercept"] == "shared":
                lanes = member[:1]
            elif (mine & known).any():
                lanes = member[mine]
            else:
                lanes = member[known]
                require(len(lanes) > 1, f"{target}: a new family needs two known ones to learn from; there is one")
            at = np.repeat(x[len(p.size) + i][None], len(lanes), 0)
            design.append(layout.design(words["intercept"], words["inputs"], at, lanes))
            owner += [i] * len(lanes)
        flat = np.concatenate(design)
        flat = pad(flat, (rung(max(len(flat), FEWEST_LANES)), flat.shape[1]))
        laws = layout.lay_out(words["inputs"], flat, x.shape[1], p.score, p.seen, p.floor, p.items)
        found = predicted(_form(words["skills"], words), laws, *map(jnp.asarray, (p.mode, p.cov, flat)))
        lanes = np.asarray(owner)
        means, covs = (np.asarray(part)[: len(lanes)] for part in found)
    means = np.maximum(means.reshape(len(lanes), count, 2), LEAST_LOGIT)
    covs = covs.reshape(len(lanes), count, 2, 2)
    mean = np.stack([means[lanes == i].mean(0) for i in range(len(targets))])
    return mean, np.stack([_mixed(means[lanes == i], covs[lanes == i]) for i in range(len(targets))])


def _mixed(means: np.ndarray, covs: np.ndarray) -> np.ndarray:
    """Covariance (benchmarks, 2, 2) of a draw from normals that are equally likely, (lanes, benchmarks, ...)."""
    lanes = len(means)
    if lanes == 1:
        return covs[0]
    gap = means - means.mean(0)
    between = np.einsum("lja,ljb->jab", gap, gap) / (lanes - 1)
    return covs.mean(0) + (1 + 1 / lanes) * between


def _noise(freedom: float) -> np.ndarray:
    """(points,) of scores around a law, in units of the residuals' spread: t of variance 1, the spread not known."""
    heavy = stats.t.ppf((np.arange(NOISES) + 0.5) / NOISES, FREEDOM) * np.sqrt((FREEDOM - 2) / FREEDOM)
    scale = np.sqrt(freedom / stats.chi2.ppf((np.arange(NOISES) + 0.5) / NOISES, freedom))
    return np.quantile(heavy[:, None] * scale, (np.arange(NOISES) + 0.5) / NOISES)


def _interval(fit: FitResult, mean: np.ndarray, cov: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """The law's score, ends and half a 68% interval of the score to be observed, (targets, benchmarks) each.

    Sums of equally likely points: of the logit, of the floor given the logit, and of the noise. Their median is the
    law's score but for the floor's error and for scores that cannot be beyond 0 and 1; the interval holds it.
    """
    linear, learned = fit.settings["inputs"] == "pca", fit.settings["floors"] == "learned"

    def score(logit: np.ndarray, floor: np.ndarray) -> np.ndarray:
        low = special.expit(floor)
        return logit + 0 * low if linear else low + (1 - low) * special.expit(logit)

    normal = stats.norm.ppf((np.arange(LOGITS) + 0.5) / LOGITS)[:, None]
    apart = np.sqrt(1.5) * np.array([-1.0, 0.0, 1.0]) if learned else np.zeros(1)
    noise = np.stack([s * _noise(f) for s, f in zip(fit.params.noise, fit.params.freedom, strict=True)])
    chances = ((1 - level) / 2, (1 + level) / 2, stats.norm.cdf(-1), stats.norm.cdf(1))
    ends = []
    for at, spread in zip(mean[:, :, None, None], cov[:, :, None, None], strict=True):
        sd = np.sqrt(np.maximum(spread[..., 0, 0], 1e-18))
        along = spread[..., 0, 1] / sd
        rest = np.sqrt(np.maximum(spread[..., 1, 1] - along**2, 0))
        found = score(at[..., 0] + sd * normal, at[..., 1] + along * normal + rest * apart)
        found = np.clip(found.reshape(len(noise), -1, 1) + noise[:, None], 0, 1)
        ends.append(np.quantile(found.reshape(len(noise), -1), chances, axis=-1))
    low, high, below, above = np.stack(ends, 1)
    value = np.clip(score(mean[..., 0], mean[..., 1]), 0, 1)
    return value, np.minimum(low, value), np.maximum(high, value), (above - below) / 2
