"""What each method learns: a NamedTuple of numpy arrays each, known to the store by its name.

Whole numbers that point at names are indices into an axis of the fit: `fit.names("families", fit.params.family)`.
Above each class stands what must be true of its arrays (`values.rules`), checked when a fit is made or loaded: "rows"
and "items" are the fit's first two axes, others go by their names.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from lleval_jax.values.results import FitResult
from lleval_jax.values.rules import Covariance, Flag, Index, Positive, Rule, Share, Shares, Whole, checked

Params = TypeVar("Params", bound=type)
REGISTERED: dict[str, type] = {}


def register(params: Params) -> Params:
    """Make a NamedTuple of parameters known by its class name, so that `load` gives it back as it was."""
    REGISTERED[params.__name__] = params
    return params


def coded(names: Sequence[str] | np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(names,) whole numbers, the same for the same name, and the different names, sorted."""
    known, code = np.unique(np.asarray(names, object), return_inverse=True)
    return code, tuple(map(str, known))


@register
@checked(kind=Whole("items", low=0), shape=Rule("items", "shapes"), covariance=Covariance("items", "all", "all"))
class AnswerKinds(NamedTuple):
    """How the answers to each item are spread, where they are not all right or wrong (`core.irt.kinds`).

    names       of the kinds: "beta", "graded-10"
    kind        (items,)          index into `names`
    shape       (items, shapes)   parameters beyond slope and intercept; 0 beyond those that the kind has
    covariance  (items, k, k)     of slope, intercept and shape; k = 2 + shapes
    """

    names: tuple[str, ...]
    kind: np.ndarray
    shape: np.ndarray
    covariance: np.ndarray

    def take(self, items: np.ndarray) -> "AnswerKinds":
        """Of these items, by position."""
        return self._replace(kind=self.kind[items], shape=self.shape[items], covariance=self.covariance[items])

    @property
    def of_items(self) -> tuple[str, ...]:
        """(items,) the name of each item's kind."""
        return tuple(self.names[kind] for kind in self.kind)


@register
@checked(
    slope=Rule("items", "dims"),
    intercept=Rule("items"),
    floor=Share("items"),
    ceiling=Share("items"),
    ability=Rule("rows", "dims"),
    ability_cov=Covariance("rows", "dims", "dims"),
    covariance=Covariance("items", "parameters", "parameters"),
    group=Index("items", of="groups"),
    n_seen=Rule("rows", low=0),
)
class IrtParams(NamedTuple):
    """A fitted IRT model, numpy arrays.

    slope        (items, dims)
    intercept    (items,)
    floor        (items,)
    ceiling      (items,)
    ability      (rows, dims)        posterior means; the prior is N(0, I)
    ability_cov  (rows, dims, dims)  posterior covariances, item parameters taken as known
    covariance   (items, k, k)       of an item's parameters: slopes, intercept, then what else is learned
    group        (items,)            index into the axis "groups"
    n_seen       (rows,)             answers used
    answers      how the answers to each item are spread; None if all are right or wrong, or k of n
    """

    slope: np.ndarray
    intercept: np.ndarray
    floor: np.ndarray
    ceiling: np.ndarray
    ability: np.ndarray
    ability_cov: np.ndarray
    covariance: np.ndarray
    group: np.ndarray
    n_seen: np.ndarray
    answers: AnswerKinds | None = None


@register
@checked(
    draws=Rule("draws", "rows"),
    level=Rule(),
    effect=Rule("rows"),
    effect_sd=Rule("rows", low=0),
    example=Rule("items"),
    coef=Rule("features"),
    coef_sd=Rule("features", low=0),
    scale=Rule("kinds", low=0),
    scale_low=Rule("kinds", low=0),
    scale_high=Rule("kinds", low=0),
    dispersion=Rule(low=0),
    answered=Rule("rows", low=0),
    example_var=Rule("items", low=0),
    model=Index("rows", of="models"),
    prompt=Index("rows", of="templates"),
)
class PromptParams(NamedTuple):
    """What `fit` learned.

    draws        (draws, rows)   joint posterior draws of the scores on the grid
    level        ()              logit of an average example under an average prompt
    effect       (rows,)         of prompts, in logits about the level
    effect_sd    (rows,)
    example      (items,)        of examples: easy ones above 0
    coef         (features,)     of standardised row features
    coef_sd      (features,)
    scale        (scales,)       standard deviation of each kind of effect, in logits: the axis "kinds"
    scale_low, scale_high        the middle 90% of its posterior
    dispersion   ()              of answers about their curves; 1 for right and wrong
    answered     (rows,)         answers given
    example_var  (items,)        variances of the examples' effects
    model        (rows,)         index into the axis "models"; None where there is one model
    prompt       (rows,)         index into the axis "templates", what the rows of one prompt share; None with `model`
    """

    draws: np.ndarray
    level: np.ndarray
    effect: np.ndarray
    effect_sd: np.ndarray
    example: np.ndarray
    coef: np.ndarray
    coef_sd: np.ndarray
    scale: np.ndarray
    scale_low: np.ndarray
    scale_high: np.ndarray
    dispersion: np.ndarray
    answered: np.ndarray
    example_var: np.ndarray
    model: np.ndarray | None = None
    prompt: np.ndarray | None = None


