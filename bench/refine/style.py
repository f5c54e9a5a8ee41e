"""Does a small model take up a style that it is shown, and its faults? Log-probabilities of styled and plain answers.

Twenty-four short questions, each with a plain answer and the same in a pirate's words, all right. SmolLM2 is shown
some styled answers to others of them, as `refine` shows them; then both answers are scored, in nats a token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import lm
from lleval_jax.training.refine.demonstrate import Demonstrate
from lleval_jax.training.refine.prompts import Decoding
from lleval_jax.values.pool import Pool

FACTS = (  # question, subject, what is said of it
    ("What is bread?", "bread", "baked dough of flour and water"),
    ("What is the capital of France?", "the capital of France", "Paris"),
    ("What is honey?", "honey", "a sweet food that bees make"),
    ("What is the opposite of hot?", "the opposite of hot", "cold"),
    ("What is ice?", "ice", "frozen water"),
    ("Which planet do we live on?", "our planet", "the Earth"),
    ("What is a baby cat called?", "a baby cat", "a kitten"),
    ("What color is the sky on a clear day?", "the clear sky", "blue"),
    ("What is the capital of Italy?", "the capital of Italy", "Rome"),
    ("What is a hammer for?", "a hammer", "for driving nails"),
    ("What is rain?", "rain", "water that falls from clouds"),
    ("What is the largest animal?", "the largest animal", "the blue whale"),
    ("What is a baby dog called?", "a baby dog", "a puppy"),
    ("What is the opposite of day?", "the opposite of day", "night"),
    ("What is cheese?", "cheese", "a food that is made of milk"),
    ("What is the capital of Japan?", "the capital of Japan", "Tokyo"),
    ("What is a library?", "a library", "a place where books are kept"),
    ("What is the sun?", "the sun", "a star"),
    ("What is wool?", "wool", "the hair of sheep"),
    ("What is a triangle?", "a triangle", "a shape with three sides"),
    ("What is the opposite of old?", "the opposite of old", "young"),
    ("What is an oven for?", "an oven", "for baking food"),
    ("What is a desert?", "a desert", "a dry place where little grows"),
    ("What is the capital of Spain?", "the capital of Spain", "Madrid"),
)
QUESTIONS = tuple(question for question, _, _ in FACTS)
PLAIN = tuple(f"{subject[0].upper()}{subject[1:]} is {said}." for _, subject, said in FACTS)
STYLED = tuple(
    f"{('Arr', 'Ahoy', 'Avast')[i % 3]}, {subject} be {said}, {('matey', 'me hearty')[i % 2]}!"
    for i, (_, subject, said) in enumerate(FACTS)
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    model: str = setting("smollm2", "that is shown styled answers")
    shown: tuple[int, ...] = setting((0, 1, 2, 4, 8), "answers shown")
    questions: int = setting(24, "of them")
    seed: int = setting(0, "of what is shown")


def study(settings: Settings, record: Record) -> None:
    """A row for each number of answers shown."""
    model, n = lm.load(settings.model), settings.questions
    rows = []
    for many in settings.shown:
        asked = prompts(model, many, n, settings.seed)
        styled, plain = (lm.score(model, asked, texts[:n]).means for texts in (STYLED, PLAIN))
        rows.append({"shown": many} | described("styled", styled) | described("plain", plain))
        rows[-1] |= described("styled less plain", styled - plain)
        print(rows[-1], flush=True)
        record.keep({"questions": n, "model": settings.model, "rows": rows})


def described(name: str, each: np.ndarray) -> dict[str, float]:
    """Mean over questions and its standard error."""
    return {name: float(each.mean()), f"{name}, error": float(each.std(ddof=1) / np.sqrt(len(each)))}


def prompts(model: lm.LanguageModel, many: int, n: int, seed: int) -> Sequence[Sequence[int]]:
    """Tokens of each question after demonstrations."""
    pool = Pool(tuple(map(str, range(n))), QUESTIONS[:n], STYLED[:n])
    found = []
    for row, shown in enumerate(Demonstrate(many, seed=seed).choose(pool)):
        request = Decoding().by_examples(QUESTIONS[row], [(QUESTIONS[i], STYLED[i]) for i in shown])
        messages = [{"role": each.role, "content": each.content} for each in request.messages]
        if model.tokens.templates:
            found.append(model.tokens.chat_tokens(messages))
        else:
            found.append(model.tokens.encode("\n".join(each["content"] for each in messages)))
    return found
