"""Scaling laws through latent skills (Sloth, Maia Polo et al. 2024, arXiv 2412.06540, eqs. 3.1 to 3.3).

    skills of model m    theta_m = slope' x_m + family_f(m)
    its score on j       mu_mj   = floor_j + (1 - floor_j) logistic(h_j(loading_j' theta_m + shift_j))

x are functions of size and training tokens, h_j is the identity or an increasing function that is learned. All
unknowns have normal priors in the units of standardised inputs, so the best law hardly depends on where the search
starts: pooling what families share is what predicts (fits without it err by a fifth more). Float64: call inside
`jax.enable_x64(True)`.
"""

import dataclasses
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from scipy.special import k1e

from lleval_jax.core.precision import full_precision
from lleval_jax.core.solvers.loop import advance, begin
from lleval_jax.core.solvers.marquardt import Local, Marquardt
from lleval_jax.types import Array, Float

KNOTS = (-2.0, 0.0, 2.0)  # of the learned link, in logits
PRODUCT = 0.1  # prior sd of the slope of log size x log tokens, where that of each alone is 1
LEAST_FLOOR = 0.01  # where the search for a learned floor starts at least


class Table(NamedTuple):
    """What is known of some models.

    inputs     (rows, k)            functions of size and tokens, standardised; `inputs`
    intercept  (rows, families)     one-hot family, or a column of ones for an intercept that all share
    scores     (rows, benchmarks)   in [0, 1]
    seen       (rows, benchmarks)   weight of each cell: 1, or 0 where the score is missing or held out
    chance     (benchmarks,)        score of a guess
    items      (benchmarks,)        questions of each benchmark; only the binomial loss needs them
    """

    inputs: Array
    intercept: Array
    scores: Array
    seen: Array
    chance: Array
    items: Array


class Law(NamedTuple):
    """A scaling law.

    slope    (k, skills)            of skills in the inputs (paper: beta)
    family   (families, skills)     intercepts (alpha)
    loading  (benchmarks, skills)   (Lambda)
    shift    (benchmarks,)          (b)
    floor    (benchmarks,)          lower asymptote, in logits (gamma)
    bend     (benchmarks, knots)    log slope of the link after each knot; no columns for the logistic link
    """

    slope: Array
    family: Array
    loading: Array
    shift: Array
    floor: Array
    bend: Array


@dataclasses.dataclass(frozen=True)
class Form:
    """Settings of a law and of its fit.

    noise   sd of a score around the law, which bounds what one cell can tell
    delta   error beyond which the Huber loss is linear
    spread  prior sds: slopes, families and loadings; shifts; floors (logits); bends of the link
    """

    skills: int = 2
    link: Literal["logistic", "monotone"] = "logistic"
    floors: Literal["fixed", "learned"] = "fixed"
    loss: Literal["huber", "gaussian", "binomial"] = "huber"
    noise: float = 0.1
    delta: float = 0.03
    spread: tuple[float, float, float, float] = (1.0, 10.0, 1.0, 0.5)

    @property
    def knots(self) -> int:
        """Bends of one benchmark's link."""
        return len(KNOTS) if self.link == "monotone" else 0

    @property
    def column_spread(self) -> Array:
        """(width,) prior sds of one benchmark's unknowns: loading, shift, floor if learned, bends."""
        own, shift, floor, bend = self.spread
        floors = [floor] if self.floors == "learned" else []
        return jnp.asarray([own] * self.skills + [shift, *floors] + [bend] * self.knots)


class Fit(NamedTuple):
    """Laws from several starts, their leading axis, and how each search ended.

    weight  (starts,)  share of each start in a prediction: by the height of its mode, that is by the evidence if modes
                       are equally wide
    x       (starts, size)  all unknowns in a row, as `objective` takes them
    """

    law: Law
    weight: Array
    value: Array
    error: Array
    steps: Array
    status: Array
    x: Array


class Normal(NamedTuple):
    """What is not known at a mode, as a normal distribution (Laplace).

    cov       (size, size)  of all unknowns
    evidence  ()            log probability of the scores, less a constant
    """

    cov: Array
    evidence: Array