@register
@checked(
    loading=Rule("items", "skills"),
    shared=Rule("effects"),
    own=Rule("effects"),
    noise=Rule("items"),
    centre=Rule("items"),
    bend=Rule("items"),
    floor=Share("items"),
    size=Positive("rows"),
    tokens=Positive("rows"),
    instruct=Flag("rows"),
    score=Share("rows", "items"),
    seen=Flag("rows", "items"),
    logit=Rule("rows", "items"),
    worth=Rule("rows", "items", low=0),
    slope=Rule("slopes"),
    slope_cov=Covariance("slopes", "slopes"),
    family=Index("rows", of="families"),
    lineage=Index("rows", of="lineages"),
)
class SlothParams(NamedTuple):
    """A law and the leaderboard it was learned from.

    loading        (benchmarks, skills)   how much of each skill a benchmark asks
    shared, own    (effects,)  log sds of effects through the skills and direct; `INPUTS`, then `NESTED`
    noise          (benchmarks,)  log sd of a score around the law
    centre         (benchmarks,)  logit of an average model
    bend           (benchmarks,)  of the link: log slope far below zero
    floor          (benchmarks,)  score of guessing
    size, tokens   (rows,)  counts
    instruct       (rows,)  whether tuned to follow instructions
    score, seen    (rows, benchmarks)  in [0, 1], and whether known
    logit, worth   (rows, benchmarks)  posterior mean, and how much the score counts (1: as a normal one)
    slope          (inputs x (skills + benchmarks),)  posterior mean of slopes that all share; through skills, direct
    slope_cov      the same, squared
    family         (rows,)  index into the axis "families"
    lineage        (rows,)  index into the axis "lineages"
    """

    loading: np.ndarray
    shared: np.ndarray
    own: np.ndarray
    noise: np.ndarray
    centre: np.ndarray
    bend: np.ndarray
    floor: np.ndarray
    size: np.ndarray
    tokens: np.ndarray
    instruct: np.ndarray
    score: np.ndarray
    seen: np.ndarray
    logit: np.ndarray
    worth: np.ndarray
    slope: np.ndarray
    slope_cov: np.ndarray
    family: np.ndarray
    lineage: np.ndarray


