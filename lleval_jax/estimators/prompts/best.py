"""Which prompt is best, from few answers: what to ask next, and when it is enough (PromptEval's best arm).

Maia Polo et al. 2024, arXiv:2405.17202, drop the worse half of the prompts again and again by the scores of
a model that borrows strength between prompts and examples, and name the highest observed mean. Here the model is that
of `prompts.fit`. Rules see joint posterior draws of all scores instead of points, and so do the answers: how probably
a prompt is the best, and how far below the best it may be. What is active, and what comes next, follows from the
answers alone, so a session can be resumed from them.

    state = bandit.init(prompts, items=examples, budget=400)
    while not (choice := bandit.choose(state)).enough:
        state = bandit.update(state, responses=run(choice))
    print(bandit.best(state))
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from lleval_jax.errors import require, require_known, require_level
from lleval_jax.estimators.prompts import effects as prompts
from lleval_jax.estimators.prompts import quantiles
from lleval_jax.layout import grid
from lleval_jax.layout.grid import Features
from lleval_jax.renamed import renamed
from lleval_jax.values.findings import Best, percent
from lleval_jax.values.prices import prices_of
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import Choice, Estimate, Source
from lleval_jax.values.sparse import SparseResponses, as_dense

Rule = Literal["halving", "elimination", "thompson", "top-two"]
CITE = ("polo2024prompteval", "karnin2013almost", "russo2016simple")
AT = (0.5, 0.9, 0.95, 0.99)  # probabilities at which the distance to the best is reported
ROUNDING = 1e-9
DROPPED = 0.05  # elimination lets go of a prompt that is above the leader with this probability
LEADER = 0.5  # share of the calls that top-two sampling gives to the leader


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """A session: what was answered, and what is believed after it.

    responses  (prompts, items)  answers so far
    scores     (draws, prompts)  joint posterior draws of the scores on all items; no draws before the first answer
    status     how the fit of the answers ended: "ok" or "not converged"
    price      (prompts,)        of one call
    budget     in all, in the unit of the prices
    k          spent at most between two looks, same unit
    share      of the budget for each phase of halving; what does not divide goes to the first
    features   covariates of the prompts, as they were given
    """

    responses: Responses
    scores: np.ndarray
    status: str
    price: np.ndarray
    budget: float
    k: float
    share: float
    by: Rule
    certainty: float
    tolerance: float
    features: Features | None
    draws: int
    seed: int

    @property
    def spent(self) -> float:
        """Price of all answers so far; "k of n repeats" cost n calls."""
        answers = np.where(self.responses.seen, self.responses.weight, 0).sum(1)
        return float(answers @ self.price)

    @property
    def active(self) -> np.ndarray:
        """(prompts,) bool, True where the rule would ask a prompt now."""
        return RULES[self.by](self) > 0


@renamed(rule="by", size="k", confidence="certainty")
def init(
    prompts: Sequence[str],
    *,
    items: Sequence[str],
    budget: float,
    by: Rule = "halving",
    row_features: Features | None = None,
    price: Mapping[str, float] | None = None,
    k: float | None = None,
    certainty: float = 0.95,
    tolerance: float = 0.0,
    draws: int = 1000,
    seed: int = 0,
) -> State:
    """A session without answers.

    Args:
        prompts: names.
        items: names of the examples; the best prompt is the one with the highest mean score on all of them.
        budget: that all answers may cost; a number of answers where no price is given.
        by: who is asked next, by the model's posterior: "halving" keeps the better half of the prompts in each of
            ceil(log2 prompts) phases of equal cost; "elimination" asks all that may be the best as often;
            "thompson" asks each as often as it is the best of a draw; "top-two" gives half of the calls to challengers.
        row_features: covariates of the prompts, as in `prompts.fit`.
        price: of a call, such as its tokens, by the prompt's name; None: 1 each.
        k: spent at most between two looks, in the unit of the budget; None: what a phase of halving costs, and
            before the first look of other rules a call of each prompt.
        certainty: enough when a prompt is the best with this probability.
        tolerance: enough too when a prompt is at most so far below the best, with that probability.
        draws: of the scores from the posterior.
        seed: of all that is drawn.

    Raises:
        BadInput: fewer than two prompts, an unknown rule, or numbers that cannot be meant.
    """
    require(len(prompts) > 1, f"there is {len(prompts)} prompt; the best of one needs no answers")
    require(len(items) > 0, "there are no examples to ask; name at least one")
    require_known(by, RULES, "rule")
    require(0.5 < certainty <= 1, f"certainty is {certainty}; it must lie between 0.5 and 1")
    require(0 <= tolerance < 1, f"tolerance is {tolerance}; it must be at least 0 and below 1")
    require(k is None or 0 < k, f"k is {k}; it must be positive")
    names = list(map(str, prompts))
    cost = np.ones(len(names)) if price is None else prices_of(price, names, "prompts")
    require(budget >= cost.min(), f"a budget of {budget:g} pays for no call; the cheapest costs {cost.min():g}")
    nothing = np.zeros((len(prompts), len(items)), np.float32)
    empty = Responses.build(nothing, seen=nothing > 0, rows=names, items=list(map(str, items)))
    grid.matrix(row_features, empty.rows, "prompts")  # for what it says of wrong features
    share = budget / _phases(len(prompts))
    share = float(np.floor(share)) if price is None and share >= 1 else share
    return State(
        responses=empty,
        scores=np.zeros((0, len(prompts)), np.float32),
        status="ok",
        price=cost,
        budget=float(budget),
        k=np.inf if k is None else float(k),
        share=share,
        by=by,
        certainty=certainty,
        tolerance=tolerance,
        features=row_features,
        draws=draws,
        seed=seed,
    )


def choose(state: State) -> Choice:
    """The calls to make next, prompt by prompt; none, and why, where it is enough.

    Prompts are asked the same examples, those that were asked least: their differences are then free of how hard the
    examples are.
    """
    source = state.responses.source.merge(Source(seed=state.seed, cite=CITE))
    why = _enough(state)
    if why:
        return Choice((_leader(state),), ((),), (why,), source)
    random = _random(state)
    calls, seen = _calls(state, random), state.responses.seen
    order = np.lexsort((random.random(seen.shape[1]), seen.sum(0)))
    asked = np.flatnonzero(calls)
    items = (order[~seen[i, order]][: calls[i]] for i in asked)
    return Choice(
        rows=tuple(state.responses.rows[i] for i in asked),
        items=tuple(tuple(state.responses.items[j] for j in row) for row in items),
        why=tuple(_why(state, int(i)) for i in asked),
        source=source,
        summary=_not_yet(state),
    )


def update(state: State, *, responses: Responses | SparseResponses, strict: bool = False) -> State:
    """The session with answers added: those that were chosen, others of its grid, or all of an earlier session.

    Args:
        state: so far.
        responses: answers to its prompts and examples.
        strict: raise `NotConverged` rather than warn, where the fit of the answers has not converged.

    Raises:
        BadInput: a prompt or an example that the session does not know, no answer, or one that contradicts another.
        NotConverged: with `strict`, or where numbers ran away.
    """
    new = as_dense(responses)
    before = state.responses
    for what, names, ours in (("prompt", new.rows, before.rows), ("example", new.items, before.items)):
        other = sorted(set(names) - set(ours))
        require(
            len(other) == 0,
            f"{what} {other[0]!r} is not in this session ({len(other)} such); it has {len(ours)}, such as {ours[0]!r}"
            if other
            else "",
        )
    require(bool(new.seen.any()), "there is no answer among these responses; run what `choose` names")
    merged = before.merge(new)  # prompts and examples keep their places
    scores, status = _believe(merged, state, strict)
    return dataclasses.replace(state, responses=merged, scores=scores, status=status)


def best(state: State, *, level: float = 0.95) -> Best:
    """The prompt named best so far, with its probability.

    Args:
        state: with answers.
        level: coverage of the intervals of the scores.

    Raises:
        BadInput: no answers yet, or a level outside (0, 1).
    """
    require_level(level)
    require(len(state.scores) > 0, "nothing was answered yet; run what `choose` names and `update`")
    leader = int(state.scores.mean(0).argmax())
    below = _below(state.scores, leader)
    value, low, high, std_error = quantiles.summarised(state.scores.T.astype(float), level)
    names = state.responses.rows
    scores = Estimate(
        target="accuracy",
        method="extended rasch",
        rows=names,
        group=(WHOLE,) * len(names),
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=std_error,
        n_seen=state.responses.n_seen,
        status=(state.status,) * len(names),
        source=state.responses.source.merge(Source(seed=state.seed, cite=CITE)),
    )
    return Best(
        prompt=names[leader],
        probability=float(np.mean(below <= 0)),
        scores=scores,
        at=AT,
        within=tuple(np.quantile(below, AT, method="inverted_cdf").tolist()),
        gap=float(below.mean()),
        prompts=names,
        chance=_chance(state.scores),
        spent=state.spent,
        why=_enough(state) or _not_yet(state),
        enough=bool(_enough(state)),
    )


def _halving(state: State) -> np.ndarray:
    """The better half, of that the better half, and so on: as often as phases are paid for (Karnin et al. 2013)."""
    count = len(state.price)
    for _ in range(_phase(state)):
        count = -(-count // 2)
    order = np.argsort(-_means(state), kind="stable")
    return np.isin(np.arange(len(order)), order[:count]).astype(float)


def _elimination(state: State) -> np.ndarray:
    """All that may yet be above the leader, as often."""
    if not len(state.scores):
        return np.ones(len(state.price))
    leader = state.scores[:, [int(_means(state).argmax())]]
    return ((state.scores >= leader).mean(0) > DROPPED).astype(float)


def _thompson(state: State) -> np.ndarray:
    """As often as a prompt is the best of a draw."""
    return _chance(state.scores)


def _top_two(state: State) -> np.ndarray:
    """Half to the best of a draw, half to the best of another draw in which it is a different one (Russo 2016)."""
    chance = _chance(state.scores)
    challenger = np.zeros_like(chance)
    for leader in np.flatnonzero(chance):
        others = np.where(np.arange(len(chance)) == leader, 0, chance)
        if not others.any():  # the leader is best in all draws: who is second?
            others = _chance(np.where(np.arange(len(chance)) == leader, -1, state.scores))
        challenger += chance[leader] * others / others.sum()
    return LEADER * chance + (1 - LEADER) * challenger


RULES: dict[str, Callable[[State], np.ndarray]] = {
    "halving": _halving,
    "elimination": _elimination,
    "thompson": _thompson,
    "top-two": _top_two,
}


def _phases(count: int) -> int:
    """Of halving, until one prompt is left."""
    return int(np.ceil(np.log2(count)))


def _means(state: State) -> np.ndarray:
    return state.scores.mean(0) if len(state.scores) else np.zeros(len(state.price))


def _chance(scores: np.ndarray) -> np.ndarray:
    """(prompts,) how often each is the best of a draw (draws, prompts); ties are shared. Without draws all alike."""
    if not len(scores):
        return np.full(scores.shape[1], 1 / scores.shape[1])
    top = scores == scores.max(1, keepdims=True)
    return (top / top.sum(1, keepdims=True)).mean(0)


def _below(scores: np.ndarray, prompt: int) -> np.ndarray:
    """(draws,) how far below the best a prompt is."""
    return (scores.max(1) - scores[:, prompt]).astype(float)


def _enough(state: State) -> str:
    """Why nothing more needs to be asked, or "" where something does."""
    if len(state.scores):
        name = _leader(state)
        below = _below(state.scores, int(_means(state).argmax()))
        sure = float(np.mean(below <= 0))
        if sure >= state.certainty:
            return f"{name} is best, or tied for it, with probability {percent(sure)}"
        if state.tolerance and float(np.mean(below <= state.tolerance)) >= state.certainty:
            points = 100 * state.tolerance
            return f"{name} is at most {points:g} points below the best with probability {state.certainty:g}"
    if state.budget - state.spent < state.price.min():
        return f"the budget of {state.budget:g} is spent"
    if not _open(state).any():
        return "all examples of the prompts still in question were answered, or cost more than is left"
    return ""


def _open(state: State) -> np.ndarray:
    """(prompts,) how the rule shares out the calls among those that can be asked and paid for."""
    can = ~state.responses.seen.all(1) & (state.price <= state.budget - state.spent)
    return np.where(can, RULES[state.by](state), 0)


def _calls(state: State, random: np.random.Generator) -> np.ndarray:
    """(prompts,) how many examples each is asked until the next look, which one must be.

    Expected numbers are in proportion to the rule's shares over the root of the price, with which differences are
    known best for what they cost; rounded at random, but so that they add up.
    """
    weight, free = _open(state) / np.sqrt(state.price), (~state.responses.seen).sum(1)
    left = state.budget - state.spent
    amount, wanted = min(_next_look(state) - state.spent, left), np.zeros(len(weight))
    while (rest := amount - wanted @ state.price) > ROUNDING and (share := np.where(wanted < free, weight, 0)).any():
        wanted = np.minimum(free, wanted + share * rest / (share @ state.price))
    calls = np.diff(np.floor(np.cumsum(wanted) + random.random() + ROUNDING), prepend=0).astype(int)
    calls = np.minimum(calls, free)
    if not calls.any():
        calls[weight.argmax()] = 1
    while calls @ state.price > left + ROUNDING:
        calls[random.choice(np.flatnonzero(calls))] -= 1
    return calls


def _next_look(state: State) -> float:
    """What will be spent by then: at the end of a phase, or after as much as one costs; earlier if `k` says so."""
    if state.by == "halving":
        end = state.budget - state.share * (_phases(len(state.price)) - 1 - _phase(state))
    else:
        end = state.spent + max(state.share, 0 if len(state.scores) else float(state.price.sum()))
    return min(end, state.spent + state.k)


def _phase(state: State) -> int:
    """Of halving, from 0."""
    last = _phases(len(state.price)) - 1
    beyond = state.spent + state.price.min() - (state.budget - state.share * last)
    return int(np.clip(np.ceil(beyond / state.share - ROUNDING), 0, last))


def _leader(state: State) -> str:
    return state.responses.rows[int(_means(state).argmax())]


def _random(state: State) -> np.random.Generator:
    """Another after each answer, and the same again for the same answers."""
    return np.random.default_rng([state.seed, int(state.responses.n_seen.sum())])


def _believe(responses: Responses, state: State, strict: bool) -> tuple[np.ndarray, str]:
    """Joint posterior draws (draws, prompts), and how the fit ended."""
    room = int(min(state.budget / state.price.min(), responses.seen.size))  # one compilation for the whole session
    fitted = prompts.fit(
        responses, row_features=state.features, draws=state.draws, room=room, seed=state.seed, strict=strict
    )
    return fitted.params.draws, fitted.status


def _why(state: State, prompt: int) -> str:
    if not len(state.scores):
        return "nothing was asked yet"
    return f"P(best) = {percent(float(_chance(state.scores)[prompt]))} so far"


def _not_yet(state: State) -> str:
    """Why more needs to be asked."""
    if not len(state.scores):
        return "nothing was asked yet"
    sure = float(np.mean(_below(state.scores, int(_means(state).argmax())) <= 0))
    spent = f"{state.spent:g} of {state.budget:g} are spent"
    return f"{_leader(state)} is best, or tied for it, with probability {percent(sure)} so far, and {spent}"
