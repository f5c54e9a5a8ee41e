"""The models by name, as users make them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pandas as pd

from lleval_jax.bayes.models.agents import Agents
from lleval_jax.bayes.models.covariates import covariates
from lleval_jax.bayes.models.irt import Irt
from lleval_jax.bayes.models.judges import Judges
from lleval_jax.bayes.models.kinds import Kinds
from lleval_jax.bayes.models.pairwise import Pairwise
from lleval_jax.bayes.models.prompts import Prompts
from lleval_jax.bayes.models.refresh import Refresh
from lleval_jax.bayes.models.sloth import Sloth
from lleval_jax.curves import Curve, Model, curve_of
from lleval_jax.errors import require, require_known
from lleval_jax.estimators.irt.answers import Asked
from lleval_jax.estimators.refresh.panel import DIMS
from lleval_jax.estimators.sloth.kernel import BENDS
from lleval_jax.estimators.sloth.law import SKILLS, Link, Target


def irt(
    curve: Model | Curve = "2pl",
    *,
    dims: int = 1,
    families: Mapping[str, str] | None = None,
    groups: bool = False,
    features: pd.DataFrame | None = None,
    answers: Asked = "bernoulli",
) -> Irt:
    """An item response model of `Responses`.

    Args:
        curve: "rasch", "2pl", "3pl", "4pl" or a `Curve`.
        dims: abilities; with several the loadings are identified by triangular anchors.
        families: model -> its family: abilities of a family are alike, by a share that is learned.
        groups: items of a group of `Responses.groups` are alike, and a model's logits differ from group to group by
            an amount that is learned. Scores by group then borrow from each other.
        features: of items, numbers (covariates, the columns of an embedding); one line an item, the index has their
            names. They are prior means of how easy an item is, by weights that are learned, and so is how far items
            are from them. Scores on items that none has answered can then be estimated.
        answers: how scores are spread, as of `irt.fit`: "bernoulli" takes a fraction as that share of a right answer;
            "auto" chooses grades, repeats or a continuous kind for each group of items; or a kind by name, of all items
            or of each. These have the 2pl curve and one dimension.

    Raises:
        BadInput: an unknown curve, one that does not go with so many dimensions or with such answers, or features that
            are not numbers.
    """
    found = curve_of(curve, dims)
    require(dims == 1 or (found.logistic and not found.shared_slope), "rasch, 3pl and 4pl have one dimension")
    parts = found, tuple((families or {}).items()), groups, covariates(features)
    if answers == "bernoulli":
        return Irt(*parts)
    require(found == curve_of("2pl", 1), "answers other than 'bernoulli' have the curve '2pl' and one dimension")
    return Kinds(*parts, answers if isinstance(answers, str) else tuple(sorted(answers.items())))


def rasch(
    *, families: Mapping[str, str] | None = None, groups: bool = False, features: pd.DataFrame | None = None
) -> Irt:
    """The Rasch model: one slope for all items; else as `irt`."""
    return irt("rasch", families=families, groups=groups, features=features)


def judges(
    *,
    answers: Asked = "auto",
    sharpness: bool = False,
    families: Mapping[str, str] | None = None,
    groups: bool = False,
) -> Judges:
    """Scores that several judges gave to the same answers, some severer than others: of a mapping judge -> `Responses`.

    Scores of models over all judges ("rate", "score"), abilities, the mean score that each judge gives ("judge") and
    severities in logits ("severity"). A judge that scored few models is compared by those that others scored too; where
    judges have no model in common, severities are as uncertain as the prior says.

    Args:
        answers: how scores are spread, as of `irt.fit`: "auto" chooses grades, right and wrong, or a continuous kind.
        sharpness: judges also differ in how well they tell good answers from bad ones.
        families: model -> its family, as of `irt`.
        groups: of items, as of `irt`.

    Example:
        >>> scores = ll.read_judges("scores.csv", scale=(1, 10))  # model, item, judge, score  # doctest: +SKIP
        >>> posterior = bayes.sample(bayes.judges(), scores)  # doctest: +SKIP
        >>> posterior.estimate("rank"), posterior.estimate("severity")  # doctest: +SKIP
    """
    asked = answers if isinstance(answers, str) else tuple(sorted(answers.items()))
    return Judges(curve_of("2pl", 1), tuple((families or {}).items()), groups, None, asked, sharpness)


def prompts(
    *,
    models: Mapping[str, tuple[str, str]] | None = None,
    features: pd.DataFrame | None = None,
    item_features: pd.DataFrame | None = None,
) -> Prompts:
    """The model of a grid of prompts by examples, as of `prompts.fit`: scores of prompts, and their quantiles.

    Of several models in one grid also the mean of each over its prompts: `posterior.estimate("best", of="model")`.

    Args:
        models: row -> (model, prompt), where rows are prompts of several models; a prompt's effect is partly common to
            all models, and examples are as hard for one as for another.
        features: of the rows, numbers; one line a row, the index has their names.
        item_features: the same of the examples.

    Raises:
        BadInput: features are not numbers.
    """
    rows = tuple((row, model, prompt) for row, (model, prompt) in (models or {}).items())
    return Prompts(rows, covariates(features), covariates(item_features))


def refresh(*, dims: int = DIMS, version: str | None = None) -> Refresh:
    """The model of a benchmark's versions, as of `refresh.fit`: scores of all models on a version and its domains.

    It is a model of a list of `Responses`, the oldest version first, or of a mapping from names to them.

    Args:
        dims: loadings of a model on what items have in common; fewer are used with few models.
        version: whose scores are wanted; None: the newest.

    Raises:
        BadInput: dims is negative.

    Example:
        >>> posterior = bayes.sample(bayes.refresh(), [v1, v2, v3_of_five_models])  # doctest: +SKIP
        >>> posterior.estimate("score")  # doctest: +SKIP
    """
    require(dims >= 0, f"dims is {dims}; it must be 0 or more")
    return Refresh(dims, version or "")


def sloth(predict: Sequence[Target] = (), *, skills: int = SKILLS, link: Link = "monotone") -> Sloth:
    """The scaling law through skills, as of `sloth.fit`: a model of a `Leaderboard`.

    Args:
        predict: models whose scores are wanted, of known families or "new"; (): those of the leaderboard, where scores
            that are known are kept.
        skills: behind all benchmarks.
        link: "monotone": each benchmark's curve is learned; "logistic": all the same.

    Raises:
        BadInput: an unknown link.

    Example:
        >>> wanted = [ll.sloth.Target("llama-3", 30e9, 15e12)]
        >>> bayes.sample(bayes.sloth(wanted), leaderboard).estimate("score")  # doctest: +SKIP
    """
    require_known(link, BENDS, "link")
    return Sloth(skills, link, tuple(predict))


def agents(
    systems: Mapping[str, tuple[str, str]],
    *,
    features: pd.DataFrame | None = None,
    unknown: Literal["own", "refuse"] = "own",
) -> Agents:
    """Agents as language models crossed with scaffolds, of `Responses` of systems to tasks; k of n repeats as weights.

    Scores of systems ("rate", "score"), of a language model over all scaffolds ("model"), of a scaffold over all
    language models ("scaffold"), and how much each differ ("spread"). Differences, ranks and the best of any of these:
    `posterior.estimate("difference", of="model", first="gpt-4o", second="claude-3.5-sonnet")`.

    Args:
        systems: system -> (language model, scaffold), as `bayes.systems` reads them from names; "" for a part that is
            not known.
        features: of tasks, numbers; one line a task, the index has their names. They are prior means of how easy a
            task is, so scores on tasks that were never tried can be estimated.
        unknown: a language model that is not known is "own", a level of its own which is in no other system, or
            "refuse".

    Raises:
        BadInput: a language model is not known and shall be refused, or features are not numbers.
    """
    require(unknown in ("own", "refuse"), f"unknown is {unknown!r}; it is 'own' or 'refuse'")
    without = [system for system, (model, _) in systems.items() if not model]
    refused = unknown == "refuse" and bool(without)
    require(
        not refused, f"the language model of {len(without)} systems is not known: {', '.join(map(repr, without[:5]))}"
    )
    parts = tuple((system, model, scaffold) for system, (model, scaffold) in systems.items())
    return Agents(parts, covariates(features))


def pairwise() -> Pairwise:
    """Bradley-Terry with ties, of `Pairs`: "rating" in points of Elo, and "win", expected scores against each opponent.

    Answers also where `pairwise.fit` has none: parts that never met, or a model that won all.
    """
    return Pairwise()
