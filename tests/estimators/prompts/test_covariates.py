"""Covariates of prompts: counted by hand, the published templates, and what principal components must keep."""

import csv
from typing import Any

import numpy as np
import pytest

from lleval_jax.errors import BadInput
from lleval_jax.estimators.prompts import covariates

NOT_TEXT: Any = 2
TEXT = 'Answer: (A) or (b)?\nSAY - "no" :: || <sep> 2: Answer: It\'s'


def test_counts_by_hand():
    matrix, names = covariates.features([TEXT, "plain words"])
    assert matrix.dtype == np.float64
    assert dict(zip(names, matrix[0], strict=True)) == {
        "upper words": 2,  # (A) SAY
        "lower words": 4,  # or (b)? "no" <sep>
        "title words": 3,  # Answer: (A) Answer:, and not It's, whose s begins a word to Python
        "line breaks": 1,
        "count :": 5,
        "count -": 1,
        "count ||": 1,
        "count <sep>": 1,
        "count ::": 1,
        "count (": 2,
        "count )": 2,
        'count "': 2,
        "count ?": 1,
        "spaces": 11,
        "characters": len(TEXT),
        "word 2:": 1,
        "word Answer:": 2,
    }
    assert matrix[1].sum() == 2 + 1 + len("plain words")


def test_framing_words_of_other_texts_give_the_same_columns():
    _, names = covariates.features(["Question: x", "Answer: y"])
    matrix, again = covariates.features(["Answer: Z:"], framing=("Answer:", "Question:"))
    assert again == names
    assert matrix[0, -2:].tolist() == [1, 0]


def test_no_texts():
    assert covariates.features([])[0].shape == (0, 15)


def test_published_mmlu_templates(shared):
    """Separator and casing of the templates' metadata are in the counts."""
    with open(shared / "data" / "multi_prompt" / "prompteval_mmlu_templates.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    matrix, names = covariates.features([row["template"] for row in rows])
    column = dict(zip(names, matrix.T, strict=True))
    separator = np.array([row["sep"] for row in rows])
    assert set(separator[column["count <sep>"] > 0]) == {"<sep>"}
    assert (column["count <sep>"][separator == "<sep>"] >= 3).all()
    assert (column["count ?"] == 0).all()
    breaks = np.array(["\n" in row["space"] for row in rows])
    np.testing.assert_array_equal(column["line breaks"] > 0, breaks)
    assert matrix.shape[0] == 100
    reduced = covariates.pca(matrix)
    assert np.linalg.matrix_rank(reduced) == reduced.shape[1] <= 25


def test_published_judge_templates(shared):
    """The stored embeddings are principal components: `pca` gives them back but for signs."""
    with np.load(shared / "data" / "multi_prompt" / "prompteval_judge_templates.npz") as stored:
        texts, embeddings = stored["templates"].tolist(), stored["embeddings"].astype(float)
    again = covariates.pca(embeddings)
    np.testing.assert_allclose(np.abs(again), np.abs(embeddings), atol=1e-5)
    assert len(covariates.pca_filter(covariates.features(texts)[0])) == 100


def test_published_counts_of_the_judge_templates(shared):
    """Sums and sums of squares over the templates by `get_covariates.vectorize_string` at commit c238d64.

    Its column of the empty string is the length plus one, and stands here last.
    """
    with np.load(shared / "data" / "multi_prompt" / "prompteval_judge_templates.npz") as stored:
        matrix, _ = covariates.features(stored["templates"].tolist())
    matrix[:, -1] += 1
    assert matrix.sum(0).tolist() == [397, 15414, 1869, 3300, 600, 112, 0, 0, 0, 100, 100, 3200, 0, 21347, 125355]
    squares = [1617, 2377732, 34953, 108900, 3600, 160, 0, 0, 0, 100, 100, 102400, 0, 4558763, 157205185]
    assert (matrix**2).sum(0).tolist() == squares


def test_principal_components_keep_distances_and_are_uncorrelated():
    x = np.random.default_rng(0).normal(size=(30, 6)) * [5, 3, 2, 1, 1, 1]
    z = covariates.pca_filter(np.hstack([x, x[:, :1] + x[:, 1:2], np.ones((30, 1))]))
    assert z.shape == (30, 6)
    np.testing.assert_allclose(z.T @ z, np.diag((z**2).sum(0)), atol=1e-9)
    assert (np.diff(z.var(0)) < 0).all()
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-12)
    x = x - x.mean(0)
    np.testing.assert_allclose(covariates.pca(x) @ covariates.pca(x).T, x @ x.T, atol=1e-9)


def test_a_direction_of_no_account_is_left_out():
    x = np.random.default_rng(1).normal(size=(500, 3)) * [1, 0.1, 0.002]
    assert covariates.pca(x).shape == (500, 2)
    assert covariates.pca(x, dims=1).shape == (500, 1)


def test_standardise():
    x = np.random.default_rng(2).normal(size=(40, 3)) * [1, 50, 0] + [3, 1e6, 0.1]
    z, kept = covariates.standardise(x)
    assert kept.tolist() == [True, True, False]
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(z.std(0), 1)


def test_one_hot():
    matrix, names = covariates.one_hot({"case": ["up", "low", "up"], "gap": [1, 2, 3]})
    assert names == ("case=up", "case=low", "gap=1", "gap=2", "gap=3")
    assert matrix.tolist() == [[1, 0, 1, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1]]


def test_embed_calls_in_batches_and_keeps_the_order():
    sizes = []

    def function(texts):
        sizes.append(len(texts))
        return [[len(text), 1.0] for text in texts]

    texts = ["x" * n for n in range(7)]
    np.testing.assert_array_equal(covariates.embed(texts, function=function, batch=3)[:, 0], np.arange(7))
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda texts: np.ones(len(texts)), r"the embedding of 2 texts from 0 on is \(2,\); return \(texts, width\)"),
        (lambda texts: np.ones((len(texts), len(texts[0]))), r"1 texts from 2 on is \(1, 5\); .* width 1 as before"),
        (lambda texts: np.full((len(texts), 2), np.nan), r"texts from 0 on is not finite at \(0, 0\)"),
    ],
)
def test_embeddings_of_a_wrong_shape(function, message):
    with pytest.raises(BadInput, match=message):
        covariates.embed(["a", "b", "ccccc"], function=function, batch=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: covariates.features("text"), "texts is one string; give a list"),
        (lambda: covariates.features(["a", NOT_TEXT]), r"texts\[1\] is int; give a string"),
        (lambda: covariates.pca(np.ones((4, 2))), "the 4 prompts have equal features"),
        (lambda: covariates.standardise(np.zeros((0, 3))), r"features is \(0, 3\); give \(prompts, features\)"),
        (lambda: covariates.pca(np.eye(3), dims=0), "dims is 0; ask for one component"),
        (lambda: covariates.embed([], function=len), "there are no texts"),
        (lambda: covariates.one_hot({"a": [1], "b": [1, 2]}), r"columns have lengths \{'a': 1, 'b': 2\}"),
    ],
)
def test_wrong_calls_say_what_was_found(call, message):
    with pytest.raises(BadInput, match=message):
        call()
