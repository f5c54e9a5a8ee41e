"""Scores of all models on one version, given the answers so far, and what running one more model brings."""

from typing import NamedTuple

import jax
import numpy as np
from scipy.special import expit

from lleval_jax.core.laws import panel
from lleval_jax.core.laws.panel import Panel, Posterior, Sizes
from lleval_jax.core.precision import light_jit
from lleval_jax.layout.chain import Named, with_loadings
from lleval_jax.values.params import Chain, RefreshParams
from lleval_jax.values.responses import WHOLE

DRIFTS = slice(2, 4)  # of `panel.PARTS`
LEAST_DRIFT = 0.05  # share of a variance under which it counts as normal
_posterior = light_jit(lambda sizes, observed, loading: panel.posterior(sizes, with_loadings(observed, loading)))


class Outlook(NamedTuple):
    """Targets are the whole version and then each of its domains; cells are its domains.

    groups    names of the targets
    mean      (models, targets)         scores in [0, 1]
    asked     (models, targets)         answers
    gradient  (models, targets, cells)  of a score by the logits of the cells; 0 where it is known
    logits    posterior in these cells alone
    cross     (models, cells, shifts)   covariance of logits with shifts of versions, design times theirs
    noise     (models, cells)           sampling variance of a logit, once all items are answered
    sampling  (models, targets)         variance of a score that is left by items not asked
    drift     (models, targets)         variance of a score that is drift, of which the spread is not known
    freedom   (models,)                 degrees of freedom of that spread
    """

    groups: tuple[str, ...]
    mean: np.ndarray
    asked: np.ndarray
    gradient: np.ndarray
    logits: Posterior
    cross: np.ndarray
    noise: np.ndarray
    sampling: np.ndarray
    drift: np.ndarray
    freedom: np.ndarray

    @property
    def std_error(self) -> np.ndarray:
        """(models, targets)."""
        gradient, logits = self.gradient, self.logits
        own = np.sum(gradient * (gradient @ logits.own), -1)
        shared = np.sum((gradient @ self.cross) * (gradient @ logits.design), -1)
        return np.sqrt(own + shared + self.sampling)

    @property
    def tails(self) -> np.ndarray:
        """(models, targets) degrees of freedom of scores: the more, the less of the variance is drift."""
        variance = self.std_error**2
        part = np.minimum(self.drift / np.where(variance > 0, variance, 1), 1)
        return self.freedom[:, None] / np.maximum(part, LEAST_DRIFT) ** 2

    def covariance(self, target: int = 0) -> np.ndarray:
        """(models, models) of the scores on one target."""
        gradient, logits = self.gradient[:, target, None], self.logits
        own = np.sum(gradient * (gradient @ logits.own), (1, 2)) + self.sampling[:, target]
        return (gradient @ self.cross)[:, 0] @ (gradient @ logits.design)[:, 0].T + np.diag(own)

    def drawn(self, draws: int, seed: int) -> np.ndarray:
        """(draws, models) scores on the whole version, drawn together: t distributed, since drifts are."""
        random, models = np.random.default_rng(seed), len(self.mean)
        size, axes = np.linalg.eigh(self.covariance())
        normal = random.standard_normal((draws, models)) @ (axes * np.sqrt(np.maximum(size, 0))).T
        freedom = self.tails[:, 0]
        return self.mean[:, 0] + normal * np.sqrt(freedom / random.chisquare(freedom, (draws, models)))


def outlook(named: Named, observed: Panel, law: RefreshParams, version: int) -> Outlook:
    """On a version of the chain, whether or not any model has been run on it.

    Args:
        named: the chain.
        observed: its panel, without loadings.
        law: that holds; the chain may have versions that it was not learned from.
        version: which.
    """
    chain = named.chain
    cells = np.nonzero(chain.version == version)[0]
    logits = _logits(observed, law, cells)
    total, asked = chain.total[cells], chain.asked[:, cells]
    rate = expit(logits.mean)
    binomial = rate * (1 - rate)
    left = (total - asked) / total
    weight = np.concatenate([(total / total.sum())[None], np.eye(len(cells))])
    gradient = weight[None] * (left * binomial)[:, None]
    drift = np.exp(law.spread)[:, None] * np.exp(2 * expected(law).model[DRIFTS]).sum()
    return Outlook(
        groups=(WHOLE, *(named.domains[d] for d in chain.domain[cells])),
        mean=np.clip((chain.right[:, cells] / total + left * rate) @ weight.T, 0, 1),
        asked=np.concatenate([asked.sum(1, keepdims=True), asked], 1).astype(int),
        gradient=gradient,
        logits=logits,
        cross=np.asarray(logits.design @ logits.shifts),
        noise=1 / (total * np.maximum(binomial, 1e-6)),
        sampling=np.einsum("td,md->mt", weight**2, left * binomial / total),
        drift=drift * gradient.sum(2) ** 2,
        freedom=panel.FREEDOM + _versions_run(chain),
    )


def expected(law: RefreshParams) -> Sizes:
    """Sizes whose variances are the posterior means: exp(2 s) at its mean, log s being normal."""
    return Sizes(law.model_size + law.model_doubt, law.shift_size + law.shift_doubt, law.spread)  # pyright: ignore


def conditioned(outlook: Outlook, model: int) -> Outlook:
    """Once a model will have been run on all items: its own score is known, the others' are surer; no mean moves."""
    logits, cross = outlook.logits, outlook.cross[model]
    variance = logits.own[model] + np.diag(outlook.noise[model]) + cross @ logits.design[model].T
    gain = np.linalg.solve(variance, cross)
    gradient, sampling = outlook.gradient.copy(), outlook.sampling.copy()
    gradient[model], sampling[model] = 0, 0
    design = logits.design.reshape(-1, len(logits.shifts))
    left = outlook.cross - (design @ cross.T @ gain).reshape(outlook.cross.shape)
    logits = logits._replace(shifts=logits.shifts - cross.T @ gain)
    return outlook._replace(logits=logits, cross=left, gradient=gradient, sampling=sampling)


def of_one_run(outlook: Outlook, target: int) -> tuple[np.ndarray, np.ndarray]:
    """What conditioning on one model's run takes: how it bears on the scores of all on one target.

    Returns (models, models, cells): the covariance of one model's score with another's logits, and (models, cells,
    cells): the inverse covariance of the logits that are seen.
    """
    logits, noise = outlook.logits, outlook.noise
    variance = logits.own + outlook.cross @ np.swapaxes(logits.design, 1, 2) + np.eye(noise.shape[1]) * noise[:, None]
    design = logits.design.reshape(-1, len(logits.shifts))
    cross = (outlook.gradient[:, target, None] @ outlook.cross)[:, 0] @ design.T
    return cross.reshape(len(noise), *noise.shape), np.linalg.inv(variance)


def _logits(observed: Panel, law: RefreshParams, cells: np.ndarray) -> Posterior:
    """Of the logits in these cells alone, on the host."""
    whole = jax.tree.map(np.asarray, _posterior(expected(law), observed, law.loading))
    return whole._replace(
        mean=whole.mean[:, cells], own=whole.own[:, cells][:, :, cells], design=whole.design[:, cells]
    )


def _versions_run(chain: Chain) -> np.ndarray:
    """(models,) on how many versions each was run."""
    versions = range(chain.version.max() + 1)
    return np.sum([(chain.asked[:, chain.version == v] > 0).any(1) for v in versions], 0)
