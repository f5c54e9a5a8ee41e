"""Preference losses: against programs for optimal transport, limits in closed form, and exact accumulation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import optimize, stats

from lleval_jax.core import transport
from lleval_jax.errors import BadInput
from lleval_jax.training import losses
from lleval_jax.training.losses import AOT, DPO, IPO, KTO, Sides

SMOOTH = ("logistic", "squared_hinge", "least_squares")
FALSE_ALARM = 1e-6
pull = jax.jit(losses.pull, static_argnums=0)
value_of = jax.jit(lambda loss, *sides: loss.value(*sides), static_argnums=0)


@pytest.fixture(autouse=True)
def exact():
    """float64, so that equality with other programs is to their rounding."""
    with jax.enable_x64(True):
        yield


def draws(n: int, seed: int = 0, scale: float = 3.0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(0, scale, n))


def batch(n: int, m: int | None = None, seed: int = 0) -> tuple[Sides, Sides, Sides]:
    """Log-probabilities of a policy and a reference, and equal weights."""
    m = n if m is None else m
    policy, reference = (Sides(draws(n, seed + k), draws(m, seed + k + 1) - 1) for k in (0, 10))
    return policy, reference, Sides(jnp.ones(n), jnp.ones(m))


def cost(u: np.ndarray, v: np.ndarray, loss: AOT) -> np.ndarray:
    """(n, m) h(u_i - v_j)."""
    gap = np.asarray(u)[:, None] - np.asarray(v)[None]
    return np.asarray(losses.PENALTIES[loss.penalty](jnp.asarray(gap), loss.beta))


def unpaired(u: jax.Array, v: jax.Array, loss: AOT) -> float:
    zero = Sides(jnp.zeros(len(u)), jnp.zeros(len(v)))
    return float(value_of(loss, Sides(u, v), zero, Sides(jnp.ones(len(u)), jnp.ones(len(v)))))


@pytest.mark.parametrize("penalty", SMOOTH)
@pytest.mark.parametrize("n", [5, 33])
def test_the_sorted_loss_is_the_optimal_assignment(penalty: str, n: int) -> None:
    u, v, loss = draws(n), draws(n, 1), AOT(beta=0.3, penalty=penalty)
    table = cost(u, v, loss)
    row, column = optimize.linear_sum_assignment(table)
    np.testing.assert_allclose(unpaired(u, v, loss), table[row, column].mean(), rtol=1e-12)


@pytest.mark.parametrize("penalty", SMOOTH)
@pytest.mark.parametrize(("n", "m"), [(5, 5), (7, 4), (3, 11), (1, 6)])
def test_samples_of_any_sizes_are_as_by_linear_programming(penalty: str, n: int, m: int) -> None:
    ot = pytest.importorskip("ot", reason="POT is in the extra `train`")
    u, v, loss = draws(n, 2), draws(m, 3), AOT(beta=0.3, penalty=penalty)
    told = ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), cost(u, v, loss))
    np.testing.assert_allclose(unpaired(u, v, loss), told, rtol=1e-10)


def test_without_a_margin_least_squares_is_the_squared_wasserstein_distance() -> None:
    ot = pytest.importorskip("ot", reason="POT is in the extra `train`")
    u, v = draws(40), draws(40, 1)
    told = ot.emd2_1d(np.asarray(u), np.asarray(v), metric="sqeuclidean")
    np.testing.assert_allclose(unpaired(u, v, AOT(beta=0.0, penalty="least_squares")), told, rtol=1e-12)
    beta = 0.7
    shifted = told - 2 * beta * float(u.mean() - v.mean()) + beta**2
    np.testing.assert_allclose(unpaired(u, v, AOT(beta=beta, penalty="least_squares")), shifted, rtol=1e-12)


@pytest.mark.parametrize("penalty", SMOOTH)
@pytest.mark.parametrize("sort", ["hard", "soft"])
def test_the_gradient_keeps_the_order_and_is_that_of_differences(penalty: str, sort: str) -> None:
    policy, reference, weights = batch(9)
    loss = AOT(beta=0.3, penalty=penalty, sort=sort)
    _, found = pull(loss, policy, reference, weights)
    flat, back = ravel_pytree(policy)
    step = 1e-6
    moved = flat + step * np.concatenate([np.eye(len(flat)), -np.eye(len(flat))])
    ahead, behind = jnp.split(jax.vmap(lambda one: loss.value(back(one), reference, weights))(moved), 2)
    np.testing.assert_allclose(ravel_pytree(found)[0], (ahead - behind) / (2 * step), atol=1e-8)
    u, v = loss.samples(policy, reference)
    slope = jax.vmap(jax.grad(lambda gap: losses.PENALTIES[penalty](gap, 0.3)))(jnp.sort(u) - jnp.sort(v)) / 9
    if sort == "hard":
        np.testing.assert_allclose(found.chosen[jnp.argsort(u)], slope, atol=1e-16)


@pytest.mark.parametrize("beta", [0.01, 0.5])
def test_where_the_policy_is_the_reference_the_loss_is_log_two_and_learns_as_dpo(beta: float) -> None:
    policy, _, weights = batch(8)
    value, found = pull(AOT(beta=beta), policy, policy, weights)
    np.testing.assert_allclose(value, np.log(2), rtol=1e-15)
    np.testing.assert_allclose(found.chosen, -beta / 16, rtol=1e-14)
    dpo = pull(DPO(beta=beta), policy, policy, weights)[1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-14), found, dpo)


def test_one_answer_a_side_or_equal_reference_margins_make_dpo() -> None:
    policy, reference, weights = batch(1)
    np.testing.assert_allclose(
        AOT(beta=0.2).value(policy, reference, weights), DPO(beta=0.2).value(policy, reference, weights), rtol=1e-15
    )
    policy, reference, weights = batch(12)
    level = Sides(reference.chosen, reference.chosen - 1.5)
    told = DPO(beta=0.2).value(policy, level, weights)
    np.testing.assert_allclose(AOT(beta=0.2, paired=True).value(policy, level, weights), told, rtol=1e-14)


@pytest.mark.parametrize("penalty", SMOOTH)
def test_no_pairing_costs_less_than_the_sorted_one(penalty: str) -> None:
    for seed in range(50):
        u, v, loss = draws(6, seed), draws(6, seed + 100), AOT(beta=0.4, penalty=penalty)
        assert unpaired(u, v, loss) <= np.diag(cost(u, v, loss)).mean() + 1e-12


def test_four_answers_are_as_by_all_permutations() -> None:
    u, v, loss = draws(4), draws(4, 5), AOT(beta=0.4)
    table = cost(u, v, loss)
    least = min(table[range(4), list(order)].mean() for order in itertools.permutations(range(4)))
    np.testing.assert_allclose(unpaired(u, v, loss), least, rtol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("paired", [False, True])
def test_as_the_formulas_of_trl(paired: bool, smoothing: float) -> None:
    """TRL 1.10, `loss_type="aot"` (paired) and "aot_unpaired", typed again."""
    policy, reference, weights = batch(16)
    if paired:
        u, v = np.sort(policy.chosen - policy.rejected), np.sort(reference.chosen - reference.rejected)
    else:
        u, v = np.sort(policy.chosen - reference.chosen), np.sort(policy.rejected - reference.rejected)
    sure = lambda x: -np.log1p(np.exp(-x))  # noqa: E731  log sigmoid
    told = np.mean(-(1 - smoothing) * sure(0.1 * (u - v)) - smoothing * sure(-0.1 * (u - v)))
    loss = AOT(beta=0.1, paired=paired, smoothing=smoothing)
    np.testing.assert_allclose(loss.value(policy, reference, weights), told, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 30])
@pytest.mark.parametrize("softness", [0.05, 0.5, 5.0])
def test_the_soft_sort_is_the_projection_onto_the_permutahedron(n: int, softness: float) -> None:
    value = draws(n, n)
    rung = np.arange(1, n + 1) / softness
    told = rung - optimize.isotonic_regression(rung - np.sort(value)).x
    np.testing.assert_allclose(transport.soft_sort(value, softness), told, atol=1e-10)
    np.testing.assert_allclose(told.sum(), value.sum(), atol=1e-9)


@pytest.mark.parametrize("softness", [1e-3, 0.1])
def test_the_soft_sort_is_the_hard_one_where_neighbours_are_near(softness: float) -> None:
    value = draws(20, 3, scale=1.0)
    assert np.diff(np.sort(value)).max() < 1 / softness
    soft, hard = transport.soft_sort(value, softness), jnp.sort(value)
    np.testing.assert_array_equal(soft, hard)
    jacobians = (jax.jacobian(lambda x: transport.soft_sort(x, softness))(value), jax.jacobian(jnp.sort)(value))
    np.testing.assert_array_equal(*jacobians)


def padded(sides: Sides, fill: float) -> Sides:
    return jax.tree.map(lambda x: jnp.insert(x, jnp.array([0, 4, 9, 9]), fill), sides)


@pytest.mark.parametrize(
    "loss",
    [
        AOT(),
        AOT(penalty="squared_hinge", beta=0.5),
        AOT(paired=True),
        AOT(sort="soft", softness=2.0),
        AOT(paired=True, sort="soft", softness=2.0),
        DPO(),
        IPO(),
        KTO(),
    ],
    ids=str,
)
def test_what_pads_a_batch_changes_nothing(loss: losses.Loss) -> None:
    policy, reference, weights = batch(9)
    value, found = pull(loss, policy, reference, weights)
    wide = [padded(side, fill) for side, fill in ((policy, -700.0), (reference, 40.0), (weights, 0.0))]
    again, pulled = pull(loss, *wide)
    np.testing.assert_allclose(again, value, rtol=1e-12)
    kept = np.flatnonzero(np.asarray(wide[2].chosen))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[kept], b, rtol=1e-9, atol=1e-14), pulled, found)
    assert not np.delete(np.asarray(pulled.chosen), kept).any()


@pytest.mark.parametrize("loss", [AOT(), AOT(sort="soft", softness=2.0), AOT(paired=True), KTO()], ids=str)
def test_micro_batches_add_up_to_the_whole_batch_exactly(loss: losses.Loss) -> None:
    """With a model: log-probabilities are a function of parameters, and the batch is passed in four pieces."""
    key = jax.random.key(0)
    inputs = Sides(*(jax.random.normal(k, (16, 5)) for k in jax.random.split(key)))
    reference, weights = jax.tree.map(lambda x: 0.1 * x.sum(1), inputs), Sides(jnp.ones(16), jnp.ones(16))
    params = jnp.linspace(-2, 1, 5)

    def sums(params, inputs):
        return jax.tree.map(lambda x: jnp.tanh(x @ params) * 20, inputs)

    whole = jax.grad(lambda p: loss.value(sums(p, inputs), reference, weights))(params)
    derivative = pull(loss, sums(params, inputs), reference, weights)[1]

    def weighted(params, slope, piece):
        return sum(jnp.vdot(w, x) for w, x in zip(slope, sums(params, piece), strict=True))

    pieces = [jax.tree.map(lambda x: x.reshape(4, 4, *x.shape[1:]), tree) for tree in (derivative, inputs)]
    parts = sum(jax.vmap(jax.grad(weighted), (None, 0, 0))(params, *pieces))
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_the_mean_of_small_batches_exceeds_the_loss_of_the_whole() -> None:
    """Sorting inside micro-batches is another loss, the larger the smaller they are (least of all pairings)."""
    u, v = draws(64), draws(64, 1)
    loss = AOT(beta=0.5)
    means = [
        np.mean([unpaired(u[i : i + b], v[i : i + b], loss) for i in range(0, 64, b)]) for b in (1, 2, 4, 8, 16, 32, 64)
    ]
    assert (np.diff(means) < 0).all()


@pytest.mark.slow
def test_the_error_of_the_loss_falls_with_the_root_of_the_batch() -> None:
    """U ~ N(.3, 1), V ~ N(0, 1): the population's loss is h(.3), and the slope of the log error is -1/2."""
    rng = np.random.default_rng(0)
    loss, sizes, worlds = AOT(beta=1.0), np.array([16, 64, 256, 1024]), 400
    value = jax.jit(jax.vmap(lambda u, v: _of(u, v, loss)))
    errors = []
    for n in sizes:
        u, v = jnp.asarray(rng.normal(0.3, 1, (worlds, n))), jnp.asarray(rng.normal(0, 1, (worlds, n)))
        errors.append(np.abs(np.asarray(value(u, v)) - np.log1p(np.exp(-0.3))))
    mean, deviation = np.log([e.mean() for e in errors]), [e.std() / e.mean() / np.sqrt(worlds) for e in errors]
    x = np.log(sizes) - np.log(sizes).mean()
    slope = (x * mean).sum() / (x**2).sum()
    error = np.sqrt(((x * deviation) ** 2).sum()) / (x**2).sum()
    assert (
        abs(slope + 0.5) < stats.norm.isf(FALSE_ALARM / 2) * error + 0.05
    )  # and the bias of finite samples, of order 1/n


