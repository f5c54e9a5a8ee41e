"""A fit examined item by item: wrong keys, negative slopes, curves that do not fit, differences between families.

All tests look at an answer given the model's *other* answers (`residuals`), so that they hold for short tests too.

Shape of the curve: the efficient score test of adding the Legendre polynomials P_2(u) and P_3(u), u = 2 Phi(m) - 1, to
the log-odds, m the standardised place of the model; nuisance are intercept and slope. Being bounded, they keep single
answers far from the middle from deciding. A kin of S-X2 (Orlando & Thissen 2000) without score groups (Glas 1999):

    S_k = sum_r (x_r - p_r) h_k(m_r),   T = S' [I_22 - I_21 I_11^-1 I_12]^-1 S ~ chi^2_2

Families (differential functioning): the same test of adding an indicator of the family (the score test of logistic
regression; Swaminathan & Rogers 1990); its one-step estimate is the shift in logits. Many tests are made: flags hold
the false discovery rate at `alarm` (Benjamini & Hochberg 1995) and ask for a size that matters too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special, stats

from lleval_jax.errors import require
from lleval_jax.estimators.trust import dependence, keys, residuals
from lleval_jax.estimators.trust.residuals import Chunk
from lleval_jax.renamed import renamed
from lleval_jax.values.params import IrtParams
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses
from lleval_jax.values.trust import FLAGS, Examination, ItemReport

LIKELY = 0.5  # posterior probability from which a key is called likely wrong
BENT = 0.05  # rms change of probability that matters
SHIFT = 0.64  # logits between families that matter: "large" in the classes of Zieky (1993), 1.5 / 2.35
IDLE = 0.2  # of the median slope: an item whose slope is surely below tells models hardly apart
EXPECTED = 5  # least variance of an item's score for its shape to be tested: about 20 models on a middling item
LEAST = 8  # models that a family and its others must have each
POINTS = np.linspace(-4, 4, 81)


@renamed(level="alarm")
def examine(
    fit: FitResult[IrtParams],
    *,
    responses: Responses | SparseResponses,
    family: Mapping[str, str] | None = None,
    distinct: float = 1.0,
    alarm: float = 0.05,
    seed: int = 0,
    tell: Tell = silent,
) -> Examination:
    """Everything that the answers say against a fit.

    Args:
        fit: of these answers.
        responses: the answers.
        family: model -> its family; models without one are not compared. See `families`.
        distinct: share of the models that are no copies of others (`Guard.distinct / Guard.models`); copies make
            every test count answers twice, and this takes it back.
        alarm: false discovery rate of the flags.
        seed: of the random halves, and of the items compared pair by pair where there are many.
        tell: called with the items examined, of how many.

    Raises:
        BadInput: answers that are not those of the fit.
    """
    require(0 < distinct <= 1, f"distinct is {distinct}; it is a share in (0, 1]")
    here = residuals.aligned(fit, responses)
    names, member = _members(fit.rows, family)
    parts, done = [], 0
    for chunk in residuals.chunks(fit, here):
        tell(Progress("examining the items", done, len(here.items), unit="items"))
        parts.append(_one(chunk, member, distinct))
        done += len(chunk.items)
    tell(Progress("comparing items pair by pair"))
    lines = keys.Lines(*(np.concatenate([p[k] for p in parts]) for k in (0, 1)))
    misfit, bent, z, shift, right, asked = (np.concatenate([p[k] for p in parts]) for k in range(2, 8))
    wrong = keys.flipped(right * distinct, asked * distinct)
    depend = dependence.measure(fit, here, distinct=distinct, alarm=alarm, seed=seed)
    report = _report(fit, here, lines, wrong, misfit, bent, z, shift, names, depend, alarm)
    return Examination(
        items=report,
        dependence=depend,
        reliability=_reliability(fit),
        split_half=split_half(here, seed),
        scale=POINTS,
        information=_information(fit),
    )


def families(rows: Sequence[str]) -> dict[str, str]:
    """Model -> family by its name: what stands before "/", else the first word ("Qwen2-7B" -> "qwen2")."""
    out = {}
    for row in rows:
        word = row.split("/")[0] if "/" in row else row.replace("_", "-").replace(" ", "-").split("-")[0]
        out[row] = word.lower()
    return out


def shape(chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
    """Score statistic for the shape of each curve, chi^2 with 2 degrees of freedom, and the rms change it asks for."""
    w, v, gap = chunk.weight > 0, chunk.variance, chunk.residual
    count = np.maximum(w.sum(0), 1)
    m = chunk.place - (chunk.place * w).sum(0) / count
    m = m / np.sqrt(np.maximum((m**2 * w).sum(0) / count, 1e-9))
    m = np.clip(m, -4, 4)
    u = 2 * special.ndtr(m) - 1
    power = [np.ones_like(m), m, 1.5 * u**2 - 0.5, 2.5 * u**3 - 1.5 * u]
    info = np.array([[(v * power[i] * power[j]).sum(0, dtype=float) for j in range(4)] for i in range(4)]).T
    score = np.stack([(gap * h).sum(0, dtype=float) for h in power], 1)
    step, statistic = _efficient(info, score, 2)
    change = sum(step[:, k] * _partial(info, power, 2 + k) for k in range(2)) * v
    return statistic, np.sqrt((change**2 * w).sum(0) / count)


def between(chunk: Chunk, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score z and shift in logits of each item for each family, (items, families) twice; member (rows, families).

    The shift is the one-step estimate with a prior N(0, 1).
    """
    v, gap = chunk.variance, chunk.residual
    m = np.clip(chunk.place - chunk.place.mean(0), -8, 8)
    rated = np.asarray(member > 0).any(1, keepdims=True).astype(np.float32)  # rows without a family are not compared
    v, gap = v * rated, gap * rated
    nuisance = np.stack([v.sum(0), (v * m).sum(0), (v * m).sum(0), (v * m * m).sum(0)], 1).reshape(-1, 2, 2)
    inverse = np.linalg.inv(nuisance.astype(float) + 1e-6 * np.eye(2))
    own, other = np.stack([gap.sum(0), (gap * m).sum(0)], 1), np.stack([v.T @ member, (v * m).T @ member], 2)
    lift = np.einsum("ifk,ikl->ifl", other, inverse)
    score = gap.T @ member - np.einsum("ifk,ik->if", lift, own)
    info = v.T @ member - np.einsum("ifk,ifk->if", lift, other)
    seen = (chunk.weight > 0).astype(np.float32).T
    here, there = seen @ member, seen @ (rated - member)
    told = (here >= LEAST) & (there >= LEAST) & (info > 0.5)
    z = np.where(told, score / np.sqrt(np.maximum(info, 1e-9)), 0)
    return z, np.where(told, score / (info + 1), 0)