@full_precision
def inputs(size: Float[Array, " rows"], tokens: Float[Array, " rows"], weight: Float[Array, " rows"]) -> Array:
    """Translog inputs (rows, 3): log tokens, log size, their product, standardised over the rows with weight.

    The logs are centred before they are multiplied, and the product counts for less: it bends what is extrapolated.
    """

    def standard(x: Array) -> Array:
        x = x - weight @ x / jnp.sum(weight)
        return x / jnp.sqrt(weight @ x**2 / jnp.sum(weight))

    a, b = standard(jnp.log(tokens)), standard(jnp.log(size))
    return jnp.stack([a, b, PRODUCT * standard(a * b)], axis=1)


def bent(bend: Float[Array, " knots"], z: Array) -> Array:
    """The learned link before the logistic function: slope 1 below the first knot, exp(bend_k) after knot k.

    Changes of slope are smooth over about one logit. Strictly increasing as all slopes are positive, linear in the
    end, so that nothing but 1 bounds a score; the identity where all bends are zero.
    """
    if not bend.shape[-1]:
        return z
    after = jax.nn.softplus(z - jnp.asarray(KNOTS, z.dtype))
    between = after - jnp.append(after[1:], 0)
    return z + jnp.sum(jnp.expm1(bend) * between)


def _score(form: Form, free: Array, floor: Array) -> Array:
    """Score of a cell from its logit, then the floor's move if it is learned, then the bends of the link."""
    learned = form.floors == "learned"
    low = jax.nn.sigmoid(floor + free[1] if learned else floor)
    return low + (1 - low) * jax.nn.sigmoid(bent(free[1 + learned :], free[0]))


def _chance(form: Form, table: Table) -> Array:
    """(benchmarks,) logits of the floors, or of where learned floors start."""
    least = LEAST_FLOOR if form.floors == "learned" else 0.0
    return jax.scipy.special.logit(jnp.maximum(table.chance, least))


def predict(form: Form, law: Law, inputs: Float[Array, "rows k"], intercept: Float[Array, "rows families"]) -> Array:
    """Scores (rows, benchmarks) by one law."""
    logit = (inputs @ law.slope + intercept @ law.family) @ law.loading.T + law.shift[None]
    low = jax.nn.sigmoid(law.floor)[None]
    link = jax.vmap(jax.vmap(bent), (None, 0))
    return low + (1 - low) * jax.nn.sigmoid(link(law.bend, logit))


@full_precision
def scores(form: Form, fit: Fit, inputs: Float[Array, "rows k"], intercept: Float[Array, "rows families"]) -> Array:
    """Scores (rows, benchmarks): the mean over starts by their share of the evidence."""
    each = jax.vmap(lambda law: predict(form, law, inputs, intercept))(fit.law)
    return jnp.tensordot(fit.weight, each, 1)


def start(form: Form, table: Table, key: Array) -> Array:
    """Random unknowns (size,) in a row, with shifts that give each benchmark's mean score."""
    count, width = table.inputs.shape[1] + table.intercept.shape[1], len(form.column_spread)
    benchmarks, skills, dtype = table.scores.shape[1], form.skills, table.scores.dtype
    mean = jnp.sum(table.seen * table.scores, 0) / jnp.maximum(jnp.sum(table.seen, 0), 1)
    above = jnp.clip((mean - table.chance) / (1 - table.chance), 0.02, 0.98)
    draw = 0.3 * jax.random.normal(key, (count * skills + benchmarks * width,), dtype)
    columns = draw[count * skills :].reshape(benchmarks, width)
    columns = columns.at[:, :skills].set(jnp.abs(columns[:, :skills]) + 0.2)
    columns = columns.at[:, skills:].set(0).at[:, skills].set(jax.scipy.special.logit(above))
    return jnp.concatenate([draw[: count * skills], columns.ravel()])


