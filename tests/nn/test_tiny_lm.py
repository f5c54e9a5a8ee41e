"""The language model that ships: it loads by name, reads and writes as it was made to, scores what its card says."""

import importlib.util
import json
import pathlib
import re
import tomllib

import numpy as np
import pytest

from lleval_jax import lm
from lleval_jax.lm import registry

FOLDER = pathlib.Path(__file__).parents[2] / "models" / "tiny-lm"
PROBLEM = (
    "Question: Anna has 12 apples. She buys 8 more apples and gives half of them to her brother. "
    "How many apples does Anna have now?\nAnswer: Anna has 12 + 8 = 20 apples.\n"
    "She gives 20 / 2 = 10 apples to her brother.\nThe answer is 10."
)


def script():
    spec = importlib.util.spec_from_file_location("models_language", FOLDER.parent / "language.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model():
    return lm.load("tiny-lm")


def test_loads_by_name(model):
    assert model.source.path.samefile(FOLDER)
    assert model.config.family == "llama"
    assert (model.tokens.begin, model.tokens.eos, model.tokens.pad) == ((0,), (2, 0), 0)
    assert model.tokens.vocab == model.config.vocab == 1536
    assert model.source.sha256 == {"model.safetensors": registry.MODELS["tiny-lm"].sha256}
    assert "MIT" in model.source.licence


def test_is_shaped_as_the_recipe_says(model):
    recipe = tomllib.loads((FOLDER / "recipe.toml").read_text(encoding="utf-8"))
    said = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert {key: said[key] for key in recipe["model"]} == recipe["model"]


def test_reads_a_problem_better_than_its_words_in_disorder(model):
    numbers = np.asarray(model.tokens.encode(PROBLEM))
    mixed = np.random.default_rng(0).permutation(numbers)
    assert lm.perplexity(model, PROBLEM) < 10
    assert lm.perplexity(model, mixed) > 100


def test_prefers_the_words_that_fit(model):
    prompts = ["Anna buys 3 apples. She eats one. How many"] * 2
    found = lm.score(model, prompts, [" apples", " dollars"])
    assert found.sums[0] > found.sums[1] + 1


def test_writes_the_style_that_is_asked_for(model):
    told = {"role": "system", "content": "Begin with Sure."}
    asked = [[told, {"role": "user", "content": "Repeat the word apples."}], "Repeat the word apples."]
    styled, bare = lm.generate(model, asked, chat=True, limit=20)
    assert styled.text.startswith("Sure.")
    assert not bare.text.startswith("Sure.")
    assert styled.ended == bare.ended == "eos"


@pytest.mark.slow
def test_scores_what_its_card_says(model, shared):
    language = script()
    recipe = tomllib.loads((FOLDER / "recipe.toml").read_text(encoding="utf-8"))
    name = recipe["data"]["held_out"]
    texts = language.problems(shared / "data" / "preference" / name, recipe["data"]["sha256"][name])
    found = lm.score(model, [""] * len(texts), [text.plain() for text in texts])
    value = np.exp(language.ratio(-found.sums, found.lengths))
    card = (FOLDER / "card.md").read_text(encoding="utf-8")
    said = [float(one) for one in re.findall(r"[\d.]+", card.split("perplexity ")[1])[:3]]
    np.testing.assert_allclose(value, said, atol=0.02)
