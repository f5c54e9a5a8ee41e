"""All methods and all solvers, a line each: what the properties of `test_registry_properties.py` are asked of.

A property that a method cannot have is a sentence in place of the function: why not.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import worlds

import lleval_jax as ll
from bench.sloth import worlds as laws
from lleval_jax.core.solvers.bfgs import BFGS
from lleval_jax.core.solvers.fixed_point import FixedPoint
from lleval_jax.core.solvers.loop import solve
from lleval_jax.core.solvers.marquardt import Local, Marquardt
from lleval_jax.core.solvers.simplex import Quadratic, minimise
from lleval_jax.estimators import contract

Changed = Callable[[Any], Any] | str
Planned = Callable[[Any, ll.Plan], Any] | str


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """A method in a tiny world.

    world     () -> (what is fitted, what is then estimated from)
    fit       what is fitted -> a fit or a bank
    estimate  (fit, what is estimated from) -> Estimate
    shuffled  world -> the same, its rows in another order
    unseen    world -> the same, with an item that nobody has seen
    twice     world -> the same, with what is estimated from twice
    precise   what is fitted -> the fit in float64, where the default is float32
    kernel    True if the fit is a kernel of `estimators.contract`
    planned   what is fitted, a `Plan` -> the fit
    chains    fields of what it finds that are Markov chains: a step that rounding decides sends them another way
    """

    name: str
    world: Callable[[], tuple[Any, Any]]
    fit: Callable[[Any], Any]
    estimate: Callable[[Any, Any], ll.Estimate]
    shuffled: Changed
    unseen: Changed
    twice: Changed
    precise: Changed
    kernel: bool | str
    planned: Planned
    chains: tuple[str, ...] = ()


def answered() -> tuple[ll.Responses, ll.Responses]:
    """Models that calibrate, and new ones that answered the anchors."""
    return worlds.known(), ll.anchors.anchors_only(worlds.new(), bank=worlds.bank())


@functools.cache
def draws() -> ll.Draws:
    """Twelve items drawn from the bank."""
    return ll.guarantee.choose(None, bank=worlds.bank(), k=12).draws


def drawn() -> tuple[ll.Responses, ll.Responses]:
    """Models that calibrate, and new ones that answered what was drawn."""
    new = worlds.new()
    asked = np.isin(new.items, draws().items)
    return worlds.known(), dataclasses.replace(new, seen=new.seen & asked, scores=np.where(asked, new.scores, 0))


def backwards(world):
    """All rows in the opposite order."""
    return tuple(part.take(range(len(part.rows))[::-1]) for part in world)


def new_backwards(world):
    """The rows that are estimated; calibration draws folds by the place of a row."""
    known, new = world
    return known, new.take(range(len(new.rows))[::-1])


def columns_left_out(world):
    """New answers without the columns that nobody saw, which the world has."""
    known, new = world
    return known, new.select([item for item, some in zip(new.items, new.seen.any(0), strict=True) if some])


def weighed_twice(world):
    """Each new answer counts as two."""
    known, new = world
    return known, dataclasses.replace(new, weight=2 * new.weight)


def scales(fit: ll.FitResult) -> ll.ItemBank:
    """A bank of the items alone."""
    return ll.anchors.choose(fit, responses=None, k=None, name="tests")


def board_backwards(world):
    """The models in the opposite order; the last is the first."""
    board, targets = world
    return board.take(range(len(board.models))[::-1]), targets


@functools.cache
def a_law() -> tuple[ll.FitResult, dict[str, float]]:
    """A law made by hand, and a new benchmark's score of the models that it knows."""
    law, skill = laws.law(0)
    law = dataclasses.replace(law, source=ll.Source(cite=ll.sloth.CITE))
    seen = np.flatnonzero(law.params.seen.any(1))
    score = 1 / (1 + np.exp(-skill[:, 0]))
    return law, {law.rows[i]: float(score[i]) for i in seen}


def scores_backwards(world):
    """The models of the new benchmark in the opposite order."""
    (law, scores), targets = world
    return (law, dict(reversed(scores.items()))), targets