def loss(form: Form, score: Array, answer: Array, items: Array) -> Array:
    """Minus log likelihood of one cell.

    Huber's loss is the smooth one, delta^2 (sqrt(1 + (e / delta)^2) - 1) (Charbonnier et al. 1994): a second
    derivative everywhere. With noise a benchmark of n items counts in the binomial like one of 1 / (1/n + 4 noise^2).
    """
    if form.loss == "binomial":
        inside = jnp.clip(score, 1e-6, 1 - 1e-6)
        count = 1 / (1 / items + 4 * form.noise**2)
        return -count * (answer * jnp.log(inside) + (1 - answer) * jnp.log1p(-inside))
    gap = score - answer
    if form.loss == "gaussian":
        return 0.5 * (gap / form.noise) ** 2
    return (form.delta / form.noise) ** 2 * (jnp.sqrt(1 + (gap / form.delta) ** 2) - 1)


@full_precision
def log_joint(law: Law, table: Table, *, form: Form) -> Array:
    """Log joint density of scores and law.

        y_mj | law ~ loss density about floor_j + (1 - floor_j) sigmoid(h_j(loading_j . theta_m + shift_j))
        theta_m = slope' x_m + family_f(m);   slope, family, loading, shift, bend ~ N(0, form.spread^2)
        floor ~ N(logit of chance, form.spread^2) where it is learned

    The loss density is normal with sd `form.noise`, hyperbolic (exp of minus Huber's smooth loss), or the binomial
    quasi-likelihood, which has no constant. A cell counts `seen` times.
    """
    own, shift, low, bend = form.spread
    score = predict(form, law, table.inputs, table.intercept)
    cells = -table.seen * (loss(form, score, table.scores, table.items[None]) + _loss_constant(form))
    parts = [(law.slope, own), (law.family, own), (law.loading, own), (law.shift, shift), (law.bend, bend)]
    parts += [(law.floor - _chance(form, table), low)] if form.floors == "learned" else []
    return jnp.sum(cells) + sum((jnp.sum(norm.logpdf(x, 0.0, sd)) for x, sd in parts), start=jnp.zeros((), score.dtype))


def _loss_constant(form: Form) -> float:
    """Log integral of exp(-loss) over all scores."""
    sharp = (form.delta / form.noise) ** 2
    huber = math.log(2 * form.delta * float(k1e(sharp)))  # a modified Bessel function, times exp(sharp)
    return {"huber": huber, "gaussian": math.log(form.noise * math.sqrt(2 * math.pi)), "binomial": 0.0}[form.loss]


def _precision(form: Form, table: Table) -> Array:
    """(size,) of the priors."""
    sd = form.column_spread.astype(table.scores.dtype)
    size = (table.inputs.shape[1] + table.intercept.shape[1]) * form.skills
    own = jnp.full(size, form.spread[0] ** -2, sd.dtype)
    return jnp.concatenate([own, jnp.tile(sd**-2, table.scores.shape[1])])


