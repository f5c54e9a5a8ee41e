"""The guard before a fit: can these answers teach what is asked, and if not, what can they teach?

Parameters are worth fitting where the answers say more than the prior. An item's n models teach its free coordinates
the expected information n J (J by quadrature at the item's own easiness and slope 1, times the reliability of the
abilities, which are known no better), and with the prior precision P the reliability of coordinate k is

    1 - [(n J + P)^-1]_kk / [P^-1]_kk

With the prior N(1, 0.5) of slopes, as wide as slopes of LLM benchmarks differ, this passes 1/2 near n = 30 models for
an item that half of them get right. A model is safe if the median item reaches `ENOUGH` in each coordinate; with D
abilities the same spread of log-odds is shared by D slopes, so the prior variance of each is divided by D.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from lleval_jax.core.irt import em, irf, quadrature
from lleval_jax.core.precision import jit
from lleval_jax.curves import CURVES, Curve, Model, curve_of, name_of
from lleval_jax.errors import require
from lleval_jax.estimators.irt import copies
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses, as_dense
from lleval_jax.values.trust import NAMED, Finding, Guard, Verdict

ENOUGH = 0.5  # reliability of the median item's parameters
RELIABLE = 0.3  # of the rows' standing: below it the rows hardly differ by more than chance
FEW = 0.05  # share of rows or items that may be useless before it is a warning
FEWEST = 5  # models below which not even difficulties are worth fitting
SOUND = 30  # models below which a bank says with every estimate how few it was made from
FEW_MODELS = "too few models"
GRAVE = (FEW_MODELS, "too few items", "nothing in common", "disconnected", "copies")  # what a bank repeats
COPIED = 0.1  # share of rows that may be copies before it is a warning
SEVERAL = 512  # items that tell what the median item learns; shorter sets are repeated up to it
ROWS, ITEMS = 6000, 1024  # at most so many are compared; larger sets are sampled
LADDER: tuple[Model, ...] = ("rasch", "2pl", "3pl", "4pl")  # nested: each is the next with some parameters held
PRIOR_SD = {"slope": 0.5, "intercept": 2.0, "floor": 0.7, "ceiling": 1.0}

Answers = Responses | SparseResponses | Sequence[Responses]


def check(
    responses: Answers,
    *,
    model: Literal["auto", Model] | Curve = "2pl",
    dims: int = 1,
    seed: int = 0,
    tell: Tell = silent,
) -> Guard:
    """Examine answers before a fit of `model` with `dims` abilities; nothing is fitted but an additive model.

    Args:
        responses: dense, sparse, or blocks that share models.
        model: one of `LADDER`; "auto" asks for the 2PL. Of any other curve the richest of `LADDER` that it holds is
            examined, and a note says so.
        dims: abilities.
        seed: of the rows and items that are compared where there are too many for all.
        tell: called with a word before each longer part.

    Raises:
        BadInput: no answers, or an unknown model.
    """
    asked, below = _rung("2pl" if model == "auto" else model)
    whole = functools.reduce(Responses.merge, responses) if isinstance(responses, Sequence) else responses
    whole = whole.ordered()
    require(len(whole.rows) > 0 and len(whole.items) > 0, "there are no answers to check")
    tally = _tally(whole)
    require(bool(tally.row_asked.sum() > 0), "there are no answers to check")
    part, at = _sample(whole, tally, seed)
    scores, seen = part.scores.astype(np.float32), part.seen
    tell(Progress("looking for copies among the models"))
    copied = copies.find(scores, seen)
    abilities = reliability(scores, seen)
    share = copied.distinct / len(part.rows)
    mean = (tally.right + 0.5) / (tally.asked + 1)
    used = tally.asked > 0
    tell(Progress("looking at what the answers can teach"))
    worth = {
        name: teaches(name, dims, mean[used], share * tally.asked[used] * max(abilities, 0.05), seed) for name in LADDER
    }
    distinct = round(share * len(whole.rows))
    possible = [name for name in LADDER[: LADDER.index(asked) + 1] if worth[name] >= ENOUGH]
    safe = possible[-1] if possible and distinct >= FEWEST else "rasch"
    found = [
        *below,
        *_answered(whole, tally),
        *_constant(whole, tally),
        *_connected(whole),
        *_separable(part, tally, at),
        *_copied(part, copied),
        *_informative(whole, abilities),
        *_enough(whole, asked, dims, safe, distinct, worth[asked]),
    ]
    found.sort(key=lambda one: one.severity != "warning")
    clusters = tuple(tuple(part.rows[i] for i in cluster) for cluster in copied.clusters)
    shape = len(whole.rows), len(whole.items)
    return Guard(asked, dims, safe, tuple(found), *shape, distinct, clusters, worth["2pl"], abilities)


def verdict(found: Guard) -> Verdict:
    """What a bank that is made from these answers must repeat with every estimate; that models are few, once.

    Raises:
        BadInput: so few models that nothing can be calibrated.
    """
    require_models(found.models, found.distinct)
    few = found.distinct < SOUND
    grave = [one for one in found.warnings if one.name in GRAVE and not (few and one.name == FEW_MODELS)]
    said = [f"{one.found}; {one.advice}" if one.advice else one.found for one in grave]
    if few:
        those = f"only {_models(found.models, found.distinct)} for calibration"
        if any(one.name == FEW_MODELS for one in found.warnings):
            those += f", too few to identify the {_taught(found.asked)} of a {_title(found.asked)} model"
        said.insert(0, f"{those}; at least {SOUND} are advised")
    return Verdict(found.distinct, tuple(said))


def require_models(models: int, distinct: int | None = None) -> None:
    """`BadInput` if a bank cannot be made from so few models, near-copies counted once."""
    distinct = models if distinct is None else distinct
    require(distinct >= FEWEST, f"{_models(models, distinct)} cannot be calibrated; at least {FEWEST} are needed")


def _models(models: int, distinct: int) -> str:
    """As a sentence counts them."""
    return f"{models} model{'s' * (models != 1)}" + (f" ({distinct} distinct)" if distinct < models else "")


def teaches(model: str, dims: int, mean: np.ndarray, models: np.ndarray, seed: int = 0) -> float:
    """Least over the coordinates of an item's parameters of the median reliability over the items.

    Args:
        model: one of `LADDER`; for "rasch" only the intercept counts, the slope being shared.
        dims: abilities.
        mean: (items,) share of right answers.
        models: (items,) effective number of models that answered.
        seed: of the items looked at where there are many.
    """
    if len(mean) > SEVERAL:
        some = np.random.default_rng(seed).choice(len(mean), SEVERAL, replace=False)
        mean, models = mean[some], models[some]
    curve = dataclasses.replace(CURVES[model], dims=1, positive=False)
    nodes, log_weight = quadrature.Grid(31, 5.0).nodes(1)
    sd = [PRIOR_SD["slope"] / dims**0.5, PRIOR_SD["intercept"]]
    sd += [PRIOR_SD["floor"]] * curve.floor + [PRIOR_SD["ceiling"]] * curve.ceiling
    info = np.asarray(
        _information(curve, jnp.asarray(np.resize(mean, SEVERAL)), jnp.asarray(nodes), jnp.exp(jnp.asarray(log_weight)))
    )
    precision = np.diag(np.array(sd) ** -2.0)
    info = info[: len(models)].astype(float)
    spread = np.linalg.inv(models[:, None, None] * info + precision)
    reliable = 1 - np.diagonal(spread, axis1=1, axis2=2) / np.array(sd) ** 2
    return float(np.median(reliable[:, 1:] if curve.shared_slope else reliable, axis=0).min())


def reliability(scores: np.ndarray, seen: np.ndarray) -> float:
    """Share of the variance of the rows' standing that is not chance, at least 0: KR-20 for incomplete answers.

    A row's standing is the sum of its scores above the items' means, in units of its standard deviation if rows did
    not differ; the variance of that is 1 by chance alone.
    """
    asked = seen.sum(0)
    mean = scores.sum(0) / np.maximum(asked, 1)
    gap = (scores - mean) * seen
    variance = (gap**2).sum(0) / np.maximum(asked - 1, 1)
    z = gap.sum(1) / np.sqrt(np.maximum((seen * variance).sum(1), 1e-9))
    spread = float(np.mean(z**2)) * len(z) / max(len(z) - 1, 1)
    return max(0.0, 1 - 1 / spread) if spread > 0 else 0.0


def _rung(model: str | Curve) -> tuple[Model, list[Finding]]:
    """The richest model of `LADDER` that a curve holds, and a note if it is not the curve itself."""
    curve = curve_of(model)
    below: list[Model] = [name for name in LADDER if curve.holds(CURVES[name])]
    rung = below[-1]
    if name_of(curve) in LADDER:
        return rung, []
    found = f"whether these answers can teach the curve ({name_of(curve)}) is not known: it is not one of the nested "
    found += f"models {', '.join(LADDER)}; the {rung}, which it holds, is examined in its place"
    return rung, [Finding("not a nested model", "note", found)]


@functools.partial(jit, static_argnames="curve")
def _information(curve: irf.Curve, mean: Array, nodes: Array, weight: Array) -> Array:
    """(items, width, width) expected information of one answer about an item with slope 1 and this easiness."""
    ease = 1.2 * (jnp.log(mean) - jnp.log1p(-mean))  # the normal spread of abilities flattens the mean curve
    items = irf.Items(jnp.ones_like(ease)[:, None], ease, jnp.full_like(ease, 0.2), jnp.full_like(ease, 0.95))
    asked = jnp.broadcast_to(weight[None, :], (len(mean), len(weight)))
    free = irf.release(curve, items).astype(weight.dtype)
    each = jax.vmap(em.curvature, in_axes=(None, 0, 0, 0, None))
    return each(curve, free, jnp.zeros_like(asked), asked, nodes)[1]


@dataclasses.dataclass(frozen=True)
class _Tally:
    """Sums of scores and numbers of answers: right, asked (items,) and row_right, row_asked (rows,)."""

    right: np.ndarray
    asked: np.ndarray
    row_right: np.ndarray
    row_asked: np.ndarray


def _tally(whole: Responses | SparseResponses) -> _Tally:
    if isinstance(whole, SparseResponses):
        n, k = len(whole.rows), len(whole.items)
        right, row_right = np.bincount(whole.item, whole.scores, k), np.bincount(whole.row, whole.scores, n)
        return _Tally(right, np.bincount(whole.item, minlength=k), row_right, np.bincount(whole.row, minlength=n))
    sums = [whole.scores.sum(axis, dtype=float) for axis in (0, 1)]
    asked = [whole.seen.sum(axis) for axis in (0, 1)]
    return _Tally(sums[0], asked[0], sums[1], asked[1])


def _sample(whole: Responses | SparseResponses, tally: _Tally, seed: int) -> tuple[Responses, np.ndarray]:
    """A dense part that can be compared pair by pair, and the positions of its rows."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(np.flatnonzero(tally.row_asked > 0))[:ROWS])
    items = np.sort(rng.permutation(np.flatnonzero(tally.asked > 0))[:ITEMS])
    part = whole.take(rows).select([whole.items[i] for i in items])
    return as_dense(part), rows