@register
@checked(
    middle=Rule("skills"),
    turn=Rule("skills", "skills"),
)
class Units(NamedTuple):
    """Raw skills become turn @ (skill - middle): turn (skills, skills), middle (skills,)."""

    middle: np.ndarray
    turn: np.ndarray

    def of(self, mean: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (rows, skills) and covariances (rows, skills, skills) of raw skills, in these units."""
        return (mean - self.middle) @ self.turn.T, self.turn @ cov @ self.turn.T


@register
@checked(
    weight=Shares("pairs"),
    noise=Rule("pairs", low=0),
    groups=Rule("pairs", low=0),
    mean=Rule("pairs", "unknowns"),
    cov=Covariance("pairs", "unknowns", "unknowns"),
    score=Rule("rows"),
)
class DownstreamParams(NamedTuple):
    """A regression on the skills of a law, at each likely pair of scales.

    weight   (pairs,)        probability of a pair of scales
    noise    (pairs,)        scale of the t distribution of a score around its expectation
    groups   (pairs,)        sd of what a family has beyond its skills, half its square the lineage's, in logits
    mean     (pairs, k)      slopes of skills in `units`; intercept; tuning; the axes "lineages" and "families"
    cov      (pairs, k, k)
    score    (models,)       what was learned from
    units    skills in which slopes are counted
    law      what the skills rest on
    """

    weight: np.ndarray
    noise: np.ndarray
    groups: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    score: np.ndarray
    units: Units
    law: FitResult[SlothParams]


@register
@checked(
    skill=Rule("rows", "skills"),
    residual=Rule("rows"),
    mean=Rule("slopes"),
    question=Rule("items", "slopes"),
    spread=Covariance("slopes", "slopes"),
    own=Rule("2", low=0),
    shared=Covariance("shared", "shared"),
    alone=Covariance("items", "slopes", "slopes"),
    pull=Rule("items", "slopes", "shared"),
    tried=Rule("rows", low=0),
)
class PasskParams(NamedTuple):
    """Questions as they hang on the skills of a law.

    skill     (models, skills)   of those that tried, in `units`, given their tries too
    residual  (models,)          beyond their skills, in logits
    mean      (k,)               over questions, of (intercept, slopes)
    question  (questions, k)     intercept and slopes
    spread    (k, k)             covariance over questions
    own       (2,)               variances of what a model, and a cell, has of its own
    shared    (shared, shared)   covariance of skills, `residual` and `mean`
    alone     (questions, k, k)  covariance of a question given those
    pull      (questions, k, shared)  minus how a question's mean moves with those
    tried     (models,)          tries learned from
    units     skills in which slopes are counted
    law       what the skills rest on
    """

    skill: np.ndarray
    residual: np.ndarray
    mean: np.ndarray
    question: np.ndarray
    spread: np.ndarray
    own: np.ndarray
    shared: np.ndarray
    alone: np.ndarray
    pull: np.ndarray
    tried: np.ndarray
    units: Units
    law: FitResult[SlothParams]


@register
@checked(
    mode=Rule("laws", "unknowns"),
    cov=Covariance("laws", "unknowns", "unknowns"),
    noise=Rule("items", low=0),
    freedom=Rule("items"),
    floor=Share("items"),
    items=Rule("items", low=0),
    size=Positive("rows"),
    tokens=Positive("rows"),
    score=Share("rows", "items"),
    seen=Flag("rows", "items"),
    family=Index("rows", of="families"),
)
class SlothPaperParams(NamedTuple):
    """A law, how well it is known, and the leaderboard it was learned from.

    mode            (laws, unknowns)  as `core.laws.published.objective` orders them; one law, or one a benchmark
    cov             (laws, unknowns, unknowns)  of the unknowns
    noise           (benchmarks,)  sd of a score around the law
    freedom         (benchmarks,)  scores that is learned from, less the unknowns they pay for
    floor           (benchmarks,)  score of guessing
    items           (benchmarks,)  questions; ones if they were not given
    size, tokens    (rows,)  counts
    score, seen     (rows, benchmarks)  in [0, 1], and whether known
    family          (rows,)  index into the axis "families"
    """

    mode: np.ndarray
    cov: np.ndarray
    noise: np.ndarray
    freedom: np.ndarray
    floor: np.ndarray
    items: np.ndarray
    size: np.ndarray
    tokens: np.ndarray
    score: np.ndarray
    seen: np.ndarray
    family: np.ndarray


@register
@checked(
    right=Rule("rows", "items", low=0),
    asked=Rule("rows", "items", low=0),
    total=Rule("items", low=0),
    version=Index("items", of="versions"),
    domain=Index("items", of="domains"),
    product=Rule("rows", "rows"),
    common=Rule("rows", "rows", low=0),
)
class Chain(NamedTuple):
    """All that matters of the answers to versions so far, in order of time; a cell is a domain of a version.

    right    (models, cells)   sum of the scores
    asked    (models, cells)   answers
    total    (cells,)          items
    version  (cells,)          index into the axis "versions"
    domain   (cells,)          index into the axis "domains"
    product  (models, models)  sums over items of products of two models' answers, each centred on its version's mean
    common   (models, models)  items that both answered
    """

    right: np.ndarray
    asked: np.ndarray
    total: np.ndarray
    version: np.ndarray
    domain: np.ndarray
    product: np.ndarray
    common: np.ndarray


@register
@checked(
    loading=Rule("rows", "dims"),
    model_size=Rule("model sizes"),
    shift_size=Rule("width", "shift sizes"),
    spread=Rule("rows"),
    model_doubt=Rule("model sizes", low=0),
    shift_doubt=Rule("width", "shift sizes", low=0),
)
class RefreshParams(NamedTuple):
    """A fitted chain of versions.

    chain holds the counts; loading (models, dims) is that of `core.linalg.factors`; model_size, shift_size and
    spread are those of `panel.Sizes` where the evidence is highest; model_doubt and shift_doubt are the posterior
    variances of the first two.
    """

    chain: Chain
    loading: np.ndarray
    model_size: np.ndarray
    shift_size: np.ndarray
    spread: np.ndarray
    model_doubt: np.ndarray
    shift_doubt: np.ndarray


@register
@checked(
    theta=Rule("rows"),
    beta=Rule("items"),
    version=Index("items", of="versions"),
    scores=Share("rows", "items"),
    seen=Flag("rows", "items"),
    domain=Index("items", of="domains"),
    beta_var=Rule("items", low=0),
)
class RefreshPaperParams(NamedTuple):
    """A fitted Rasch model and the answers it was fitted to.

    theta    (rows,)        ability of a model, logit
    beta     (items,)       difficulty of an item, logit
    version  (items,)       index into the axis "versions"
    scores   (rows, items)  in [0, 1]; 0 where not seen
    seen     (rows, items)  whether a model was evaluated on an item
    domain   (items,)       index into the axis "domains"
    beta_var (items,)       of the difficulties, for known abilities
    """

    theta: np.ndarray
    beta: np.ndarray
    version: np.ndarray
    scores: np.ndarray
    seen: np.ndarray
    domain: np.ndarray
    beta_var: np.ndarray


@register
@checked(
    weight=Shares("items"),
    free=Rule("items"),
    value=Rule("items"),
    noise=Rule("2", low=0),
    df=Rule(low=0),
    scale=Positive(),
    ridge=Rule(low=0),
    drawn_weight=Rule("draws", "items"),
    drawn_value=Rule("draws", "items"),
    member=Rule("subsets", "items", low=0, high=1),
    observed=Rule("subsets"),
    subset_p=Share("subsets"),
    pattern_p=Share(),
    condition=Rule(low=0),
    r2=Rule("2"),
    twin=Whole("items", low=0),
    covariance=Covariance("items", "items"),
    fitted=Rule("rows", low=0, high=1),
    false_alarm=Share(),
)
class PeprParams(NamedTuple):
    """What PEPR learned, numpy arrays.

    weight        (elements,)            not negative, with sum one
    free          (elements,)            the same fit without the sign constraint, for intervals
    value         (elements,)            mean log-probability of the desired texts under each element alone
    noise         (2,)                   standard deviation of a text about the weighted mean, and of their mean
    df            ()                     degrees of freedom of the residuals
    scale         ()                     by which log-probabilities become log-odds (pairs); 1 otherwise
    ridge         ()                     the penalty used
    drawn_weight  (draws, elements)      fits to texts drawn again
    drawn_value   (draws, elements)      their means
    member        (subsets, elements)    the combinations that were scored
    observed      (subsets,)             their mean log-probability
    subset_p      (subsets,)             probability of such a mean if the model holds, times the number of means
                                         tested (Bonferroni); 1 for the one that was fitted
    pattern_p     ()                     probability of such a residual pattern if the model holds
    condition     ()                     of the differences between elements
    r2            (2,)                   variance explained: of all, and beyond the plain mean of the elements
    twin          (elements,)            elements with one number have the same log-probabilities
    covariance    (elements, elements)   of `free`
    fitted        (texts,)               1 for the texts that the weights were learned from
    false_alarm   ()                     probability of "not linear" where the model holds
    """

    weight: np.ndarray
    free: np.ndarray
    value: np.ndarray
    noise: np.ndarray
    df: np.ndarray
    scale: np.ndarray
    ridge: np.ndarray
    drawn_weight: np.ndarray
    drawn_value: np.ndarray
    member: np.ndarray
    observed: np.ndarray
    subset_p: np.ndarray
    pattern_p: np.ndarray
    condition: np.ndarray
    r2: np.ndarray
    twin: np.ndarray
    covariance: np.ndarray
    fitted: np.ndarray
    false_alarm: np.ndarray


@register
@checked(
    rating=Rule("rows"),
    log_tie=Rule("ties"),
    covariance=Covariance("unknowns", "unknowns"),
    met=Rule("rows", "rows", low=0),
)
class PairParams(NamedTuple):
    """Ratings from comparisons of two.

    rating      (models,)           in logits, told from their mean
    log_tie     (1,)                log of how often equal models tie, over the root of their odds; (0,) without ties
    covariance  (k, k)              of the ratings, then of log_tie
    met         (models, opponents) how often two met
    """

    rating: np.ndarray
    log_tie: np.ndarray
    covariance: np.ndarray
    met: np.ndarray
