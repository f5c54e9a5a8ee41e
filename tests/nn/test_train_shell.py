"""`lleval train` from a recipe to what it keeps, on a model of a few thousand weights; what it says of bad input."""

import json
import pathlib

import pytest
from nn.test_runs import tiny

from lleval_jax import lm
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK

RECIPE = """
model = "tiny"
data = "data.jsonl"
held_out = 0.25
out = "run"
{more}
[loss]
name = "{loss}"
[schedule]
steps = 3
batch = 6
rate = 1e-2
"""
CHAT = "\n\nHuman: Who sold {} clips?\n\nAssistant: {} sold them."
PAIRS = [{"chosen": CHAT.format(i, "Natalia"), "rejected": CHAT.format(i, "Paris")} for i in range(8)]
ANSWERS = [{"prompt": f"Who sold {i}?", "completion": f"Natalia sold {i}."} for i in range(8)]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> pathlib.Path:
    return lm.save(tiny(), tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def place(tmp_path, model) -> pathlib.Path:
    (tmp_path / "tiny").symlink_to(model)
    return tmp_path


def written(place: pathlib.Path, rows: list[dict], loss: str, more: str = "") -> str:
    (place / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "recipe.toml").write_text(RECIPE.format(loss=loss, more=more))
    return str(place / "recipe.toml")


@pytest.mark.slow
def test_answers_are_learned_and_a_run_that_has_ended_stays(place, capsys) -> None:
    recipe = written(place, ANSWERS, "sft", 'dtype = "bfloat16"')
    words = ["train", recipe, "--json", str(place / "out.json"), "--plot", str(place / "loss.png")]
    assert run(words) == OK
    found = json.loads((place / "out.json").read_text())
    assert [record["step"] for record in found["history"]] == [1, 2, 3]
    assert {entry["group"] for entry in found["held_out"]} >= {"loss", "perplexity", "perplexity before"}
    assert (place / "loss.png").stat().st_size > 1000
    assert lm.load(place / "run" / "model").config == lm.load(place / "tiny").config
    said = capsys.readouterr().out
    assert "SFT on" in said
    assert "MFU" in said
    assert run(words[:-2]) == OK
    again = json.loads((place / "out.json").read_text())
    assert again["history"] == found["history"]


@pytest.mark.slow
def test_weak_texts_are_learned_with_confidence(place, capsys) -> None:
    recipe = written(place, ANSWERS, 'confidence"\ncoef = 0.5\njump = true\n#"')
    assert run(["train", recipe, "--json", str(place / "out.json")]) == OK
    found = json.loads((place / "out.json").read_text())
    assert [record["step"] for record in found["history"]] == [1, 2, 3]
    assert {entry["group"] for entry in found["held_out"]} >= {"loss", "perplexity", "perplexity before"}
    assert "TextConfidence on" in capsys.readouterr().out


def test_a_wrong_setting_of_weak_texts_is_one_line(place, capsys) -> None:
    assert run(["-q", "train", written(place, ANSWERS, 'product"\nbeta = -1.0\n#"')]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "beta -1; above 0, at least 0" in said
    assert said.count("\n") == 1


BAD = [
    ([*PAIRS, {"chosen": CHAT.format(1, "x"), "rejected": CHAT.format(2, "x")}], "aot", "data.jsonl:9: 'chosen' and"),
    ([*PAIRS, {"chosen": CHAT.format(1, ""), "rejected": CHAT.format(1, "x")[:-12]}], "dpo", "data.jsonl:9: "),
    (ANSWERS, "aot", 'AOT needs rejected answers too, and the data has chosen ones only. Say name = "sft" in [loss].'),
    ([row | {"label": "great"} for row in ANSWERS], "kto", "data.jsonl:1: the label is 'great'"),
    (
        [row | {"label": 1} for row in ANSWERS],
        "kto",
        "no answer has the label bad; alignment needs good and",
    ),
    (
        [*ANSWERS, {"prompt": "q", "completion": ""}],
        "sft",
        "data.jsonl:9: 'completion' is empty. Leave the row out, ",
    ),
    ([*ANSWERS, {"prompt": "q " * 300, "completion": "a"}], "sft", 'Say long = "drop" or long = "cut" in the recipe.'),
]


@pytest.mark.parametrize(("rows", "loss", "message"), BAD, ids=[message[:40] for *_, message in BAD])
def test_bad_input_is_one_line(place, capsys, rows: list[dict], loss: str, message: str) -> None:
    assert run(["-q", "train", written(place, rows, loss)]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1