def _answered(whole: Responses | SparseResponses, tally: _Tally) -> list[Finding]:
    """Items and rows without answers."""
    out = []
    for what, asked, names in (("items", tally.asked, whole.items), ("models", tally.row_asked, whole.rows)):
        empty = np.flatnonzero(asked == 0)
        if len(empty):
            found = f"{len(empty)} of {len(asked)} {what} have no answer"
            out.append(_finding(f"{what} without answers", found, "drop them", empty, names, len(empty) / len(asked)))
    return out


def _constant(whole: Responses | SparseResponses, tally: _Tally) -> list[Finding]:
    """Items that all or none got right, and rows that are all right or all wrong."""
    out = []
    for what, right, asked, names in (
        ("items", tally.right, tally.asked, whole.items),
        ("models", tally.row_right, tally.row_asked, whole.rows),
    ):
        all_right, all_wrong = (asked > 0) & (right >= asked - 1e-6), (asked > 0) & (right <= 1e-6)
        which = np.flatnonzero(all_right | all_wrong)
        if not len(which):
            continue
        share = len(which) / len(asked)
        words = ("right for all models", "wrong for all") if what == "items" else ("all right", "all wrong")
        found = f"{len(which)} of {len(asked)} {what} do not vary: {all_right.sum()} {words[0]}, "
        found += f"{all_wrong.sum()} {words[1]}"
        advice = "they carry no information: drop them, or add models that differ on them"
        if what == "models":
            advice = "their abilities have no finite estimate: add harder or easier items"
        out.append(_finding(f"constant {what}", found, advice, which, names, share))
    return out