def split_half(here: Responses, seed: int = 0) -> float:
    """Correlation over models of the scores on two random halves of the items, stepped up to the whole."""
    right, asked = here.scores.sum(0), here.seen.sum(0)
    gap = (here.scores - right / np.maximum(asked, 1)) * here.seen
    half = np.random.default_rng(seed).permutation(len(here.items)) % 2 == 0
    sides = [gap[:, s].sum(1) / np.maximum(here.seen[:, s].sum(1), 1) for s in (half, ~half)]
    if min(side.std() for side in sides) < 1e-9:
        return 0.0
    r = float(np.corrcoef(*sides)[0, 1])
    return 2 * r / (1 + r) if r > -0.99 else -1.0


def discoveries(p: np.ndarray, alarm: float) -> np.ndarray:
    """Which p-values count, the false discovery rate held at `alarm` (Benjamini & Hochberg 1995)."""
    if not p.size:
        return np.zeros(p.shape, bool)
    order = np.sort(p, axis=None)
    low = np.flatnonzero(order <= alarm * np.arange(1, p.size + 1) / p.size)
    return p <= order[low[-1]] if len(low) else np.zeros(p.shape, bool)


def _one(chunk: Chunk, member: np.ndarray, distinct: float) -> tuple[np.ndarray, ...]:
    """Of some items: slopes and covariance, p-value and size of misfit, z and shift of families, answers by ability."""
    statistic, bent = shape(chunk)
    z, shift = between(chunk, member)
    lines = keys.regress(chunk)
    told = distinct * chunk.variance.sum(0) >= EXPECTED
    misfit = np.where(told, stats.chi2.sf(statistic * distinct, 2), 1)
    return lines.mean, lines.cov / distinct, misfit, bent, z * distinct**0.5, shift, *keys.tally(chunk)