def objective(form: Form, table: Table):
    """Minus log posterior as a function of all unknowns in a row, with its gradient and Hessian.

    The row is slopes and families (k + families, skills), then the columns (benchmarks, width). A cell depends on its
    row's skills and its benchmark's column only, so its own small Hessian by automatic differentiation is all that is
    needed; the rest is sums of products with the design.
    """
    design = jnp.concatenate([table.inputs, table.intercept], axis=1)
    floor, (rows, count), width = _chance(form, table), design.shape, len(form.column_spread)
    benchmarks, skills = table.scores.shape[1], form.skills
    size = count * skills
    precision = _precision(form, table)

    def cell(theta: Array, column: Array, floor: Array, answer: Array, seen: Array, items: Array):
        """Value, gradient and Hessian in (theta, column), through the logit: theta meets the column nowhere else."""
        loading, extra = column[:skills], column[skills + 1 :]
        logit = (loading @ theta + column[skills])[None]

        def value(free: Array) -> Array:
            return seen * loss(form, _score(form, free, floor), answer, items)

        free = jnp.concatenate([logit, extra])
        low, slope = jax.value_and_grad(value)(free)
        bow = jax.hessian(value)(free)
        line = jnp.concatenate([loading, theta, jnp.ones_like(logit)])  # d logit / d (theta, loading, shift)
        corner = bow[0, 0] * line[:, None] * line[None, :] + slope[0] * meet
        side = line[:, None] * bow[0, 1:][None, :]
        return low, jnp.concatenate([slope[0] * line, slope[1:]]), jnp.block([[corner, side], [side.T, bow[1:, 1:]]])

    over_rows = jax.vmap(jax.vmap(cell, (None, 0, 0, 0, 0, 0)), (0, None, None, 0, 0, None))
    meet = jnp.eye(2 * skills + 1, k=skills, dtype=design.dtype).at[:, -1].set(0)
    meet = meet + meet.T  # d^2 logit / d (theta, loading, shift)^2

    @full_precision
    def local(x: Array) -> Local:
        theta, columns = design @ x[:size].reshape(count, skills), x[size:].reshape(benchmarks, width)
        value, slope, bow = over_rows(theta, columns, floor, table.scores, table.seen, table.items)
        gradient = [(design.T @ slope[:, :, :skills].sum(1)).ravel(), slope[:, :, skills:].sum(0).ravel()]
        own = bow[:, :, :skills, :skills].sum(1)
        upper = jnp.einsum("mu,mvst->usvt", design, design[:, :, None, None] * own[:, None])
        cross = jnp.swapaxes(bow[:, :, :skills, skills:], 1, 2).reshape(rows, -1)
        cross = (design.T @ cross).reshape(size, -1)
        lower = bow[:, :, skills:, skills:].sum(0)[:, :, None, :] * jnp.eye(benchmarks, dtype=x.dtype)[:, None, :, None]
        lower = lower.reshape(benchmarks * width, -1)
        hessian = jnp.block([[upper.reshape(size, size), cross], [cross.T, lower]])
        return Local(
            jnp.sum(value) + 0.5 * precision @ x**2,
            jnp.concatenate(gradient) + precision * x,
            hessian + jnp.diag(precision),
        )

    return local


def unpack(form: Form, table: Table, x: Array) -> Law:
    """The law whose unknowns are the row x (size,)."""
    k, skills, width = table.inputs.shape[1], form.skills, len(form.column_spread)
    size = (k + table.intercept.shape[1]) * skills
    coefficients, columns = x[:size].reshape(-1, skills), x[size:].reshape(-1, width)
    floor, bends = _chance(form, table), width - form.knots
    floor = floor + columns[:, skills + 1] if form.floors == "learned" else floor
    return Law(coefficients[:k], coefficients[k:], columns[:, :skills], columns[:, skills], floor, columns[:, bends:])


@full_precision
def fit(form: Form, table: Table, key: Array, *, starts: int = 8, tol: float = 1e-3, max_steps: int = 100) -> Fit:
    """Posterior modes from random starts, and the share of each. The training error alone decides nothing."""
    fn = objective(form, table)

    def one(key: Array) -> tuple[Array, ...]:
        first = begin(Marquardt(), fn, start(form, table, key))
        end = advance(Marquardt(), fn, first, tol=tol, at_most=max_steps, max_steps=max_steps)
        now = end.now
        return now.x, now.value, now.error, end.steps, end.status

    x, value, error, steps, status = jax.vmap(one)(jax.random.split(key, starts))
    laws = jax.vmap(lambda x: unpack(form, table, x))(x)
    return Fit(laws, jax.nn.softmax(-value), value, error, steps, status, x)


def laplace(form: Form, table: Table, x: Array) -> Normal:
    """The posterior near the mode x (size,).

    Skills can be rotated and nothing else changes: `turns`, directions without curvature, get one so that the inverse
    exists. No score depends on them, and the evidence counts the length of the orbit instead. No direction is held to
    be less known than the widest prior has it.
    """
    local = objective(form, table)(x)
    turns = _turns(form, table, x)
    values, axes = jnp.linalg.eigh(local.curvature + turns @ turns.T)
    values = jnp.maximum(values, max(form.spread) ** -2)
    orbit = jnp.maximum(jnp.linalg.eigvalsh(turns.T @ turns), 1)  # skills that are all zero: a point
    cov = (axes / values[None]) @ axes.T
    return Normal(cov, -local.value - 0.5 * jnp.sum(jnp.log(values)) + jnp.sum(jnp.log(orbit)))


