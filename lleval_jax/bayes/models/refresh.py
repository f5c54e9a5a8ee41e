"""Versions of a benchmark: scores of all models on each version and domain, on the counts and the law of `refresh.fit`.

    logit of a share of right answers ~ N(basis . shift of the cell + what is the model's own, sampling variance)

A cell is a domain of a version. Shifts and what is a model's own are sums of parts, each standard normal times a size
that is learned (non-centred): hierarchical by version and by domain. Joint density: `core.laws.panel.log_joint`, whose
covariances are those of these sums. `refresh.fit` takes the sizes as known where they are likeliest; here they are
drawn too. What the priors say, in points of accuracy at the middle of the scale (likeliest sizes; one of three lies
beyond a factor of 1.6 for ability, affinity and own part, and of 2.3 for drifts and shifts):

    ability 0.8            models differ by 20 points
    affinity 0.15          of a model to a domain: 4 points more or less there, on all versions
    drifts 0.05            a model moves by a point from one version to the next, for good or once; times its own
                           spread, of which one model in ten has twice the usual
    own 0.05               and in each cell by a point
    shift of all alike     a version or a domain is 5 points harder or easier, a cell 2.5
    shift by loadings      a version or a domain bears 2.5 to 5 points on models that lie one standard deviation apart
"""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import distributions as dist

from lleval_jax.bayes.contract import Laid, Target, Values
from lleval_jax.bayes.models.sites import shown, site, standard
from lleval_jax.core.laws import panel
from lleval_jax.core.laws.panel import Panel, Sizes
from lleval_jax.core.precision import precise
from lleval_jax.errors import require, require_known
from lleval_jax.estimators.refresh import kernel
from lleval_jax.estimators.refresh.panel import CITE
from lleval_jax.estimators.refresh.panel import fit as maximum
from lleval_jax.layout import chain
from lleval_jax.types import Array
from lleval_jax.values.params import RefreshParams
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import FitResult, Source
from lleval_jax.values.sparse import SparseResponses

Versions: TypeAlias = Sequence[Responses] | Mapping[str, Responses]
DRIFTS = tuple(i for i, name in enumerate(panel.PARTS) if "drift" in name)


class Parts(NamedTuple):
    """What cells have in common.

    design  (cells, parts)  1 where a cell has a part, else 0
    kind    (parts,)        which size it has
    """

    design: Array
    kind: Array


class Data(NamedTuple):
    """A chain of versions.

    known   logits of shares, and what their cells are
    own     parts of what is a model's own; kinds are `panel.PARTS`
    shift   parts of shifts; kinds are `panel.SHIFTS`
    right   (models, cells)  sum of scores
    asked   (models, cells)  answers
    total   (cells,)         items
    weight  (targets, cells)  share of a cell in the score on the version that is asked for, and on each of its domains
    """

    known: Panel
    own: Parts
    shift: Parts
    right: Array
    asked: Array
    total: Array
    weight: Array


