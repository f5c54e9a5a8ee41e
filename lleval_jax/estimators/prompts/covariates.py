"""Covariates of prompts from their texts: counts, categories, embeddings, principal components (PromptEval, sec. 2.4).

Maia Polo et al. 2024, arXiv:2405.17202, and its code (`get_features.py`, `utils.pca_filter`), whose count of the empty
string is the text's length plus one; here the length stands under its own name. Repeated words and all strings are
counted as the code does: without overlap, so that "::" is also two ":".
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lleval_jax.errors import require
from lleval_jax.renamed import renamed

STRINGS = (":", "-", "||", "<sep>", "::", "(", ")", '"', "?")
KEPT = 1e-5  # share of the variance that a direction must have

Matrix = np.ndarray
Names = tuple[str, ...]


def features(texts: Sequence[str], *, framing: Sequence[str] | None = None) -> tuple[Matrix, Names]:
    """The paper's discrete features: words by case, line breaks, strings, spaces, characters, framing words.

    Constant columns are kept, so that the columns of two sets of texts agree but for their framing words.

    Args:
        texts: one template each.
        framing: words to count, such as "Answer:"; None finds in `texts` the words that begin with a capital or a
            number and hold a colon. Give those of the fitted prompts to describe a new one.

    Returns:
        (prompts, features) float64 counts, and the names of the columns.
    """
    require(not isinstance(texts, str), "texts is one string; give a list of them")
    for index, text in enumerate(texts):
        require(isinstance(text, str), f"texts[{index}] is {type(text).__name__}; give a string")
    framing = framing_words(texts) if framing is None else tuple(framing)
    names = ("upper words", "lower words", "title words", "line breaks")
    names += tuple(f"count {string}" for string in STRINGS) + ("spaces", "characters")
    counts = [_counts(text, framing) for text in texts]
    names += tuple(f"word {word}" for word in framing)
    return np.array(counts, float).reshape(len(texts), len(names)), names


def framing_words(texts: Sequence[str]) -> Names:
    """Words such as "Answer:" in any of the texts, sorted: begun by a capital or a number, with a colon."""
    words = {word for text in texts for word in text.split()}
    return tuple(sorted(word for word in words if ":" in word and (word[0].isupper() or word[0].isnumeric())))


def _counts(text: str, framing: Names) -> list[int]:
    words = text.split()
    cases = [sum(map(case, words)) for case in (str.isupper, str.islower, str.istitle)]
    strings = [text.count(string) for string in ("\n", *STRINGS, " ")]
    return [*cases, *strings, len(text), *(words.count(word) for word in framing)]


def one_hot(columns: Mapping[str, Sequence[object]]) -> tuple[Matrix, Names]:
    """A 0/1 column for each value of each named column: (prompts, values), names such as "separator=||".

    The paper's features of MMLU's templates, whose separator, spacing and casing are known. The values of a column sum
    to 1: take `pca` of the result, or drop one of each, where a level is fitted too.
    """
    sizes = {name: len(values) for name, values in columns.items()}
    require(len(set(sizes.values())) == 1, f"columns have lengths {sizes}; give one value for each prompt")
    indicators = [(name, value) for name, values in columns.items() for value in dict.fromkeys(values)]
    matrix = [[float(other == value) for other in columns[name]] for name, value in indicators]
    return np.array(matrix).T, tuple(f"{name}={value}" for name, value in indicators)


def standardise(features: Matrix) -> tuple[Matrix, np.ndarray]:
    """Columns of mean 0 and standard deviation 1, without the constant ones.

    (prompts, features) -> (prompts, kept) and which were kept, (features,) bool.
    """
    features = _checked(features, "features")
    spread = features.std(0)
    kept = spread > 1e-9 * np.abs(features).max(0, initial=0)
    return (features[:, kept] - features[:, kept].mean(0)) / spread[kept], kept


@renamed(size="dims")
def pca(features: Matrix, *, dims: int | None = 25) -> Matrix:
    """Principal components, those with more than 1e-5 of the variance of the first `dims` (`pca_filter`).

    Centred and not scaled: (prompts, features) -> (prompts, at most `dims`), the largest first. A component's sign is
    such that its largest loading is positive. `dims=None` takes all.

    Raises:
        BadInput: features are not finite, or do not differ between prompts.
    """
    features = _checked(features, "features")
    require(dims is None or dims > 0, f"dims is {dims}; ask for one component at least")
    left, spread, loading = np.linalg.svd(features - features.mean(0), full_matrices=False)
    variance = spread[:dims] ** 2
    require(
        bool(variance.sum() > 0), f"the {len(features)} prompts have equal features; there is nothing to tell them by"
    )
    sign = np.sign(loading[np.arange(len(loading)), np.abs(loading).argmax(1)])
    kept = np.flatnonzero(variance > KEPT * variance.sum())
    return (left * spread * sign)[:, kept]


def pca_filter(features: Matrix) -> Matrix:
    """All principal components with more than 1e-5 of the variance: columns that a fit can distinguish."""
    return pca(features, dims=None)


def embed(texts: Sequence[str], *, function: Callable[[list[str]], object], batch: int = 32) -> Matrix:
    """Embeddings by any function from a list of texts to an array (texts, width), called on `batch` texts at a time.

    Returns:
        (prompts, width) float64; `pca` of it is what the paper fits.

    Raises:
        BadInput: no texts, or the function returned another shape or a number that is not finite.
    """
    require(len(texts) > 0, "there are no texts to embed")
    require(batch > 0, f"batch is {batch}; give 1 at least")
    parts: list[np.ndarray] = []
    for start in range(0, len(texts), batch):
        asked = list(texts[start : start + batch])
        part = np.asarray(function(asked), float)
        width = parts[0].shape[1] if parts else part.shape[-1] if part.ndim else 0
        require(
            part.shape == (len(asked), width),
            f"the embedding of {len(asked)} texts from {start} on is {part.shape}; return (texts, width)"
            + (f", width {width} as before" if parts else ""),
        )
        parts.append(_checked(part, f"the embedding of texts from {start} on"))
    return np.concatenate(parts)


def _checked(features: Matrix, name: str) -> Matrix:
    """Finite float64 of two axes."""
    features = np.asarray(features, float)
    require(features.ndim == 2 and len(features) > 0, f"{name} is {features.shape}; give (prompts, features)")
    bad = np.argwhere(~np.isfinite(features))
    require(len(bad) == 0, f"{name} is not finite at {tuple(map(int, bad[0])) if len(bad) else ()}")
    return features
