"""Preferences from files: pairs, labelled answers, chats, and what is wrong with them."""

import json
import pathlib
import re

import pandas as pd
import pytest

from lleval_jax.data.preferences import read_preferences
from lleval_jax.errors import BadInput
from lleval_jax.values.preferences import Message, Preferences

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
        "it needs 'prompt', 'chosen' and 'rejected', or 'prompt', 'completion' and 'label'",
    ),
    (PAIR | {"chosen": " "}, "pairs.jsonl:1: 'chosen' is empty; leave the row out"),
    (PAIR | {"chosen": "5"}, "pairs.jsonl:1: the chosen and the rejected answer are equal"),
    (PAIR | {"prompt": 7}, "pairs.jsonl:1: the prompt is 7; it must be text or a list of messages"),
    (PAIR | {"prompt": []}, "the prompt is a chat without messages"),
    (PAIR | {"prompt": ["hello"]}, "message 0 is 'hello'; it must be"),
    (PAIR | {"prompt": [{"role": "tool", "content": "x"}]}, "message 0 has the role 'tool'; it is one of system, user"),
    (PAIR | {"prompt": SAYS["four"]}, "the prompt ends with the assistant's turn"),
    (PAIR | {"chosen": SAYS["four"]}, "'chosen' is a chat of 2 messages; it must be one message of the assistant"),
    ({"chosen": "4", "rejected": "5"}, "there is no 'prompt', so 'chosen' and 'rejected' must be chats"),
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