def versions_backwards(world):
    """The models of both versions in the opposite order."""
    (first,), second = world
    return (first.take(range(len(first.rows))[::-1]),), second.take(range(len(second.rows))[::-1])


METHODS = (
    Method(
        "irt and ability",
        answered,
        lambda known: scales(ll.irt.fit(known)),
        lambda bank, new: ll.ability.estimate(new, bank=bank),
        shuffled=backwards,
        unseen=columns_left_out,
        twice=weighed_twice,
        precise=lambda known: scales(ll.irt.fit(known, precision="float64")),
        kernel=True,
        planned=lambda known, plan: scales(ll.irt.fit(known, plan=plan)),
    ),
    Method(
        "tiny",
        answered,
        lambda known: worlds.bank(),
        lambda bank, new: ll.tiny.estimate(new, bank=bank),
        shuffled=new_backwards,
        unseen=columns_left_out,
        twice="kriging takes a score as it is, however many answers it is the mean of",
        precise="it is float64 on the host",
        kernel="nothing is iterated on the device but abilities",
        planned="it has no fit of its own",
    ),
    Method(
        "adaptive",
        answered,
        lambda known: worlds.bank(),
        lambda bank, new: ll.adaptive.estimate(new, bank=bank),
        shuffled=new_backwards,
        unseen=columns_left_out,
        twice=weighed_twice,
        precise="its sessions are float32",
        kernel="nothing is fitted",
        planned="nothing is fitted",
    ),
    Method(
        "guarantee",
        drawn,
        lambda known: worlds.bank(),
        lambda bank, new: ll.guarantee.estimate(new, bank=bank, draws=draws()),
        shuffled=new_backwards,
        unseen=columns_left_out,
        twice="the truth is the score of the answers as they are",
        precise="it is float64 on the host",
        kernel="nothing is fitted",
        planned="nothing is fitted",
    ),
    Method(
        "prompts",
        lambda: (worlds.grid(), None),
        lambda grid: ll.prompts.fit(grid),
        lambda fit, _: ll.prompts.estimate(fit),
        shuffled="draws of the posterior are made by the place of a prompt",
        unseen="an example counts in the score, though nobody answered it",
        twice=lambda world: (dataclasses.replace(world[0], weight=4 * world[0].weight), None),
        precise="other numbers are drawn in float64",
        kernel=True,
        planned=lambda grid, plan: ll.prompts.fit(grid, plan=plan),
        chains=("sums",),
    ),
    Method(
        "sloth",
        lambda: (worlds.leaderboard(), [ll.sloth.Target("family-3", 5e9, 2e12)]),
        lambda board: ll.sloth.fit(board, skills=1),
        lambda law, targets: ll.sloth.estimate(law, family=targets),
        shuffled=board_backwards,
        unseen="a benchmark without a score is refused",
        twice="a model stands in a leaderboard once",
        precise="it is float64",
        kernel=True,
        planned=lambda board, plan: ll.sloth.fit(board, skills=1, plan=plan),
    ),
    Method(
        "downstream",
        lambda: (a_law(), laws.targets(a_law()[0])),
        lambda world: ll.downstream.fit(world[0], scores=world[1]),
        lambda fit, targets: ll.downstream.estimate(fit, family=targets),
        shuffled=scores_backwards,
        unseen="it has one benchmark",
        twice="a model has one score",
        precise="it is float64",
        kernel=True,
        planned=lambda world, plan: ll.downstream.fit(world[0], scores=world[1], plan=plan),
    ),
    Method(
        "refresh",
        lambda: (worlds.versions()[:1], worlds.versions()[1]),
        lambda versions: ll.refresh.fit(versions),
        lambda fit, rerun: ll.refresh.estimate(fit, answers=rerun, version="v2"),
        shuffled=versions_backwards,
        unseen="an item of a version counts in its score, though nobody was asked it",
        twice="a version has its items once",
        precise="it is float64",
        kernel=True,
        planned=lambda versions, plan: ll.refresh.fit(versions, plan=plan),
    ),
    Method(
        "pairwise",
        lambda: (worlds.pairs(), None),
        lambda pairs: ll.pairwise.fit(pairs),
        lambda fit, _: ll.pairwise.estimate(fit),
        shuffled=lambda world: (world[0].take(range(len(world[0].models))[::-1]), None),
        unseen="a model that met none has no rating, and is refused",
        twice=lambda world: (dataclasses.replace(world[0], counts=2 * world[0].counts), None),
        precise="it is float64",
        kernel=True,
        planned=lambda pairs, plan: ll.pairwise.fit(pairs, plan=plan),
    ),
    Method(
        "pepr",
        lambda: (worlds.logprobs(), None),
        lambda table: ll.pepr.fit(table, draws=1000),
        lambda fit, _: ll.pepr.estimate(fit),
        shuffled=lambda world: (world[0].iloc[::-1].reset_index(drop=True), None),
        unseen="an element that nothing was scored under is no element",
        twice=lambda world: (worlds.copied(world[0]), None),
        precise="it is float64",
        kernel="its fits are lanes of one call of `solve_many`",
        planned=lambda table, plan: ll.pepr.fit(table, draws=1000, plan=plan),
    ),
)