def _connected(whole: Responses | SparseResponses) -> list[Finding]:
    """Blocks of rows and items without a common answer."""
    if isinstance(whole, Responses) and bool(whole.seen[0].all() and whole.seen[:, 0].all()):
        return []
    label = _parts(whole)
    size = np.bincount(label[label >= 0])
    if len(size) < 2:
        return []
    apart = np.flatnonzero((label >= 0) & (label != size.argmax()))
    found = f"the answers fall into {len(size)} blocks that share neither models nor items, of "
    found += ", ".join(map(str, np.sort(size)[::-1][:6])) + " models"
    advice = "scores in different blocks cannot be compared: fit each alone, or give some models items of both"
    return [Finding("disconnected", "warning", found, advice, len(apart), _names(apart, whole.rows))]


def _parts(whole: Responses | SparseResponses) -> np.ndarray:
    """(rows,) the connected block of each row, -1 for a row without answers."""
    if isinstance(whole, SparseResponses):
        n, k = len(whole.rows), len(whole.items)
        graph = sparse.coo_matrix((np.ones(len(whole.row), bool), (whole.row, n + whole.item)), (n + k, n + k))
        label = sparse.csgraph.connected_components(graph, directed=False)[1][:n]
        label = np.where(np.bincount(whole.row, minlength=n) > 0, label, -1)
        return np.unique(label, return_inverse=True)[1] - (label < 0).any()
    seen, label, block = whole.seen, np.full(len(whole.rows), -1), 0
    free = np.ones(seen.shape[1], bool)
    for first in np.flatnonzero(seen.any(1)):
        if label[first] >= 0:
            continue
        edge, label[first] = np.array([first]), block
        while len(edge):
            items = seen[edge].any(0) & free
            free &= ~items
            edge = np.flatnonzero(seen[:, items].any(1) & (label < 0))
            label[edge] = block
        block += 1
    return label


