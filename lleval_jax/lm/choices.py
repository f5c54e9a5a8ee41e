"""Multiple choice: which of several answers a language model finds most probable."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from lleval_jax.errors import require, require_known
from lleval_jax.lm.logprobs import CHUNKS, Chunks
from lleval_jax.lm.rows import Text
from lleval_jax.lm.score import SHARED, Scored, score
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.value import Value

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

By: TypeAlias = Literal["sum", "token", "character"]
BY = ("sum", "token", "character")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Chosen(Value):
    """Which option of each question is the most probable.

    best    int (rows,)               its number, from 0; of equals the first
    scores  float64 (rows, options)   what options were compared by; -inf where a question has fewer
    sums    float64 (rows, options)   log-probability of each, in nats; -inf where a question has fewer
    """

    best: np.ndarray
    scores: np.ndarray
    sums: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Of each option among those given, float64 (rows, options), by what they were compared by."""
        likely = np.exp(self.scores - self.scores.max(1, keepdims=True))
        return likely / likely.sum(1, keepdims=True)


def choices(
    model: "LanguageModel",
    prompts: Sequence[Text],
    options: Sequence[str] | Sequence[Sequence[Text]],
    *,
    by: By = "sum",
    chat: bool = False,
    share: int = SHARED,
    batch: int | None = None,
    chunks: Chunks = CHUNKS,
    tell: Tell = silent,
) -> Chosen:
    """The most probable of several answers to each prompt.

    Each prompt is read once for all of its options. As in `score`, an option brings the blank before it: " Paris".

    Args:
        model: what `lm.load` gives.
        prompts: texts or token ids.
        options: texts that are the same for all prompts, or for each prompt its own texts or token ids.
        by: "sum" compares log-probabilities (accuracy of lm-evaluation-harness), "token" those per token, "character"
            those per character, blanks around an option not counted (its normalised accuracy).
        chat: put prompts into the model's chat template.
        share: as in `score`.
        batch: as in `score`.
        chunks: as in `score`.
        tell: called with the tokens done, of how many.

    Raises:
        BadInput: as `score`, with the prompt and its option; a prompt has no options; or token ids and by="character".

    Example:
        >>> lm.choices(model, ["Ice is", "Fire is"], [" hot", " cold"]).best  # doctest: +SKIP
        array([1, 0])
    """
    require_known(by, BY, "by")
    alike = all(isinstance(one, str) for one in options)
    each: list[list[Text]] = [list(own) for own in ([options] * len(prompts) if alike else options)]  # type: ignore[arg-type]
    counts = f"there are {len(prompts)} prompts and options for {len(each)}"
    require(len(each) == len(prompts), f"{counts}; give the options of each prompt, or texts that are those of all")
    for i, own in enumerate(each):
        require(len(own) > 0, f"prompt {i} has no options")
        lacking = any(not isinstance(one, str) or not one.strip() for one in own)
        require(by != "character" or not lacking, f"prompt {i}: options without characters cannot be compared by them")
    flat = [one for own in each for one in own]
    asked = [prompt for prompt, own in zip(prompts, each, strict=True) for _ in own]
    scored = score(model, asked, flat, chat=chat, share=share, batch=batch, chunks=chunks, tell=tell)
    there = np.arange(max(map(len, each), default=0)) < np.array([len(own) for own in each], int)[:, None]
    scores, sums = (_table(there, values) for values in (scored.sums / _sizes(scored, flat, by), scored.sums))
    return Chosen(scores.argmax(1), scores, sums)


def _sizes(scored: Scored, flat: Sequence[Text], by: By) -> np.ndarray:
    """What each sum is divided by."""
    if by == "character":
        return np.array([len(str(one).strip()) for one in flat], int)
    return scored.lengths if by == "token" else np.ones(len(flat), int)


def _table(there: np.ndarray, values: np.ndarray) -> np.ndarray:
    table = np.full(there.shape, -np.inf)
    table[there] = values
    return table
