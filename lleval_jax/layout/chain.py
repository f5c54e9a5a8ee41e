"""Versions of a benchmark as counts: what `refresh` keeps of the answers, and the arrays that its kernel takes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import expit, logit

from lleval_jax.core.laws.panel import Panel
from lleval_jax.core.linalg import two_way
from lleval_jax.errors import require
from lleval_jax.types import Array
from lleval_jax.values.params import Chain, RefreshParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult

PAD = 8  # cells are padded to a multiple, so that versions that follow each other share a compiled program
ROOM = 0.5  # sd of logits about their main effects, in which the likelihood of a cell's answers is expanded
NEWTON_STEPS = 30  # of Newton's method, no step longer than 1
APART = 1000  # from here on versions and domains of padding are numbered
HALF = 0.5  # answer added to the right and to the wrong ones, so that a logit is finite


class Named(NamedTuple):
    """A chain and its names: models, domains, versions."""

    chain: Chain
    models: tuple[str, ...]
    domains: tuple[str, ...]
    versions: tuple[str, ...]


class Data(NamedTuple):
    """A chain as a kernel takes it. Chains of as many models and padded cells are lanes of one call.

    panel    whose basis lacks the loadings: (models, 2), ones and standardised mean logits
    product  (models, models)  as of `Chain`
    common   (models, models)  as of `Chain`
    share    (models,)         of right answers, all versions together
    """

    panel: Panel
    product: Array
    common: Array
    share: Array


def empty() -> Named:
    """A chain of no version."""
    none, square = np.zeros((0, 0)), np.zeros((0, 0))
    index = np.zeros(0, int)
    return Named(Chain(none, none, np.zeros(0), index, index, square, square), (), (), ())


def append(old: Named, new: Responses, name: str) -> Named:
    """With one more version. Models and domains are known by name; items are new ones.

    Raises:
        BadInput: no answers, no model in common with the versions before, or a version's name twice.
    """
    new = new.answered()
    require(len(new.rows) > 0, f"version {name!r} has no answers")
    require(name not in old.versions, f"there are two versions {name!r}; name them apart")
    rows = new.rows
    common = set(rows) & set(old.models)
    require(
        not old.versions or bool(common),
        f"no model of version {name!r} was run on an earlier one: it has {_some(rows)}, they have {_some(old.models)}. "
        "Re-run at least one known model; names must agree.",
    )
    present, which, count = np.unique(new.group, return_inverse=True, return_counts=True)
    items = {new.groups[g]: int(n) for g, n in zip(present, count, strict=True)}
    grown = grow(old, rows, items, name)
    place = np.array([grown.models.index(row) for row in rows])
    seen = new.seen.astype(float)
    score = np.where(new.seen, new.scores, 0).astype(float)
    centred = np.where(new.seen, score - (score.sum(1) / seen.sum(1))[:, None], 0)
    right, asked, product, pairs = (
        part.copy() for part in (grown.chain.right, grown.chain.asked, grown.chain.product, grown.chain.common)
    )
    for g in range(len(items)):
        cell, member = len(old.chain.total) + g, which == g
        right[place, cell], asked[place, cell] = score[:, member].sum(1), seen[:, member].sum(1)
    product[np.ix_(place, place)] += centred @ centred.T
    pairs[np.ix_(place, place)] += seen @ seen.T
    return grown._replace(chain=grown.chain._replace(right=right, asked=asked, product=product, common=pairs))


def chained(versions: Sequence[Responses] | Mapping[str, Responses]) -> Named:
    """All versions, the oldest first, perhaps by name ("v1", "v2", … otherwise).

    Raises:
        BadInput: no version, fewer than three models, or a version that shares no model with those before.
    """
    by_name = versions if isinstance(versions, Mapping) else {f"v{i + 1}": v for i, v in enumerate(versions)}
    require(len(by_name) > 0, "there is no version to learn from")
    named = empty()
    for name, answers in by_name.items():
        named = append(named, answers, name)
    require(len(named.models) > 2, f"the versions hold {len(named.models)} models; at least 3 are needed")
    return named


def grow(old: Named, rows: Sequence[str], items: Mapping[str, int], name: str) -> Named:
    """With one more version of `items` by domain, of which nothing is answered yet."""
    models = (*old.models, *(row for row in rows if row not in set(old.models)))
    domains = (*old.domains, *(group for group in items if group not in set(old.domains)))
    more, cells = len(models) - len(old.models), len(items)
    chain = old.chain
    return Named(
        Chain(
            right=np.pad(chain.right, ((0, more), (0, cells))),
            asked=np.pad(chain.asked, ((0, more), (0, cells))),
            total=np.append(chain.total, list(items.values())),
            version=np.append(chain.version, np.full(cells, len(old.versions))).astype(int),
            domain=np.append(chain.domain, [domains.index(group) for group in items]).astype(int),
            product=np.pad(chain.product, (0, more)),
            common=np.pad(chain.common, (0, more)),
        ),
        models,
        domains,
        (*old.versions, name),
    )


def share(right: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Of right answers, kept off 0 and 1."""
    return (right + HALF) / (asked + 2 * HALF)