def _efficient(info: np.ndarray, score: np.ndarray, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """One-step estimates of the last coordinates with the first `keep` as nuisance, and their chi^2 statistic."""
    width = info.shape[1]
    ridge = 1e-6 * (1 + np.trace(info, axis1=1, axis2=2))[:, None, None] * np.eye(width)
    info = info + ridge
    lift = np.linalg.solve(info[:, :keep, :keep], info[:, :keep, keep:])
    own = score[:, keep:] - np.einsum("ika,ik->ia", lift, score[:, :keep])
    rest = info[:, keep:, keep:] - np.einsum("ika,ikb->iab", lift, info[:, :keep, keep:])
    step = np.linalg.solve(rest, own[:, :, None])[:, :, 0]
    return step, (own * step).sum(1)


def _partial(info: np.ndarray, power: list[np.ndarray], k: int) -> np.ndarray:
    """h_k with what intercept and slope can do taken out."""
    ridge = 1e-6 * (1 + np.trace(info, axis1=1, axis2=2))[:, None, None] * np.eye(2)
    lift = np.linalg.solve(info[:, :2, :2] + ridge, info[:, :2, k, None])[:, :, 0]
    return power[k] - lift[:, 0] - lift[:, 1] * power[1]


def _members(rows: Sequence[str], family: Mapping[str, str] | None) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the families with enough models, and who is in which, (rows, families)."""
    label = np.array(["" if family is None else family.get(row, "") for row in rows])
    names, count = np.unique(label[label != ""], return_counts=True)
    names = names[(count >= LEAST) & (len(label[label != ""]) - count >= LEAST)]
    member = (label[:, None] == names[None, :]).astype(np.float32)
    rest = (label != "") & ~member.any(1)  # small families are the others' others
    if rest.any() and len(names):
        names, member = np.append(names, "other"), np.concatenate([member, rest[:, None].astype(np.float32)], 1)
    return tuple(map(str, names)), member


def _report(fit, here, lines, wrong, misfit, bent, z, shift, names, depend, alarm) -> ItemReport:
    asked, right = here.seen.sum(0), here.scores.sum(0)
    mean = right / np.maximum(asked, 1)
    varies = (asked > 0) & (mean > 1e-6) & (mean < 1 - 1e-6)
    slope, error = lines.mean[:, 0], np.sqrt(lines.cov[:, 0, 0])
    wrong = np.where(varies, wrong, 0)
    below = np.zeros(len(asked), bool)
    below[varies] = discoveries(stats.norm.cdf(slope[varies] / error[varies]), alarm)
    least = IDLE * float(np.median(slope[varies])) if varies.any() else 0.0
    crooked = np.zeros(len(asked), bool)
    crooked[varies] = discoveries(misfit[varies], alarm)
    p = 2 * stats.norm.sf(np.abs(z))
    differs = (discoveries(p, alarm) & (np.abs(shift) > SHIFT)).any(1) if len(names) else np.zeros(len(asked), bool)
    most = np.abs(z).argmax(1) if len(names) else np.zeros(len(asked), int)
    at = np.arange(len(asked))
    twin = {name for pair in depend.pairs for name in pair[:2]}
    marks = {
        "key likely wrong": wrong > LIKELY,
        "negative slope": below & varies,
        "never answered": asked == 0,
        "all right": (asked > 0) & (mean >= 1 - 1e-6),
        "all wrong": (asked > 0) & (mean <= 1e-6),
        "depends on another item": np.array([name in twin for name in fit.items]),
        "differs between families": differs & varies,
        "curve does not fit": crooked & (bent > BENT),
        "low discrimination": varies & (slope + 1.645 * error < least) & ~below & (wrong <= LIKELY),
    }
    return ItemReport(
        items=fit.items,
        flags=tuple(tuple(name for name in FLAGS if marks[name][i]) for i in at),
        answers=asked,
        right=mean,
        slope=slope,
        error=error,
        wrong_key=wrong,
        misfit=np.where(varies, misfit, 1),
        bent=bent,
        family=np.minimum(p[at, most] * max(len(names), 1), 1) if len(names) else np.ones(len(asked)),
        shift=shift[at, most] if len(names) else np.zeros(len(asked)),
        family_name=tuple(names[k] for k in most) if names else ("",) * len(asked),
    )


def _reliability(fit: FitResult[IrtParams]) -> np.ndarray:
    """(dims,) var(posterior mean) / (var(posterior mean) + mean posterior variance)."""
    value = fit.params.ability.var(0)
    return value / np.maximum(value + np.diagonal(fit.params.ability_cov, axis1=1, axis2=2).mean(0), 1e-12)


def _information(fit: FitResult[IrtParams]) -> np.ndarray:
    """(points,) Fisher information of all items along the main direction."""
    return _informations(fit, POINTS[:, None] * residuals.direction(fit)).sum(1)


def information(fit: FitResult[IrtParams]) -> np.ndarray:
    """(items,) Fisher information of one answer to each item about ability, averaged over the models of a fit.

    With several abilities: along the main direction. An item that all or none get right tells next to nothing.
    """
    return _informations(fit, fit.params.ability).mean(0)


def _informations(fit: FitResult[IrtParams], ability: np.ndarray) -> np.ndarray:
    """(abilities, items) along the main direction, at abilities (abilities, dims)."""
    p = fit.params
    bare = special.expit(np.clip(ability @ p.slope.T + p.intercept, -30, 30))
    chance = p.floor + (p.ceiling - p.floor) * bare
    by_z = (p.ceiling - p.floor) * bare * (1 - bare)
    return by_z**2 * (p.slope @ residuals.direction(fit)) ** 2 / np.maximum(chance * (1 - chance), residuals.SAFE)