@dataclasses.dataclass(frozen=True)
class Refresh:
    """Settings; `bayes.refresh` makes it.

    dims     loadings of a model on what items have in common, at most
    version  whose scores are wanted; "" is the newest
    """

    dims: int
    version: str = ""
    data: ClassVar[type] = Data
    observed: ClassVar[tuple[str, ...]] = ("models", "cells")

    @property
    def name(self) -> str:
        """As in results."""
        return "refresh"

    @property
    def units(self) -> tuple[str, ...]:
        """Models are independent given the shifts and the sizes."""
        return ("own", "spread")

    @property
    def accept(self) -> float:
        """Of NUTS: small steps, as sizes of effects are learned."""
        return 0.95

    def __call__(self, data: Data) -> None:
        """Sizes, shifts, what is each model's own, and the answers."""
        models, width = data.known.basis.shape
        prior = panel.before(models, width, data.known.basis.dtype)
        own_size = prior.mode.model + prior.model_sd * standard("model_size", len(panel.PARTS))
        shift_size = prior.mode.shift + prior.shift_sd * standard("shift_size", width, len(panel.SHIFTS))
        half = panel.FREEDOM / 2
        spread = jnp.log(site("spread", dist.InverseGamma(half, half).expand([models]).to_event(1)))
        sizes = Sizes(own_size, shift_size, spread)
        shift, own = effects(data, sizes, standard("shift", width, len(data.shift.kind)), _own(data))
        logit = shown("logit", data.known.basis @ shift + own)
        shown("model_sd", jnp.exp(own_size))
        shown("shift_sd", jnp.exp(shift_size))
        numpyro.factor("answers", jnp.sum(panel.log_likelihood(logit, data.known)))

    def maximum(self, value: Versions) -> FitResult[RefreshParams]:
        """`refresh.fit`; whether it converged is of no matter here."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return maximum(_versions(value), dims=self.dims)

    def lay_out(self, value: Versions, fit: FitResult[RefreshParams] | None, precision: str) -> Laid:
        """Counts by model and cell as `refresh.fit` lays them out, without padding.

        Raises:
            BadInput: no versions, or none of the name that is asked for.
        """
        named = chain.chained(_versions(value))
        with precise(precision):
            arrays, axes = chain.lay_out(named, precision, pad=1)
            loading = kernel.loadings(arrays, kernel.fewer(self.dims, len(named.models)))
            loading = loading if fit is None else jnp.asarray(fit.params.loading, precision)
            known: Any = jax.tree.map(np.asarray, chain.with_loadings(arrays.panel, loading))
        counts, version = named.chain, self.version or named.versions[-1]
        require_known(version, named.versions, "version")
        weight, domains = _targets(named, version)
        share = weight > 0
        own, shift = (Parts(part.design.astype(precision), part.kind) for part in _parts(known))
        numbers = {"right": counts.right, "asked": counts.asked, "total": counts.total, "weight": weight}
        parts: dict[str, Any] = {name: part.astype(precision) for name, part in numbers.items()}
        data = Data(known, own, shift, **parts)
        target = Target(named.models, domains, (counts.asked @ share.T).astype(int))
        basis = ("level", "standing", *(f"loading-{d + 1}" for d in range(loading.shape[1])))
        kept = {"logit": ("models", "cells"), "model_sd": ("parts",), "shift_sd": ("basis", "shifts")}
        return Laid(
            data,
            axes | {"parts": panel.PARTS, "shifts": panel.SHIFTS, "basis": basis},
            kept | {"spread": ("models",)},
            {"score": target, "rate": target},
            _source(value),
        )

    def start(self, laid: Laid, fit: FitResult[RefreshParams]) -> dict[str, np.ndarray]:
        """Sizes where the fit has them, and effects at their posterior means given these."""
        p, data = fit.params, laid.data
        prior = jax.tree.map(np.asarray, panel.before(*data.known.basis.shape))
        sizes = Sizes(*(jnp.asarray(part, data.known.basis.dtype) for part in (p.model_size, p.shift_size, p.spread)))
        shift, own = panel.effects(sizes, jax.tree.map(jnp.asarray, data.known))
        own_scale, shift_scale = (np.asarray(part) for part in _scales(data, sizes))
        return {
            "model_size": (p.model_size - prior.mode.model) / prior.model_sd,
            "shift_size": (p.shift_size - prior.mode.shift) / prior.shift_sd,
            "spread": np.exp(p.spread),
            "shift": _standardised(data.shift, shift_scale, np.asarray(shift)),
            "own": _standardised(data.own, own_scale, np.asarray(own)),
        }

    def outcome(self, target: str, data: Data, draw: Values, key: Array) -> Array:
        """(models, 1 + domains): "rate", the mean over the items of what shares of right answers tend to; "score" of
        the version: answers that were given as they are, the others drawn, as right or wrong.
        """
        share = jax.nn.sigmoid(draw["logit"])
        if target == "score":
            left = data.total - data.asked
            share = (data.right + jax.random.binomial(key, left, share, dtype=share.dtype)) / data.total
        return jnp.asarray(share @ data.weight.T)

    def log_likelihood(self, data: Data, draw: Values) -> Array:
        """(models, cells) of the logits of shares, 0 where nothing was answered."""
        return panel.log_likelihood(draw["logit"], data.known)


def effects(data: Data, sizes: Sizes, shift: Array, own: Array) -> tuple[Array, Array]:
    """Shifts (width, cells) and what is each model's own (models, cells), from standard normal parts."""
    own_scale, shift_scale = _scales(data, sizes)
    return (shift * shift_scale) @ data.shift.design.T, (own * own_scale) @ data.own.design.T


def _own(data: Data) -> Array:
    return standard("own", len(data.known.basis), len(data.own.kind))


def _scales(data: Data, sizes: Sizes) -> tuple[Array, Array]:
    """(models, parts) and (width, parts) standard deviations."""
    drifts = jnp.isin(data.own.kind, jnp.array(DRIFTS))
    own = sizes.model[data.own.kind][None] + 0.5 * jnp.where(drifts[None], sizes.spread[:, None], 0)
    return jnp.exp(own), jnp.exp(sizes.shift)[:, data.shift.kind]


def _parts(known: Panel) -> tuple[Parts, Parts]:
    """Of what is a model's own, and of shifts."""
    version, domain = np.asarray(known.version), np.asarray(known.domain)
    each = {
        "all": np.ones((len(version), 1)),
        "version": (version[:, None] == np.unique(version)).astype(float),
        "domain": (domain[:, None] == np.unique(domain)).astype(float),
        "later": (version[:, None] >= np.unique(version)[1:]).astype(float),  # a step at each version but the first
        "cell": np.eye(len(version)),
    }

    def together(names: Sequence[str]) -> Parts:
        kind: Any = np.repeat(np.arange(len(names)), [each[name].shape[1] for name in names])
        design: Any = np.concatenate([each[name] for name in names], 1)
        return Parts(design, kind)

    return together(("all", "domain", "version", "later", "cell")), together(("all", "version", "domain", "cell"))


def _standardised(parts: Parts, scale: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """(rows, parts) means of the standard normal parts of effects (rows, cells) that are known."""
    design = np.asarray(parts.design, float)
    wide = scale.astype(float)[:, None, :] * design
    return np.stack([w.T @ np.linalg.solve(w @ w.T, e) for w, e in zip(wide, effect.astype(float), strict=True)])


def _targets(named: chain.Named, version: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """(targets, cells) shares of cells in the scores on a version and its domains, and the names of these."""
    counts = named.chain
    here = np.flatnonzero(counts.version == named.versions.index(version))
    whole = np.zeros((1, len(counts.total)))
    whole[0, here] = counts.total[here] / counts.total[here].sum()
    names = tuple(named.domains[d] for d in counts.domain[here])
    if names == (WHOLE,):
        return whole, (WHOLE,)
    return np.concatenate([whole, np.eye(len(counts.total))[here]]), (WHOLE, *names)


def _versions(value: Versions) -> Versions:
    alone = isinstance(value, Responses | SparseResponses)
    require(not alone, "refresh takes several versions; give a list of Responses, the oldest first")
    return value


def _source(value: Versions) -> Source:
    source = Source(cite=CITE)
    for answers in value.values() if isinstance(value, Mapping) else value:
        source = source.merge(answers.source)
    return source