def _of(u: jax.Array, v: jax.Array, loss: AOT) -> jax.Array:
    zero = Sides(jnp.zeros(u.shape), jnp.zeros(v.shape))
    return loss.value(Sides(u, v), zero, Sides(jnp.ones(u.shape), jnp.ones(v.shape)))


def test_dominance_is_as_counted() -> None:
    u, v = jnp.array([1.0, 2.0, 5.0, 0.0]), jnp.array([0.5, 3.0, 1.5, 1.0])
    found = losses.dominance(u, v)
    gap = np.sort(u) - np.sort(v)
    np.testing.assert_allclose(found.violated, np.mean(gap < 0))
    np.testing.assert_allclose(found.area, np.maximum(-gap, 0).mean())
    np.testing.assert_allclose(found.margin, float(u.mean() - v.mean()))
    np.testing.assert_allclose(found.distance, stats.wasserstein_distance(np.asarray(u), np.asarray(v)))


def test_float32_is_near_float64() -> None:
    policy, reference, weights = batch(256)
    told = pull(AOT(beta=0.01), policy, reference, weights)
    with jax.enable_x64(False):
        single = jax.tree.map(lambda x: np.asarray(x, np.float32), (policy, reference, weights))
        found = pull(AOT(beta=0.01), *jax.tree.map(jnp.asarray, single))
    np.testing.assert_allclose(found[0], told[0], rtol=1e-6)
    np.testing.assert_allclose(found[1].chosen, told[1].chosen, rtol=1e-5)


def test_pairs_of_unequal_numbers_and_unknown_words_are_refused() -> None:
    policy, reference, weights = batch(4, 3)
    with pytest.raises(BadInput, match="pairs need as many chosen as rejected answers; there are 4 and 3"):
        DPO().value(policy, reference, weights)
    with pytest.raises(BadInput, match="penalty is 'cubic'; it is one of logistic, "):
        AOT(penalty="cubic")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="smoothing goes with the logistic penalty, not 'hinge'"):
        AOT(penalty="hinge", smoothing=0.1)
    with pytest.raises(BadInput, match="a soft sort needs samples of one size, not 4 and 3"):
        AOT(sort="soft").value(policy, reference, weights)