def _separable(part: Responses, tally: _Tally, at: np.ndarray) -> list[Finding]:
    """Rows and items whose maximum likelihood estimates are infinite although they vary.

    An arrow from a model to each item it got right and from each item to the models that got it wrong: estimates of
    the additive model are finite exactly if every place can be reached from every other (Fischer 1981, theorem 1).
    """
    row, item = np.nonzero(part.seen)
    score = part.scores[row, item]
    n, k = len(part.rows), len(part.items)
    right, wrong = score > 0, score < 1
    tail = np.concatenate([row[right], n + item[wrong]])
    head = np.concatenate([n + item[right], row[wrong]])
    graph = sparse.coo_matrix((np.ones(len(tail), bool), (tail, head)), (n + k, n + k))
    label = sparse.csgraph.connected_components(graph, connection="strong")[1]
    parts = _undirected(part)
    main = {np.bincount(label[:n][parts == block]).argmax() for block in range(parts.max() + 1)}
    varies = (tally.row_right[at] > 1e-6) & (tally.row_right[at] < tally.row_asked[at] - 1e-6)
    outside = np.flatnonzero(~np.isin(label[:n], list(main)) & varies)
    if not len(outside):
        return []
    found = f"{len(outside)} of {n} models are separable: answers in one perfect order split them from the others"
    advice = "their distance to the others is set by the prior alone: ask items on which the two sides mix"
    return [_finding("separable models", found, advice, outside, part.rows, len(outside) / n)]