def _turns(form: Form, table: Table, x: Array) -> Array:
    """(size, pairs of skills): how x moves when the skills begin to rotate."""
    width, skills = len(form.column_spread), form.skills
    size = (table.inputs.shape[1] + table.intercept.shape[1]) * skills
    pairs = [(a, b) for a in range(skills) for b in range(a)]
    if not pairs:
        return jnp.zeros((len(x), 0), x.dtype)

    def turned(block: Array, a: int, b: int) -> Array:
        return jnp.zeros_like(block).at[:, b].set(block[:, a]).at[:, a].set(-block[:, b]).ravel()

    upper, lower = x[:size].reshape(-1, skills), x[size:].reshape(-1, width)
    return jnp.stack([jnp.concatenate([turned(upper, a, b), turned(lower, a, b)]) for a, b in pairs], axis=1)


def latent(form: Form, table: Table, x: Array, design: Float[Array, " effects"]) -> Float[Array, "benchmarks 2"]:
    """Logit h_j above the floor, and logit of the floor, of a model with this row of inputs and intercepts."""
    law = unpack(form, table, x)
    theta = design @ jnp.concatenate([law.slope, law.family])
    return jnp.stack([jax.vmap(bent)(law.bend, law.loading @ theta + law.shift), law.floor], axis=1)


def foreseen(form: Form, table: Table, x: Array, cov: Array, design: Array) -> tuple[Array, Array]:
    """`latent` at the mode x (benchmarks, 2), and its covariance (benchmarks, 2, 2) by the delta method."""
    slope = jax.jacrev(latent, 2)(form, table, x, design)
    return latent(form, table, x, design), jnp.einsum("jau,uv,jbv->jab", slope, cov, slope)


def sandwich(form: Form, table: Table, x: Array, cov: Array) -> tuple[Array, Array, Array]:
    """Covariance of the unknowns by the noise that is found, and that noise.

    `Form.noise` bounds what one cell can tell and is larger than what scores vary by, so the posterior `cov` is too
    wide. The error of its mode is H^-1 (prior precision + variance of the data's gradient) H^-1, which is H^-1 where
    the noise is as assumed. Cells of a benchmark have one noise.

    Returns:
        The covariance (size, size); the spread of scores around the law (benchmarks,): root mean square of residuals,
        over the number of cells less the unknowns they pay for; that difference (benchmarks,), at least 1.
    """
    design = jnp.concatenate([table.inputs, table.intercept], axis=1)

    def scores(x: Array, row: Array) -> Array:
        logit, floor = latent(form, table, x, row).T
        low = jax.nn.sigmoid(floor)
        return low + (1 - low) * jax.nn.sigmoid(logit)

    score = jax.vmap(scores, (None, 0))(x, design)
    slope = jax.lax.map(lambda row: jax.jacrev(scores)(x, row), design)  # (rows, benchmarks, size)
    over = jax.vmap(jax.vmap(jax.value_and_grad(jax.grad(loss, 1), 1), (None, 0, 0, 0)), (None, 0, 0, None))
    pull, bow = over(form, score, table.scores, table.items)
    own = jnp.einsum("mju,uv,mjv->mj", slope, cov, slope)
    free = jnp.maximum(jnp.sum(table.seen * (1 - bow * own), 0), 1)
    noise = jnp.sqrt(jnp.sum(table.seen * (table.scores - score) ** 2, 0) / free)
    known = table.seen * (jnp.sum(table.seen * pull**2, 0) / free)[None]
    slope = slope.reshape(-1, len(x))
    middle = jnp.diag(_precision(form, table)) + slope.T @ (known.reshape(-1, 1) * slope)
    return cov @ middle @ cov, noise, free
