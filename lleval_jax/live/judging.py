"""All filters over the questions of a run, the cheap ones first, and what they report together."""

import dataclasses
from collections.abc import Mapping, Sequence

from lleval_jax.live import asking, duplicates
from lleval_jax.live.filters import agreement, answers, blind, rules
from lleval_jax.live.filters.answers import Answer
from lleval_jax.live.filters.blind import Blind
from lleval_jax.live.recipe import Recipe
from lleval_jax.live.steps import Steps
from lleval_jax.live.values import Element, Question, Verdict
from lleval_jax.lm.replies import Cached
from lleval_jax.values.progress import Tell

TWICE, SHARE = "duplicates", "per paper"  # filters: asked already; enough of this paper
JUDGE = agreement.ROLE


@dataclasses.dataclass(frozen=True)
class Tested:
    """What the models' filters found; None where no such model is in the recipe."""

    blind: Blind | None
    captioned: Blind | None
    judges: tuple[agreement.Judged, ...]
    latent: agreement.Latent | None

    @property
    def useful(self) -> list[str]:
        """Judges that may be called filters."""
        return [each.model for each in self.judges if each.useful]


def judged(
    steps: Steps,
    recipe: Recipe,
    questions: Sequence[Question],
    elements: dict[str, Element],
    clients: Mapping[str, Cached],
    tell: Tell,
) -> tuple[list[Answer], list[Verdict]]:
    """Answers of the models, and the verdicts of all filters. Models see only what form and options let through."""
    first = [*rules.all_of(questions, elements), *repeated(questions, elements)]
    dropped = {each.question for each in first if not each.keep}
    rest = [each for each in questions if each.id not in dropped]
    roles = [(blind.NAME, recipe.filter.blind), *((JUDGE, name) for name in recipe.filter.judges)]
    if recipe.filter.caption:
        roles.insert(1, (answers.CAPTION, recipe.filter.blind))
    given = [
        answer
        for role, name in roles
        if name
        for answer in asking.picked(steps, recipe, rest, elements, clients[name], role, tell)
    ]
    return given, [*first, *verdicts(recipe, rest, given, elements)]


def verdicts(
    recipe: Recipe, questions: Sequence[Question], given: Sequence[Answer], elements: Mapping[str, Element]
) -> list[Verdict]:
    """Of the filters with models, and of the share of a paper among what is left."""
    tested = test(questions, given, elements)
    found = [] if tested.blind is None else blind.verdicts(questions, given, tested.blind.share.value)
    found += agreement.verdicts(questions, given, tested.useful)
    found += [] if tested.latent is None or not tested.useful else agreement.suspects(tested.latent)
    dropped = {each.question for each in found if not each.keep}
    left = [each for each in questions if each.id not in dropped]
    return [*found, *bounded(left, elements, recipe.filter.per_paper)]


def test(questions: Sequence[Question], given: Sequence[Answer], elements: Mapping[str, Element]) -> Tested:
    """The report of the filters with models: over the questions that these were shown."""
    papers = {name: each.paper for name, each in elements.items()}
    roles = {each.role for each in given}
    judges = sorted({each.model for each in given if each.role == JUDGE})
    return Tested(
        blind.estimate(questions, given, papers) if blind.NAME in roles else None,
        blind.estimate(questions, given, papers, role=answers.CAPTION) if answers.CAPTION in roles else None,
        tuple(agreement.judge(name, questions, given, papers) for name in judges),
        agreement.latent(questions, given, papers) if len(judges) > 1 else None,
    )


def repeated(questions: Sequence[Question], elements: Mapping[str, Element]) -> list[Verdict]:
    """Verdicts on what is asked twice of one picture, with the same answer."""
    shown = {name: each.image or name for name, each in elements.items()}
    again = {each.id: first.id for each, first in duplicates.questions(questions, shown)[1]}
    return [_twice(each, again.get(each.id)) for each in questions]


def _twice(question: Question, first: str | None) -> Verdict:
    words = {"question": question.id, "filter": TWICE, "keep": first is None, "score": float(first is None)}
    return Verdict(**words, reason="" if first is None else f"the same question as {first}")


def bounded(questions: Sequence[Question], elements: Mapping[str, Element], most: int) -> list[Verdict]:
    """Verdicts that leave a paper so many questions about figures, and as many about tables: the first by their ids."""
    counts, found = dict[tuple[str, str], int](), list[Verdict]()
    for each in sorted(questions, key=lambda one: one.id):
        element = elements[each.element]
        place = (element.paper, element.kind)
        counts[place] = counts.get(place, 0) + 1
        keep = counts[place] <= most
        reason = "" if keep else f"there are {most} about {element.kind}s of this paper"
        found.append(Verdict(question=each.id, filter=SHARE, keep=keep, score=float(keep), reason=reason))
    return found