def _undirected(part: Responses) -> np.ndarray:
    return np.zeros(len(part.rows), int) if part.seen[0].all() and part.seen[:, 0].all() else _parts(part)


def _copied(part: Responses, copied: copies.Copies) -> list[Finding]:
    """Near-copies among the models."""
    extra = np.flatnonzero(copied.leader != np.arange(len(part.rows)))
    if not len(extra):
        return []
    n = len(part.rows)
    found = f"{len(extra)} of {n} models are near-copies of another (re-uploads, merges): {copied.distinct} distinct"
    advice = "keep one of each, else they count their answers twice and every standard error is too small"
    share = len(extra) / n / COPIED * FEW
    return [_finding("copies", found, advice, extra, part.rows, share)]


def _informative(whole: Responses | SparseResponses, abilities: float) -> list[Finding]:
    """Models that do not differ by more than chance."""
    if abilities >= RELIABLE:
        return []
    found = f"scores are no more consistent than chance (reliability {abilities:.2f})"
    advice = "add items, or more diverse models"
    return [Finding("nothing in common", "warning", found, advice, len(whole.rows))]


def _enough(whole, asked: str, dims: int, safe: str, distinct: int, worth: float) -> list[Finding]:
    """Too few models or items for what is asked."""
    out, models = [], len(whole.rows)
    those = _models(models, distinct)
    if distinct < FEWEST:
        found = f"{those} cannot be calibrated"
        out.append(Finding(FEW_MODELS, "warning", found, f"at least {FEWEST} are needed", models))
    elif safe != asked:
        found = f"{_taught(asked)} of a {_title(asked)} model are not identifiable from {those} "
        found += f"(reliability of the median item {max(worth, 0):.2f}); a {_title(safe)} model is"
        out.append(Finding(FEW_MODELS, "warning", found, f"fit {_title(safe)}, or add models", models))
    elif worth < ENOUGH:
        found = f"difficulties are not identifiable from {those} (reliability of the median item {max(worth, 0):.2f})"
        out.append(Finding(FEW_MODELS, "warning", found, "add models", models))
    if len(whole.items) < 2 * dims + 1:
        found = f"{len(whole.items)} items cannot identify {dims} abilit{'y' if dims == 1 else 'ies'}"
        advice = f"at least {2 * dims + 1} are needed: add items, or fit fewer abilities"
        out.append(Finding("too few items", "warning", found, advice, len(whole.items)))
    return out


def _taught(model: str) -> str:
    """What the richest parameters of a model are called."""
    return {"2pl": "discriminations", "3pl": "guessing floors", "4pl": "ceilings"}.get(model, "difficulties")


def _title(model: str) -> str:
    """A model as a sentence names it."""
    return "Rasch" if CURVES[model].shared_slope else model.upper()


def _finding(name: str, found: str, advice: str, which: np.ndarray, names: tuple[str, ...], share: float) -> Finding:
    """A note, or a warning if more than `FEW` are concerned."""
    return Finding(name, "warning" if share > FEW else "note", found, advice, len(which), _names(which, names))


def _names(which: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(names[i] for i in which[:NAMED])
