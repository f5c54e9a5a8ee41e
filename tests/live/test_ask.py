"""What is sent, and what is made of replies: strictly as asked, and every failure recorded."""

import json

import pytest

from lleval_jax.live import ask
from lleval_jax.live.values import Element, Panel
from lleval_jax.lm.client import Reply

ELEMENT = Element(
    paper="2611.00001v1", kind="figure", number="2", caption="Loss by step.", reader="latex", image="ab" * 32,
    mentions=("As Figure 2 shows, one.", "two", "three", "four"),
)  # fmt: skip
GOOD = {
    "kind": "arithmetic",
    "question": "How much higher is A than B?",
    "answer": "6.9",
    "distractors": ["7.1", "5.9", "8.8"],
    "evidence": "A ends at 75.9, B at 69.0",
    "operation": "difference",
    "operands": ["75.9", "69.0"],
}


def reply(content: object, ended: str = "stop") -> Reply:
    return Reply(content if isinstance(content, str) else json.dumps(content), ended, "m")


def read(*questions: dict, **more):
    return ask.read(reply({"questions": list(questions)}, **more), ELEMENT, made_by="m")


def test_requests_carry_picture_caption_and_three_citing_paragraphs():
    request = ask.ask(ELEMENT, "Two lines fall.", count=3)
    message = request.messages[-1]
    assert message.images == (f"sha256:{ELEMENT.image}",)
    assert all(word in message.content for word in ("Loss by step.", "one.", "two", "three", "Two lines fall."))
    assert "four" not in message.content
    assert "Write 3 questions" in message.content
    schema = json.loads(request.schema)
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]["_Asked"]["required"]) == set(GOOD)
    assert "panel" not in message.content


def test_a_question_about_a_compound_figure_names_its_panel():
    import dataclasses

    compound = dataclasses.replace(ELEMENT, panels=(Panel(letter="a"), Panel(letter="b")))
    assert "each question names its panel" in ask.ask(compound, "x").messages[-1].content


def test_a_good_reply_is_a_question():
    (found,), failed = read(GOOD)
    assert failed == []
    assert (found.options[found.key], found.made_by, found.kind) == ("6.9", "m", "arithmetic")
    assert found.evidence.endswith("[75.9; 69.0]")
    assert set(found.options) == {"6.9", *GOOD["distractors"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "6.8"}, "the key says 6.8"),
        ({"distractors": ["1", "2"]}, "2 wrong answers"),
        ({"question": " "}, "empty"),
        ({"operands": ["1", "0"], "operation": "ratio", "answer": "3"}, "cannot be computed"),
    ],
)
def test_one_bad_question_leaves_the_others(change, said):
    good, (bad,) = read(GOOD | {"question": "What is it?"}, GOOD | change)
    assert len(good) == 1
    assert said in bad.reason
    assert bad.paper == ELEMENT.name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (reply({"questions": [GOOD]}, "limit"), "truncated"),
        (reply("I cannot.", "refusal"), "refused"),
        (reply("Sure! Here are"), "not as asked"),
        (reply('{"questions": [{"kind": "look-up"'), "not as asked"),
        (reply({"questions": [GOOD | {"extra": 1}]}), "extra"),
        (reply({"questions": [GOOD | {"kind": "riddle"}]}), "riddle"),
        (reply({"answers": []}), "not as asked"),
    ],
)
def test_what_cannot_be_read_is_recorded(given, said):
    good, (bad,) = ask.read(given, ELEMENT, made_by="m")
    assert good == []
    assert said in bad.reason


def test_the_same_question_twice_is_one():
    good, (bad,) = read(GOOD, GOOD)
    assert len(good) == 1
    assert "twice" in bad.reason


def test_a_pick_is_the_json_or_nothing():
    assert ask.picked(reply({"answer": "C"})) == 2
    for text in ("C", "There is no legend, yes, so A.", '{"answer": "E"}', '{"answer": "A", "why": "x"}', ""):
        assert ask.picked(reply(text)) is None
    assert ask.picked(reply({"answer": "C"}, "limit")) is None


def test_descriptions():
    assert ask.described(reply({"description": " Two lines. "})) == "Two lines."
    assert ask.described(reply({"description": " "})) is None
    assert ask.described(reply("Two lines.")) is None
    assert "one" in ask.describe(ELEMENT).messages[-1].content
