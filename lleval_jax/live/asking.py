"""Models at work on elements and questions: many requests under way, a unit kept once its replies are there."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from lleval_jax.live import ask, exact
from lleval_jax.live.filters import answers
from lleval_jax.live.filters.answers import Answer
from lleval_jax.live.recipe import Recipe
from lleval_jax.live.steps import Steps
from lleval_jax.live.values import Element, Finding, Question
from lleval_jax.lm.asking import complete_all
from lleval_jax.lm.client import Failed, Request
from lleval_jax.lm.replies import Cached
from lleval_jax.values.progress import Progress, Tell, silent

Unit = TypeVar("Unit")
EXACT, ASK, ANSWER = "exact/1", "ask/1", "answer/1"  # steps, with the versions of their code


@dataclasses.dataclass(frozen=True)
class Asked:
    """Of one element: its questions, and what failed."""

    questions: tuple[Question, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclasses.dataclass(frozen=True)
class Answered:
    """Of one element: what a model picked."""

    answers: tuple[Answer, ...] = ()


def computed(steps: Steps, recipe: Recipe, elements: Iterable[Element]) -> Iterator[Asked]:
    """Questions with computed keys."""
    most = recipe.ask.exact
    for element in elements if most else ():
        inputs = [element.name, str(element.cells), str(most)]
        yield steps.once(
            EXACT, element.name, inputs, Asked, lambda each=element: Asked(tuple(exact.questions(each, most=most)))
        ).value


def written(
    steps: Steps, recipe: Recipe, elements: Sequence[Element], client: Cached, tell: Tell = silent
) -> Iterator[Asked]:
    """Questions by a model: a description of each element, then questions from it. In the order of the elements.

    An element with a request that got no reply is not done: a new run asks again.
    """
    named, seed = f"{client.server} {client.model}", recipe.ask.seed
    keys = {each.name: [named, repr(each), str(recipe.ask)] for each in elements}
    new = [each for each in elements if not steps.has(ASK, keys[each.name])]
    described = {
        element.name: found
        for element, (found,) in _replies(
            client, [(each, [ask.describe(each, seed=seed)]) for each in new], tell, "describing"
        )
    }
    texts = {name: "" if isinstance(f, Failed) else ask.described(f) for name, f in described.items()}
    wanted = [
        (each, [ask.ask(each, texts[each.name] or "", count=recipe.ask.count, seed=seed)])
        for each in new
        if texts[each.name]
    ]
    made = dict[str, Asked]()
    for element, (reply,) in _replies(client, wanted, tell, "asking"):
        if isinstance(reply, Failed):
            made[element.name] = Asked(findings=(ask.failure(element, f"no reply: {reply.reason}"),))
            continue
        good, bad = ask.read(reply, element, made_by=client.model)
        found = Asked(tuple(good), tuple(bad))
        made[element.name] = steps.once(ASK, element.name, keys[element.name], Asked, lambda one=found: one).value
    for element in elements:
        if element.name in made:
            yield made[element.name]
        elif element.name in texts:
            yield _not_described(steps, element, keys[element.name], described[element.name])
        else:
            yield steps.once(ASK, element.name, keys[element.name], Asked, _unreachable).value


def picked(
    steps: Steps,
    recipe: Recipe,
    questions: Sequence[Question],
    elements: Mapping[str, Element],
    client: Cached,
    role: str,
    tell: Tell = silent,
) -> Iterator[Answer]:
    """What a model picks of the questions, in the orders of its role; questions of an element are a unit."""
    orders = answers.JUDGE if role == "judge" else answers.BLIND
    groups: dict[str, list[Question]] = {}
    for each in questions:
        groups.setdefault(each.element, []).append(each)
    named = [f"{client.server} {client.model}", role, str(recipe.filter.seed), str(orders)]
    keys = {name: [*named, repr(elements[name]), *(each.id for each in group)] for name, group in groups.items()}
    new = [name for name in groups if not steps.has(ANSWER, keys[name])]
    wanted = [
        (
            name,
            [
                answers.request(q, elements[name], role, o, seed=recipe.filter.seed)
                for q in groups[name]
                for o in orders
            ],
        )
        for name in new
    ]
    made = dict[str, Answered]()
    for name, replies in _replies(client, wanted, tell, f"{role}: {client.model}"):
        places = [(question, order) for question in groups[name] for order in orders]
        made[name] = Answered(
            tuple(
                answers.answer(question, role, client.model, order, None, why=f"no reply: {reply.reason}")
                if isinstance(reply, Failed)
                else answers.answer(question, role, client.model, order, reply, key=request.of(client.model).key)
                for (question, order), reply, request in zip(places, replies, dict(wanted)[name], strict=True)
            )
        )
        if not any(isinstance(reply, Failed) for reply in replies):
            steps.once(ANSWER, f"{role} {name}", keys[name], Answered, lambda one=made[name]: one)
    for name in groups:
        found = made.get(name) or steps.once(ANSWER, f"{role} {name}", keys[name], Answered, _unreachable).value
        yield from found.answers


def _replies(
    client: Cached, wanted: Sequence[tuple[Unit, list[Request]]], tell: Tell, word: str
) -> Iterator[tuple[Unit, list]]:
    """Each unit with the replies to its requests, as soon as all of them are there."""
    requests = [each for _, group in wanted for each in group]

    def said(progress: Progress) -> None:
        tell(dataclasses.replace(progress, word=word))

    replies = complete_all(client, requests, tell=said)
    for unit, group in wanted:
        yield unit, [next(replies) for _ in group]


def _not_described(steps: Steps, element: Element, key: list[str], reply: object) -> Asked:
    """An element without a description: done where the model gave one that cannot be read, not where it gave none."""
    if isinstance(reply, Failed):
        return Asked(findings=(ask.failure(element, f"no reply: {reply.reason}"),))
    why = ask.why_not(reply) or "the description is not the JSON that was asked for"  # type: ignore[arg-type]
    found = Asked(findings=(ask.failure(element, why),))
    return steps.once(ASK, element.name, key, Asked, lambda: found).value


def _unreachable() -> Any:
    raise AssertionError("a unit that is done is not made again")