def main_effects(chain: Chain) -> tuple[np.ndarray, np.ndarray]:
    """(models,) and (cells,) whose sums are nearest to the logits of shares, weighted by answers; 0 without any."""
    return two_way.main_effects(logit(share(chain.right, chain.asked)), chain.asked)


def logits(chain: Chain, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(models, cells) logits and their variances, of the normal that stands for a cell's answers.

    Laplace's method: the likelihood is expanded where it is highest together with a prior that logits lie `ROOM`
    about `middle`, their main effects. Where answers are many that is the logit of their share; where they are few, all
    right or all wrong, that logit and its variance would say more than they do.
    """
    level = middle
    for _ in range(NEWTON_STEPS):
        rate = expit(level)
        slope = chain.right - chain.asked * rate - (level - middle) / ROOM**2
        level = level + np.clip(slope / (chain.asked * rate * (1 - rate) + 1 / ROOM**2), -1, 1)
    rate = expit(level)
    information = np.maximum(chain.asked, 1) * rate * (1 - rate)
    return level + (chain.right - chain.asked * rate) / information, 1 / information


def lay_out(named: Named, precision: str = "float64", *, pad: int = PAD) -> tuple[Data, dict[str, tuple[str, ...]]]:
    """The arrays of a chain, and the names of a fit's axes.

    Cells are padded to a whole number of `pad`; padding is a cell of a version and a domain of its own, never seen.
    """

    def put(numbers: np.ndarray) -> Array:
        return jnp.asarray(numbers, precision if numbers.dtype.kind == "f" else None)

    chain = named.chain
    panel = Panel(*map(put, _panel(chain, -len(chain.total) % pad)))
    moments = chain.product, chain.common, share(chain.right.sum(1), chain.asked.sum(1))
    cells = [f"{named.versions[v]}/{named.domains[d]}" for v, d in zip(chain.version, chain.domain, strict=True)]
    axes = {"models": named.models, "cells": tuple(cells), "domains": named.domains, "versions": named.versions}
    return Data(panel, *map(put, moments)), axes


def _panel(chain: Chain, spare: int) -> tuple[np.ndarray, ...]:
    """The fields of a panel without loadings, with `spare` cells more."""
    model, cell = main_effects(chain)
    standing = (model - model.mean()) / max(float(model.std()), 1e-9)
    parts = *logits(chain, model[:, None] + cell), chain.asked
    level, noise, asked = (np.pad(part, ((0, 0), (0, spare))) for part in parts)
    version, domain = (np.append(part, APART + np.arange(spare)).astype(int) for part in (chain.version, chain.domain))
    return level, noise, asked > 0, version, domain, np.stack([np.ones_like(standing), standing], 1)


def with_loadings(panel: Panel, loading: Array) -> Panel:
    """The same panel, the models' loadings (models, dims) in its basis."""
    return panel._replace(basis=jnp.concatenate([panel.basis, loading], 1))


def named_of(fit: FitResult[RefreshParams]) -> Named:
    """The chain that a fit keeps, with its names.

    Raises:
        BadInput: the fit is not from `refresh.fit`.
    """
    ours = isinstance(fit.params, RefreshParams)
    require(ours, f"this fit ({fit.method}) is none of refresh.fit; fit the versions first")
    return Named(fit.params.chain, fit.rows, fit.axes["domains"], fit.axes["versions"])


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")
