"""Recipes: what a TOML file says is what is run; what it says wrong is named."""

import re

import numpy as np
import pandas as pd
import pytest

from lleval_jax.data.preferences import read_preferences
from lleval_jax.errors import BadInput
from lleval_jax.training import weak_text
from lleval_jax.training.losses import AOT
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import recipe
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.values.preferences import Preferences

GOOD = """
model = "tiny-lm"
data = "pairs.jsonl"
out = "run"
held_out = 0.25
unfit = "drop"
dtype = "bfloat16"
tensorboard = true
[loss]
name = "aot"
beta = 0.5
penalty = "squared_hinge"
[adapter]
rank = 4
targets = ["query", "mlp.*"]
learn = "B"
[schedule]
steps = 7
betas = [0.9, 0.95]
[mesh]
fsdp = 2
tensor = 4
"""


def read(tmp_path, text: str) -> recipe.Recipe:
    (tmp_path / "recipe.toml").write_text(text)
    return recipe.read(tmp_path / "recipe.toml")


def test_a_recipe_says_all_of_a_run(tmp_path) -> None:
    found = read(tmp_path, GOOD)
    assert found.loss == AOT(beta=0.5, penalty="squared_hinge")
    assert found.adapter == Lora(rank=4, targets=("query", "mlp.*"), learn="B")
    assert found.schedule == Schedule(steps=7, betas=(0.9, 0.95))
    assert (found.model, found.data, found.out) == ("tiny-lm", str(tmp_path / "pairs.jsonl"), str(tmp_path / "run"))
    assert found.held_out == 0.25
    assert (found.unfit, found.tensorboard) == ("drop", True)
    assert (found.dtype, found.kept_as) == ("bfloat16", "bfloat16")
    assert found.mesh is not None
    assert dict(found.mesh.mesh().shape) == {"data": 1, "fsdp": 2, "tensor": 4}
    short = read(tmp_path, GOOD[: GOOD.index("[adapter]")])
    assert short.adapter is None
    assert (short.dtype, short.kept_as) == ("bfloat16", "float32")
    assert short.mesh is None


WRONG = [
    ("beta = 0.5", "beta = 'big'", "[loss] beta is 'big': Expected `float`, got `str`"),
    ("beta = 0.5", "beeta = 0.5", "[loss] has no 'beeta'; did you mean 'beta'?"),
    ('name = "aot"', 'name = "apo"', "'apo'"),
    ("[schedule]", "[shedule]", "has no 'shedule'"),
    ("held_out = 0.25", "held_out = 1.5", "held_out is 1.5; it is a share from 0 to below 1"),
    ('data = "pairs.jsonl"\n', "", "has no 'data'"),
    ("steps = 7", "steps = 0", "steps is 0; it is at least 1"),
    ("[loss]", "[loss", "is not TOML"),
    ('dtype = "bfloat16"', 'dtype = "int8"', "dtype is 'int8': Invalid enum value 'int8'"),
    ('unfit = "drop"', 'unfit = "ignore"', "unfit is 'ignore': Invalid enum value 'ignore'"),
    ('learn = "B"', 'learn = "C"', "learn"),
    ("fsdp = 2", "fdsp = 2", "[mesh] has no 'fdsp'; did you mean 'fsdp'?"),
]


@pytest.mark.parametrize(("one", "other", "message"), WRONG, ids=[message[:30] for *_, message in WRONG])
def test_what_is_wrong_in_a_recipe_is_named(tmp_path, one: str, other: str, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        read(tmp_path, GOOD.replace(one, other))


WEAK = [
    ('"smoothing"\nshare = 0.2', weak_text.TextSmoothing(0.2)),
    ('"confidence"\ncoef = 0.3\nwarm_up = 0.2\njump = true', weak_text.TextConfidence(0.3, 0.2, True)),
    ('"product"\nalpha = 2.0\nbeta = 0.5\nshare = 0.05', weak_text.TextProduct(2.0, 0.5, 0.05)),
]
WEAK_WRONG = [
    ('"smoothing"\nshare = 1.0', "share is 1; it is from 0 to below 1"),
    ('"confidence"\ncoeff = 0.3', "[loss] has no 'coeff'; did you mean 'coef'?"),
    ('"confidence"\njump = "yes"', "[loss] jump is 'yes': Expected `bool`, got `str`"),
    ('"confidence"\nwarm_up = 2.0', "warm_up is 2; it is a share of the steps"),
    ('"product"\nshare = 0.0', "share is 0; it is above 0 and below 1"),
]
PLACE = 'name = "aot"\nbeta = 0.5\npenalty = "squared_hinge"'


@pytest.mark.parametrize(("said", "loss"), WEAK, ids=[type(loss).__name__ for _, loss in WEAK])
def test_a_recipe_takes_the_losses_of_weak_texts(tmp_path, said: str, loss: weak_text.WeakText) -> None:
    assert read(tmp_path, GOOD.replace(PLACE, f"name = {said}")).loss == loss


@pytest.mark.parametrize(("said", "message"), WEAK_WRONG, ids=[message[:30] for _, message in WEAK_WRONG])
def test_wrong_settings_of_weak_texts_are_named(tmp_path, said: str, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        read(tmp_path, GOOD.replace(PLACE, f"name = {said}"))


def test_recipes_that_ship_are_read() -> None:
    """Each by its name, and what they learn from is there where it ships."""
    for path in sorted(recipe.SHIPPED.glob("*.toml")):
        found = recipe.read(f"demo:{path.stem}")
        if found.model == "tiny-lm":
            learned, held_out = found.parts(read_preferences(found.data))
            assert len(learned.chosen.answers) == 3 * len(held_out.chosen.answers) > 150
    assert {type(recipe.read(f"demo:{name}").loss).__name__ for name in ("aot", "sft")} == {"AOT", "SFT"}


def test_held_out_prompts_are_in_one_part_only() -> None:
    rows = [{"prompt": f"q{i // 2}", "chosen": f"a{i}", "rejected": f"b{i}"} for i in range(40)]
    data = Preferences.from_frame(pd.DataFrame(rows))
    learned, held = data.split(0.25, np.random.default_rng(0))
    assert (len(learned.chosen.answers), len(held.chosen.answers)) == (30, 10)
    assert not set(learned.chosen.prompts) & set(held.chosen.prompts)
    assert held.chosen.prompts == held.rejected.prompts
    with pytest.raises(BadInput, match="holding out 0.01 of 20 prompts leaves a part without answers"):
        data.split(0.01, np.random.default_rng(0))
