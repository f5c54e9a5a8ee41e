"""MiniLM itself: known cosines, and the vectors that transformers gives."""

import pathlib

import numpy as np
import pytest

from lleval_jax import lm
from lleval_jax.lm import registry

pytestmark = pytest.mark.realmodel

TEXTS = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The new movie is awesome.",
    "Stocks fell sharply on Friday.",
    "The cat sits outside. " * 60,  # 300 tokens and more: cut
]


@pytest.fixture(scope="module")
def folder() -> pathlib.Path:
    """The folder of MiniLM."""
    found = registry.find("minilm")
    if found is None:
        pytest.skip("needs MiniLM: lleval models fetch minilm")
    return found


def test_a_paraphrase_is_near_and_other_texts_are_not(folder: pathlib.Path) -> None:
    encoder = lm.load_encoder("minilm")
    assert encoder.use == ("mean", True, 256)
    vectors = lm.embed(encoder, TEXTS)
    cosines = vectors @ vectors.T
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-6)
    assert cosines[0, 1] > 0.7 > 0.3 > np.abs(cosines[0, 2:4]).max()


@pytest.mark.parity
def test_vectors_are_those_of_transformers(folder: pathlib.Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra `parity`: PyTorch")
    transformers = pytest.importorskip("transformers", reason="the extra `parity`: transformers")
    tokens, model = transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder)
    given = tokens(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model.eval()(**given).last_hidden_state
    mask = given["attention_mask"][..., None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    wanted = torch.nn.functional.normalize(mean).numpy()
    encoder = lm.load_encoder("minilm")
    np.testing.assert_allclose(lm.embed(encoder, TEXTS), wanted, atol=1e-4, rtol=0)
    np.testing.assert_allclose(lm.embed(encoder, TEXTS, unit=False), mean.numpy(), atol=1e-4, rtol=0)
