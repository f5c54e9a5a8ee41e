"""What inspectors are made of: raw scores of answers, of four kinds.

Embedding(encoder)          vectors of a text encoder, and a logistic regression on them
Encoder(encoder)            the encoder itself learns (`training.classify`)
Margin(aligner, before)     how much more readily an aligner leaves an answer as it is than it did before it learned
Grades(client, criterion)   grades that any model gives
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lleval_jax.lm import once
from lleval_jax.lm.client import Client
from lleval_jax.training.aligners.calibrate import logistic, require_two_classes
from lleval_jax.training.aligners.criterion import Criterion
from lleval_jax.training.aligners.fitting import cut_middle, room_of
from lleval_jax.training.aligners.marks import turns
from lleval_jax.training.aligners.prompts import Asking, read_grade
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.values.progress import Tell, silent

if TYPE_CHECKING:
    import os

    from lleval_jax.lm.load import LanguageModel
    from lleval_jax.lm.text_encoder import TextEncoder
    from lleval_jax.training.classes.classifier import Classifier

Vector = np.ndarray  # float64 (rows,)


class Scorer(Protocol):
    """Raw scores of answers, large for good ones; NaN where there is none."""

    def raw(self, questions: Sequence[str], answers: Sequence[str], tell: Tell = silent) -> Vector:
        """See above."""
        ...


class Kind(Protocol):
    """What becomes a scorer once it has seen good and bad answers."""

    def learn(self, questions: Sequence[str], answers: Sequence[str], good: Vector, tell: Tell = silent) -> Scorer:
        """The scorer; good is 1 or 0. `BadInput` where all are of one class, and both are needed."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """Vectors of answers, their products with those of questions, and lengths, in a logistic regression.

    encoder  any; it does not learn
    penalty  of squared coefficients of standardised features
    """

    encoder: "TextEncoder"
    penalty: float = 10.0

    def learn(self, questions: Sequence[str], answers: Sequence[str], good: Vector, tell: Tell = silent) -> "Line":
        """As `Kind`."""
        require_two_classes(good)
        x = features(self.encoder, questions, answers, tell)
        mean, scale = x.mean(0), x.std(0)
        scale = np.where(scale > 0, scale, 1.0)
        return Line(self.encoder, mean, scale, logistic((x - mean) / scale, np.asarray(good, float), self.penalty))


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """A regression on vectors.

    mean, scale  (features,) by which features are standardised
    weights      (features + 1,) the offset last
    """

    encoder: "TextEncoder"
    mean: Vector
    scale: Vector
    weights: Vector

    def raw(self, questions: Sequence[str], answers: Sequence[str], tell: Tell = silent) -> Vector:
        """As `Scorer`: log-odds."""
        x = (features(self.encoder, questions, answers, tell) - self.mean) / self.scale
        return x @ self.weights[:-1] + self.weights[-1]


def features(
    encoder: "TextEncoder", questions: Sequence[str], answers: Sequence[str], tell: Tell = silent
) -> np.ndarray:
    """(rows, 2 width + 1): of the answer, of answer times question, and the logarithm of the answer's words."""
    from lleval_jax.lm.embed import embed

    distinct = list(dict.fromkeys((*questions, *answers)))
    place = {text: row for row, text in enumerate(distinct)}
    vectors = embed(encoder, distinct, unit=True, tell=tell).astype(float)
    asked, given = (vectors[[place[text] for text in texts]] for texts in (questions, answers))
    words = np.log1p([len(text.split()) for text in answers])
    return np.column_stack([given, given * asked, words])


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """An encoder that learns, with a head, on pairs of question and answer.

    lora      adapters to learn; None: all weights
    schedule  of the training
    out       folder for checkpoints
    """

    encoder: "TextEncoder"
    lora: Lora | None = Lora()
    schedule: Schedule = Schedule()
    out: "str | os.PathLike[str] | None" = None

    def learn(self, questions: Sequence[str], answers: Sequence[str], good: Vector, tell: Tell = silent) -> "Tuned":
        """As `Kind`."""
        from lleval_jax.training.classes import classify

        require_two_classes(good)
        texts, labels = list(zip(questions, answers, strict=True)), [int(each) for each in good]
        words = {"lora": self.lora, "schedule": self.schedule, "out": self.out, "tell": tell}
        return Tuned(classify.fit(self.encoder, texts, labels, **words))


@dataclasses.dataclass(frozen=True, eq=False)
class Tuned:
    """A classifier of answers: 1 is good, 0 is bad."""

    classifier: "Classifier"

    def raw(self, questions: Sequence[str], answers: Sequence[str], tell: Tell = silent) -> Vector:
        """As `Scorer`: log-odds."""
        logits = self.classifier.logits(list(zip(questions, answers, strict=True)), tell=tell).astype(float)
        return logits[:, 1] - logits[:, 0]


@dataclasses.dataclass(frozen=True, eq=False)
class Margin:
    """The mean log-probability a token of an answer as its own correction, less that before the aligner learned.

    aligner  the model of an aligner (`Taught.model`)
    before   the model that it was: `marks.flat(marks.marked(base)[0])`
    """

    aligner: "LanguageModel"
    before: "LanguageModel"

    def learn(self, questions: Sequence[str], answers: Sequence[str], good: Vector, tell: Tell = silent) -> "Margin":
        """Itself: nothing is left to learn."""
        return self

    def raw(self, questions: Sequence[str], answers: Sequence[str], tell: Tell = silent) -> Vector:
        """As `Scorer`: nats a token."""
        from lleval_jax.lm.score import score

        tokens, size = self.aligner.tokens, room_of(self.aligner, 1) // 3
        asked = [cut_middle(tokens, text, size) for text in questions]
        given = [cut_middle(tokens, text, size) for text in answers]
        prompts = [
            tokens.chat_tokens([turn._asdict() for turn in turns(*each)]) for each in zip(asked, given, strict=True)
        ]
        itself = [[*ids, tokens.eos[0]] for ids in tokens.encode_all(given)]
        after, before = (score(model, prompts, itself, tell=tell).means for model in (self.aligner, self.before))
        return np.asarray(after, float) - np.asarray(before, float)


@dataclasses.dataclass(frozen=True, eq=False)
class Grades:
    """Grades from 0 to 1 that a model gives when it is asked; NaN where its reply holds none."""

    client: Client
    criterion: Criterion
    asking: Asking = Asking()

    def learn(self, questions: Sequence[str], answers: Sequence[str], good: Vector, tell: Tell = silent) -> "Grades":
        """Itself: nothing is learned."""
        return self

    def raw(self, questions: Sequence[str], answers: Sequence[str], tell: Tell = silent) -> Vector:
        """As `Scorer`."""
        pairs = zip(questions, answers, strict=True)
        requests = [self.asking.grade(self.criterion, *pair) for pair in pairs]
        found = once.ask_once(self.client, requests, tell=tell)
        values = []
        for request in requests:
            reason, text = once.judged(found[request])
            grade = None if reason else read_grade(text)
            values.append(np.nan if grade is None else grade)
        return np.array(values, float)
