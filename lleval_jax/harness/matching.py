"""Whether what a model wrote is the right answer: four ways, by name."""

import re
import unicodedata
from collections.abc import Callable, Mapping

from lleval_jax.errors import BadInput

ARTICLES = re.compile(r"\b(a|an|the)\b")
BETWEEN = re.compile(r"(?<=\d),(?=\d{3}\b)")  # of 1,000
APART = re.compile(r"(?<!\d)[.]|[.](?!\d)|[^\w\s.]|_")  # all marks but the point of a number


def normalised(text: str) -> str:
    """Lower case, without marks, English articles and commas in numbers, one blank between words.

    As SQuAD's script compares answers (Rajpurkar et al. 2016), but a point between digits and Unicode's letters stay.

    Example:
        >>> normalised("  The cost: $1,250.50. ")
        'cost 1250.50'
    """
    text = unicodedata.normalize("NFKC", text).lower()
    text = APART.sub(" ", BETWEEN.sub("", text))
    return " ".join(ARTICLES.sub(" ", text).split())


def exact(written: str, right: str) -> bool:
    """The same text, but for blanks around it."""
    return written.strip() == right.strip()


def same(written: str, right: str) -> bool:
    """The same text once both are `normalised`."""
    return normalised(written) == normalised(right)


def contains(written: str, right: str) -> bool:
    """The right answer occurs as whole words, once both are `normalised`."""
    return f" {normalised(right)} " in f" {normalised(written)} "


def regex(written: str, right: str) -> bool:
    """The right answer is a regular expression that is found in the text."""
    return re.search(right, written) is not None


MATCHES: Mapping[str, Callable[[str, str], bool]] = {
    "exact": exact,
    "normalised": same,
    "contains": contains,
    "regex": regex,
}


def require_answer(right: str, match: str, where: str) -> None:
    """`BadInput` for a right answer that nothing, or no text, could match."""
    if match == "regex":
        try:
            re.compile(right)
        except re.error as error:
            raise BadInput(f"{where}: answer {right!r} is no regular expression: {error}") from error
    elif not (right.strip() if match == "exact" else normalised(right)):
        raise BadInput(f"{where}: answer {right!r} is empty{'' if match == 'exact' else ' once it is normalised'}")