@dataclasses.dataclass(frozen=True)
class Solver:
    """A solver on a problem of its kind: `run` takes a start (3,), and `close` is how near it ends to the answer."""

    name: str
    run: Callable[[jax.Array], Any]
    answer: np.ndarray
    close: float  # in float32


CENTRE = np.array([1.0, -0.5, 2.0])


def bowl(x):
    """Lowest at CENTRE, steeper than a quadratic."""
    away = x - jnp.asarray(CENTRE, x.dtype)
    return jnp.sum(away**2 + away**4)


def near(x) -> Local:
    """The same with its slope and curvature."""
    return Local(bowl(x), jax.grad(bowl)(x), jax.hessian(bowl)(x))


def towards(x):
    """A contraction to CENTRE, and how far it moved."""
    after = jnp.asarray(CENTRE, x.dtype) + 0.5 * jnp.sin(x - jnp.asarray(CENTRE, x.dtype))
    return after, jnp.max(jnp.abs(after - x))


def on_the_simplex(x):
    """Nearest to a point outside, from the middle of the simplex."""
    point = jnp.asarray([0.9, 0.5, -1.0], x.dtype)
    start = jnp.full(3, 1 / 3, x.dtype) + 0 * x
    return minimise(Quadratic(jnp.eye(3, dtype=x.dtype), point), start)


SOLVERS = (
    Solver("BFGS", lambda x: solve(BFGS(), bowl, x, tol=1e-4), CENTRE, 1e-3),
    Solver("Marquardt", lambda x: solve(Marquardt(), near, x, tol=1e-4), CENTRE, 1e-3),
    Solver("fixed point", lambda x: solve(FixedPoint(), towards, x, tol=1e-5), CENTRE, 1e-4),
    Solver("simplex", on_the_simplex, np.array([0.7, 0.3, 0.0]), 1e-5),
)


def fit_of(line: Method) -> tuple[Any, tuple[Any, Any, Any] | None]:
    """The fit of a line, and the first (kernel, data, key) that was solved on the way."""
    asked, compiled = [], contract._compiled

    def watched(kernel: Any, part: str, *mesh: Any) -> Callable:
        def run(*args: Any, **words: Any) -> Any:
            asked.extend([(kernel, *args)] * (part in ("begin", "solve")))
            return compiled(kernel, part, *mesh)(*args, **words)

        return run

    known = line.world()[0]  # which may fit what others share
    with mock.patch.object(contract, "_compiled", watched):
        fit = line.fit(known)
    return fit, asked[0] if asked else None


# Public modules with an `estimate` that have no line of their own, and why.
ELSEWHERE = {
    "ability": "with irt",
    "judged": "fits nothing; tests/estimators/judged/test_judged.py has its properties",
    "passk": "draws by the place of a model; tests/estimators/sloth/test_passk.py has its properties",
    "plain": "fits nothing; tests/estimators/plain/test_plain.py has its properties",
    "ranking": "an answer about the same sessions as adaptive",
    "skills": "another question to a law of sloth",
}
