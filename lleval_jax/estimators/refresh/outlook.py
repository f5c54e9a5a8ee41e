"""What is believed of all models' scores on one version, and what running one more model will tell of the others."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from lleval_jax.core.laws import panel
from lleval_jax.core.precision import light_jit
from lleval_jax.layout.chain import Named, panel_of
from lleval_jax.values.params import Chain
from lleval_jax.values.responses import WHOLE

DRIFTS = slice(2, 4)  # of `panel.PARTS`
LEAST_DRIFT = 0.05  # share of a variance under which it counts as normal
_posterior = light_jit(panel.posterior)


class Outlook(NamedTuple):
    """Targets are the whole version and then each of its domains; cells are its domains.

    groups    names of the targets
    mean      (models, targets)         scores in [0, 1]
    steep     (models, targets, cells)  how a score moves with the logits of the cells; 0 where it is known
    own       (models, cells, cells)    covariance of logits that is the model's alone
    way       (models, cells, shifts)   how shifts of versions move logits
    shared    (shifts, shifts)          their covariance
    pull      (models, cells, shifts)   covariance of logits with shifts, way times shared
    noise     (models, cells)           sampling variance of a logit, once all items are answered
    sampling  (models, targets)         variance of a score that is left by items not asked
    drift     (models, targets)         variance of a score that is drift, of which the spread is not known
    freedom   (models,)                 degrees of freedom of that spread
    """

    groups: tuple[str, ...]
    mean: np.ndarray
    steep: np.ndarray
    own: np.ndarray
    way: np.ndarray
    shared: np.ndarray
    pull: np.ndarray
    noise: np.ndarray
    sampling: np.ndarray
    drift: np.ndarray
    freedom: np.ndarray

    @property
    def slope(self) -> np.ndarray:
        """(models, targets, shifts) how a score moves with the shifts."""
        return self.steep @ self.way

    @property
    def std_error(self) -> np.ndarray:
        """(models, targets)."""
        moved = np.sum(self.steep * (self.steep @ self.own), -1) + np.sum((self.steep @ self.pull) * self.slope, -1)
        return np.sqrt(moved + self.sampling)

    @property
    def tails(self) -> np.ndarray:
        """(models, targets) degrees of freedom of scores: the more, the less of the variance is drift."""
        variance = self.std_error**2
        part = np.minimum(self.drift / np.where(variance > 0, variance, 1), 1)
        return self.freedom[:, None] / np.maximum(part, LEAST_DRIFT) ** 2

    def covariance(self, target: int = 0) -> np.ndarray:
        """(models, models) of one target."""
        steep = self.steep[:, target, None]
        alone = np.sum(steep * (steep @ self.own), (1, 2)) + self.sampling[:, target]
        return (steep @ self.pull)[:, 0] @ (steep @ self.way)[:, 0].T + np.diag(alone)


def outlook(named: Named, loading: np.ndarray, sizes: Sequence[np.ndarray], version: int) -> Outlook:
    """On a version of the chain, whether or not any model has been run on it; sizes are those of `panel.Sizes`."""
    chain = named.chain
    with jax.enable_x64(True):
        told = _posterior(panel.Sizes(*map(jnp.asarray, sizes)), panel_of(chain, loading))
        mean, own, way, shared = map(np.asarray, told)
    here = np.nonzero(chain.version == version)[0]
    total, asked = chain.total[here], chain.asked[:, here]
    rate = expit(mean[:, here])
    binomial = rate * (1 - rate)
    left = (total - asked) / total
    weight = np.concatenate([(total / total.sum())[None], np.eye(len(here))])
    steep = weight[None] * (left * binomial)[:, None]
    model, _, spread = sizes
    drift = np.exp(spread)[:, None] * np.exp(2 * model[DRIFTS]).sum()
    return Outlook(
        groups=(WHOLE, *(named.domains[d] for d in chain.domain[here])),
        mean=np.clip((chain.right[:, here] / total + left * rate) @ weight.T, 0, 1),
        steep=steep,
        own=own[:, here][:, :, here],
        way=way[:, here],
        shared=shared,
        pull=way[:, here] @ shared,
        noise=1 / (total * np.maximum(binomial, 1e-6)),
        sampling=np.einsum("td,md->mt", weight**2, left * binomial / total),
        drift=drift * steep.sum(2) ** 2,
        freedom=panel.FREEDOM + _versions_run(chain),
    )


def run(now: Outlook, model: int) -> Outlook:
    """Once a model will have been run on all items: its own score is known, the others' are surer; no mean moves."""
    pull = now.pull[model]
    spread = now.own[model] + np.diag(now.noise[model]) + pull @ now.way[model].T
    gain = np.linalg.solve(spread, pull)
    steep, sampling = now.steep.copy(), now.sampling.copy()
    steep[model], sampling[model] = 0, 0
    flat = now.way.reshape(-1, len(now.shared))
    left = now.pull - (flat @ pull.T @ gain).reshape(now.pull.shape)
    return now._replace(shared=now.shared - pull.T @ gain, pull=left, steep=steep, sampling=sampling)


def told_by(now: Outlook, target: int) -> tuple[np.ndarray, np.ndarray]:
    """What each model's run would tell of the scores of all on one target.

    Returns (models, models, cells): the covariance of one model's score with another's logits, and (models, cells,
    cells): the inverse covariance of the logits that are seen.
    """
    spread = now.own + now.pull @ np.swapaxes(now.way, 1, 2) + np.eye(now.noise.shape[1]) * now.noise[:, None]
    cross = (now.steep[:, target, None] @ now.pull)[:, 0] @ now.way.reshape(-1, len(now.shared)).T
    return cross.reshape(len(now.way), *now.noise.shape), np.linalg.inv(spread)


def _versions_run(chain: Chain) -> np.ndarray:
    """(models,) on how many versions each was run."""
    versions = range(chain.version.max() + 1)
    return np.sum([(chain.asked[:, chain.version == v] > 0).any(1) for v in versions], 0)
