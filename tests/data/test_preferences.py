"""Preferences from files: pairs, labelled answers, chats, and what is wrong with them."""

import json
import pathlib
import re

import numpy as np
import pandas as pd
import pytest

from lleval_jax.data.preferences import read_preferences
from lleval_jax.errors import BadInput, DataWarning
from lleval_jax.values.preferences import Preferences
from lleval_jax.values.turns import Message

PAIR = {"prompt": "2+2=", "chosen": "4", "rejected": "5"}
CHAT = [{"role": "user", "content": "2+2?"}]
SAYS = {word: [*CHAT, {"role": "assistant", "content": word}] for word in ("four", "five")}


def written(tmp_path: pathlib.Path, *rows: dict, name: str = "pairs.jsonl") -> pathlib.Path:
    path = tmp_path / name
    if name.endswith("jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif name.endswith("csv"):
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_pairs_of_any_format_are_the_same(tmp_path: pathlib.Path, name: str) -> None:
    rows = PAIR, {"prompt": "Capital of France?", "chosen": "Paris", "rejected": "Rome"}
    found = read_preferences(written(tmp_path, *rows, name=name))
    assert found.paired
    assert found.chosen.prompts == found.rejected.prompts == ("2+2=", "Capital of France?")
    assert (found.chosen.answers, found.rejected.answers) == (("4", "Paris"), ("5", "Rome"))
    assert found.chosen.rows[1] == f"{name}:{3 if name.endswith('csv') else 2}" or name.endswith("parquet")
    assert list(found.source.files) == [name]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_chats_share_all_but_their_last_message(tmp_path: pathlib.Path, name: str) -> None:
    found = read_preferences(written(tmp_path, {"chosen": SAYS["four"], "rejected": SAYS["five"]}, name=name))
    assert found.chosen.prompts == ((Message("user", "2+2?"),),)
    assert (found.chosen.answers, found.rejected.answers) == (("four",), ("five",))


def test_labelled_answers_are_two_sides_of_any_sizes(tmp_path: pathlib.Path) -> None:
    rows = [{"prompt": "q", "completion": str(i), "label": label} for i, label in enumerate([1, 0, True, "good", 0.0])]
    found = read_preferences(pd.DataFrame(rows))
    assert not found.paired
    assert (found.chosen.answers, found.rejected.answers) == (("0", "2", "3"), ("1", "4"))
    assert repr(found) == "<Preferences: 3 chosen and 2 rejected answers, unpaired>"


HH = "\n\nHuman: {}\n\nAssistant: I can.\n\nHuman: 2+2?\n\nAssistant: {}"


def test_dialogues_in_one_text_are_chats(tmp_path: pathlib.Path) -> None:
    """As HH has them: all before the last turn is the prompt."""
    found = read_preferences(
        written(tmp_path, {"chosen": HH.format("Add!", "4"), "rejected": HH.format("Add!", " 5 ")})
    )
    said = ("user", "Add!"), ("assistant", "I can."), ("user", "2+2?")
    assert found.chosen.prompts == found.rejected.prompts == (tuple(Message(*turn) for turn in said),)
    assert (found.chosen.answers, found.rejected.answers) == (("4",), ("5",))


def test_rows_that_nothing_can_be_learned_from_are_left_out_when_told(tmp_path: pathlib.Path) -> None:
    rows = [
        {"chosen": HH.format("Add!", "4"), "rejected": HH.format("Add!", "5")},
        {"chosen": HH.format("Add!", "4"), "rejected": HH.format("Sum!", "5")},
        {"chosen": HH.format("Add!", ""), "rejected": HH.format("Add!", "5")},
        {"chosen": HH.format("Add!", "4"), "rejected": HH.format("Add!", "4")},
    ]
    path = written(tmp_path, *rows)
    with pytest.raises(BadInput, match=r"pairs.jsonl:2: 'chosen' and 'rejected' differ from turn 1 on") as refused:
        read_preferences(path)
    assert 'unfit = "drop" in the recipe' in refused.value.in_shell()
    with pytest.warns(DataWarning, match="3 of 4 rows are left out, the first because pairs.jsonl:2: 'chosen' and"):
        found = read_preferences(path, unfit="drop")
    assert found.chosen.rows == ("pairs.jsonl:1",)
    with pytest.raises(BadInput, match="no row can be learned from; pairs.jsonl:1: 'chosen' and 'rejected' differ"):
        read_preferences(written(tmp_path, rows[1]), unfit="drop")
    with pytest.raises(BadInput, match="pairs.jsonl:1: the prompt is 7"):
        read_preferences(written(tmp_path, PAIR | {"prompt": 7}), unfit="drop")


@pytest.mark.parametrize("prompt", ["2+2?", CHAT], ids=["text", "chat"])
def test_answers_that_are_whole_chats_begin_with_the_prompt(tmp_path: pathlib.Path, prompt) -> None:
    """As UltraFeedback has them, with the prompt once more in a column of its own."""
    told = read_preferences(written(tmp_path, {"chosen": SAYS["four"], "rejected": SAYS["five"]}))
    found = read_preferences(written(tmp_path, {"prompt": prompt, "chosen": SAYS["four"], "rejected": SAYS["five"]}))
    assert found.sides == told.sides


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_prompt_and_answers_may_all_be_lists_of_messages(tmp_path: pathlib.Path, name: str) -> None:
    last = {word: chat[-1:] for word, chat in SAYS.items()}
    row = {"prompt": CHAT, "chosen": last["four"], "rejected": last["five"]}
    found = read_preferences(written(tmp_path, row, name=name))
    assert found.chosen.prompts == ((Message("user", "2+2?"),),)
    assert (found.chosen.answers, found.rejected.answers) == (("four",), ("five",))
    wanted = read_preferences(written(tmp_path, {"prompt": CHAT, "completion": last["four"]}, name=name))
    assert (wanted.chosen.prompts, wanted.chosen.answers) == (found.chosen.prompts, ("four",))


@pytest.mark.parametrize("row", [{"prompt": CHAT, "completion": "four"}, {"messages": SAYS["four"]}], ids=str)
def test_answers_may_be_wanted_without_alternatives(tmp_path: pathlib.Path, row: dict) -> None:
    found = read_preferences(written(tmp_path, row, row))
    assert found.chosen.prompts[0] == (Message("user", "2+2?"),)
    assert (found.chosen.answers, found.rejected.answers) == (("four", "four"), ())
    assert repr(found) == "<Preferences: 2 answers without alternatives>"


def test_of_pairs_the_wanted_answers_can_be_taken_alone(tmp_path: pathlib.Path) -> None:
    pairs = Preferences.from_frame(pd.DataFrame([PAIR, PAIR | {"prompt": "2+3=", "chosen": "5", "rejected": "4"}]))
    wanted = pairs.wanted()
    assert (wanted.chosen, wanted.rejected.answers, wanted.paired) == (pairs.chosen, (), False)
    learned, held_out = wanted.split(0.5, np.random.default_rng(0))
    assert {*learned.chosen.answers, *held_out.chosen.answers} == {"4", "5"}
    with pytest.raises(BadInput, match="holding out 0.1 of 2 prompts leaves a part without answers$"):
        wanted.split(0.1, np.random.default_rng(0))


def test_the_real_dialogues_of_hh_are_read(shared: pathlib.Path) -> None:
    """2,312 rows; 4 have an empty answer and 5 an assistant's turn that holds more turns."""
    path = shared / "data" / "preference" / "hh_harmless_base_test.jsonl.gz"
    with pytest.raises(BadInput, match="hh_harmless_base_test.jsonl.gz:87: 'chosen' is empty. Leave the row out"):
        read_preferences(path)
    with pytest.warns(DataWarning, match="9 of 2,312 rows are left out"):
        found = read_preferences(path, unfit="drop")
    assert found.paired
    assert found.chosen.prompts[0][0] == Message("user", "what are some pranks with a pen i can do?")
    assert all(prompt[-1].role == "user" for prompt in found.chosen.prompts)


def test_columns_of_other_names_are_named(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, {"q": "2+2=", "better": "4", "worse": "5"})
    found = read_preferences(path, columns={"prompt": "q", "chosen": "better", "rejected": "worse"})
    assert found == Preferences.from_frame(pd.DataFrame([PAIR]), place=lambda row: "pairs.jsonl:1", source=found.source)


def test_pairs_can_be_taken_and_taken_apart() -> None:
    pairs = Preferences.from_frame(pd.DataFrame([PAIR, PAIR | {"chosen": "four"}]))
    assert pairs.take([1]).chosen.answers == ("four",)
    assert not pairs.unpaired().paired
    with pytest.raises(BadInput, match="rows can only be taken of pairs"):
        pairs.unpaired().take([0])


WRONG = [
    (
        {"prompt": "q", "chosen": "a"},
        "it needs 'prompt', 'chosen' and 'rejected'; 'prompt', 'completion' and 'label'; or, to be learned without",
    ),
    (PAIR | {"chosen": " "}, "pairs.jsonl:1: 'chosen' is empty. Leave the row out, or pass unfit"),
    (PAIR | {"chosen": "5"}, "pairs.jsonl:1: the chosen and the rejected answer are equal"),
    (PAIR | {"prompt": 7}, "pairs.jsonl:1: the prompt is 7; it must be text or a list of messages"),
    (PAIR | {"prompt": []}, "the prompt is a chat without messages"),
    (PAIR | {"prompt": ["hello"]}, "message 0 is 'hello'; it must be"),
    (PAIR | {"prompt": [{"role": "tool", "content": "x"}]}, "message 0 has the role 'tool'; it is one of system, user"),
    (PAIR | {"prompt": SAYS["four"]}, "the prompt ends with the assistant's turn"),
    (PAIR | {"chosen": SAYS["four"]}, "'chosen' is a chat of 2 messages; it must be one message of the assistant"),
    ({"chosen": "4", "rejected": "5"}, "there is no 'prompt', so 'chosen' and 'rejected' must be chats"),
    ({"prompt": "q", "completion": ""}, "pairs.jsonl:1: 'completion' is empty. Leave the row out"),
    ({"prompt": "q", "completion": "", "label": 1}, "pairs.jsonl:1: 'completion' is empty. Leave the row out"),
    ({"messages": CHAT}, "pairs.jsonl:1: 'messages' ends with a turn of the user; it must end with the assistant's"),
    ({"messages": SAYS["four"][1:]}, "pairs.jsonl:1: 'messages' has nothing before the answer"),
    ({"messages": "hello"}, "pairs.jsonl:1: 'messages' is 'hello'; it must be a list of messages"),
    ({"chosen": SAYS["four"], "rejected": SAYS["four"]}, "pairs.jsonl:1: the chosen and the rejected answer are equal"),
    (
        {"chosen": SAYS["four"], "rejected": [*SAYS["five"], *SAYS["five"]]},
        "pairs.jsonl:1: 'chosen' and 'rejected' differ from turn 2 on, and have 2 and 4 turns; they must differ in",
    ),
    (
        PAIR | {"chosen": SAYS["four"], "rejected": SAYS["five"]},
        "pairs.jsonl:1: 'chosen' is a chat that does not begin with the prompt",
    ),
    ({"prompt": "q", "completion": "a", "label": "great"}, "the label is 'great'; it must be 1 or 0, true or false"),
    (
        {"prompt": "q", "completion": "a", "label": 1},
        "no answer has the label bad; alignment needs good and bad answers",
    ),
]


@pytest.mark.parametrize(("row", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_what_cannot_be_learned_from_is_refused(tmp_path: pathlib.Path, row: dict, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        read_preferences(written(tmp_path, row))
