"""Cells of a grid answered by a model: options by score, answers in writing, the table, going on, and bad input."""

import csv
import pathlib

import pytest
from stub_model import Stub, value

import lleval_jax as ll
from lleval_jax.errors import BadInput, NoReply, NoServer
from lleval_jax.harness import cells, made
from lleval_jax.harness.cells import Asking, answer_cells
from lleval_jax.harness.grid import Cell, read_examples, read_plan, read_prompts
from lleval_jax.lm.client import Reply, Request

PROMPTS = {"prompt": ["plain", "terse"], "template": ["Q: {question}\nA:", "{question} ({kind}, {{kind}}) "]}
CHOICES = {
    "item": ["q1", "q2", "q3"],
    "question": ["2 + 2?", "3 + 3?", "Sky?"],
    "kind": ["sum", "sum", "colour"],
    "option_1": ["4", "7", "blue"],
    "option_2": ["5", "6", "a long red"],
    "option_3": ["", "8", ""],
    "answer": ["4", "6", "blue"],
}
WRITTEN = {name: CHOICES[name] for name in ("item", "question", "kind", "answer")}
ALL = [Cell(prompt, item) for prompt in PROMPTS["prompt"] for item in CHOICES["item"]]


class Client:
    """Writes a formula's answer; dies, or gives none, at one of its calls."""

    model, server = "formula", "here"

    def __init__(self, *, dies: int = -1, how: type[BaseException] = KeyboardInterrupt) -> None:
        self.dies, self.how, self.asked = dies, how, []

    def complete(self, request: Request) -> Reply:
        if len(self.asked) == self.dies:
            self.dies = -1
            raise self.how("the server is down")
        self.asked.append(request)
        text = request.prompt if request.prompt is not None else request.messages[-1].content
        said = "The answer is 4.\nOr so." if "2 + 2" in text else " Blue\u2028!" if "Sky" in text else "7"
        return Reply(said, "stop", self.model, asked=len(text), written=3)


def run(words=CHOICES, **more):
    prompts, questions = read_prompts(PROMPTS), read_examples(words, match=more.get("asking", Asking()).match)
    return answer_cells(more.pop("cells", ALL), prompts, questions, **more)


def read(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_options_are_scored_after_the_prompt():
    stub = Stub()
    found = run(model=stub)
    assert [Cell(row["prompt"], row["item"]) for row in found.rows] == ALL
    before, options = b"Q: 3 + 3?\nA:", [b" 7", b" 6", b" 8"]
    best = max(options, key=lambda option: value(before, option))
    assert (found.rows[1]["answer"], found.rows[1]["score"]) == (best.decode().strip(), str(int(best == b" 6")))
    assert stub.calls[0][-1] == "Sky? (colour, {kind})"
    assert (found.before, found.failed) == (0, ())
    assert found.tokens > 0


@pytest.mark.parametrize("per", ["text", "token", "character"])
def test_options_are_compared_as_asked(per):
    found = run(cells=[Cell("plain", "q3")], model=Stub(), asking=Asking(per=per))
    before = b"Q: Sky?\nA:"
    blue, red = value(before, b" blue"), value(before, b" a long red")
    sizes = {"text": (1, 1), "token": (5, 11), "character": (4, 10)}[per]
    assert found.rows[0]["answer"] == ("blue" if blue / sizes[0] >= red / sizes[1] else "a long red")


def test_lleval_prompts_reads_the_table(tmp_path):
    out = tmp_path / "answers.csv"
    run(model=Stub(), out=out)
    found = ll.read([str(out)], rows="prompt")
    assert set(found.parts["prompt"]) == {"plain", "terse"}
    assert found.scores.shape == (2, 3)
    assert found.seen.all()


def test_answers_in_writing_are_matched_and_kept_on_one_line(tmp_path):
    out, client = tmp_path / "answers.csv", Client()
    found = run(WRITTEN, model=client, out=out, asking=Asking(match="contains", limit=5))
    rows = read(out)
    assert [row["score"] for row in rows] == ["1", "0", "1"] * 2
    assert rows[0]["answer"] == r"The answer is 4.\nOr so."
    assert rows[2]["answer"] == r"Blue\u2028!"
    assert found.rows == tuple(rows)
    assert client.asked[0] == Request(prompt="Q: 2 + 2?\nA:", limit=5, stop=("\n",))
    assert found.tokens == sum(len(request.prompt) + 3 for request in client.asked)


def test_a_chat_is_messages():
    prompts = read_prompts({"prompt": ["p"], "template": ["{question}"], "system": ["Be {kind}."]})
    client = Client()
    answer_cells([Cell("p", "q1")], prompts, read_examples(WRITTEN), model=client, asking=Asking(chat=True))
    assert [(one.role, one.content) for one in client.asked[0].messages] == [("system", "Be sum."), ("user", "2 + 2?")]
    assert client.asked[0].stop == ()
    with pytest.raises(BadInput, match="prompt 'p' has a system message, which a chat alone has"):
        answer_cells([Cell("p", "q1")], prompts, read_examples(WRITTEN), model=client)
    with pytest.raises(BadInput, match="stub has no chat template"):
        answer_cells(
            [Cell("p", "q1")], prompts, read_examples(CHOICES), model=Stub(chats=False), asking=Asking(chat=True)
        )


@pytest.mark.parametrize("dies", range(6))
def test_a_run_that_was_stopped_goes_on(tmp_path, dies):
    whole, out = tmp_path / "whole.csv", tmp_path / "answers.csv"
    run(WRITTEN, model=Client(), out=whole)
    with pytest.raises(KeyboardInterrupt):
        run(WRITTEN, model=Client(dies=dies), out=out)
    client = Client()
    found = run(WRITTEN, model=client, out=out)
    assert out.read_bytes() == whole.read_bytes()
    assert (found.before, len(client.asked)) == (dies, 6 - dies)


@pytest.mark.parametrize("dies", range(3))
def test_a_run_of_choices_that_was_stopped_goes_on(tmp_path, dies):
    whole, out = tmp_path / "whole.csv", tmp_path / "answers.csv"
    run(model=Stub(), out=whole, batch=2)
    with pytest.raises(KeyboardInterrupt):
        run(model=Stub(dies=dies), out=out, batch=2)
    assert len(run(model=Stub(), out=out, batch=2).rows) == 6 - 2 * dies
    assert out.read_bytes() == whole.read_bytes()


def test_one_request_that_fails_does_not_end_the_run_and_is_asked_again(tmp_path):
    out = tmp_path / "answers.csv"
    found = run(WRITTEN, model=Client(dies=2, how=NoReply), out=out)
    assert len(found.rows) == 5
    assert found.failed == ((Cell("plain", "q3"), "the server is down"),)
    client = Client()
    assert len(run(WRITTEN, model=client, out=out).rows) == 1


def test_what_came_before_a_server_went_down_is_kept(tmp_path):
    out = tmp_path / "answers.csv"
    with pytest.raises(NoServer, match="the server is down") as caught:
        run(WRITTEN, model=Client(dies=4, how=NoServer), out=out)
    assert "The same command goes on from there." in caught.value.in_shell()
    assert len(read(out)) == 4


def test_a_run_without_an_answer_leaves_nothing(tmp_path):
    with pytest.raises(NoServer, match="the server is down"):
        run(WRITTEN, model=Client(dies=0, how=NoServer), out=tmp_path / "answers.csv")
    assert list(tmp_path.iterdir()) == []


def test_answers_are_added_to_a_table_of_anothers_making(tmp_path):
    out = tmp_path / "answers.csv"
    out.write_text("item,prompt,score,note\nq1,plain,0,by hand")
    found = run(model=Stub(), out=out)
    assert (found.before, len(found.rows)) == (1, 5)
    rows = read(out)
    assert rows[0] == {"item": "q1", "prompt": "plain", "score": "0", "note": "by hand"}
    assert {row["note"] for row in rows[1:]} == {""}
    assert len({(row["prompt"], row["item"]) for row in rows}) == 6


def test_several_models_share_a_table(tmp_path):
    out = tmp_path / "answers.csv"
    run(model=Stub(), out=out, name="one")
    other = Stub()
    other.known = "stub 2"
    assert len(run(model=other, out=out, name="two").rows) == 6
    with pytest.raises(BadInput, match="was begun with another model: stub 1 then, stub 2 now"):
        run(model=other, out=out, name="one")
    with pytest.raises(BadInput, match="has a column model, and it is not said which model answers"):
        run(model=other, out=out)
    assert set(ll.read([str(out)], rows="prompt").parts["model"]) == {"one", "two"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"asking": Asking(per="token")}, "was begun with another per: text then, token now"),
        ({"model": Client(), "words": WRITTEN}, "was begun with another model: stub 1 then, formula at here now"),
        ({"words": CHOICES | {"question": ["2 + 2?", "3 + 4?", "Sky?"]}}, "was begun with another example 'q2'"),
    ],
)
def test_a_table_begun_with_other_inputs_is_refused(tmp_path, change, message):
    out = tmp_path / "answers.csv"
    run(cells=ALL[:2], model=Stub(), out=out)
    run(cells=ALL[:3], model=Stub(), out=out)
    with pytest.raises(BadInput, match=message):
        run(cells=[Cell("terse", "q2")], **({"model": Stub(), "out": out} | change))
    assert len(read(out)) == 3
    assert len(made._runs(out)[""]["named"]["example"]) == 3


def test_what_a_server_cannot_do_and_what_does_not_fit_is_said_before_the_work(tmp_path):
    out = tmp_path / "answers.csv"
    with pytest.raises(BadInput, match="row 1: 'q1' has options, which are scored; a server gives no scores"):
        run(model=Client(), out=out)
    with pytest.raises(BadInput, match="row 3: prompt 'terse' on 'q3' has 21 tokens, and 11 of its answer; .* is 30"):
        run(model=Stub(context=30), out=out)
    with pytest.raises(BadInput, match="row 1: prompt 'plain' on 'q1' has 12 tokens, and 32 of its answer"):
        run(WRITTEN, model=Stub(context=40), out=out)
    assert not out.exists()


def test_progress_is_in_tokens_where_they_are_counted():
    told = []
    found = run(model=Stub(), batch=2, tell=told.append)
    assert told[-1].done == told[-1].total == found.tokens
    assert {one.unit for one in told} == {"tokens"}
    run(WRITTEN, model=Client(), tell=told.append)
    assert (told[-1].done, told[-1].total, told[-1].unit) == (6, 6, "answers")


@pytest.mark.parametrize(
    ("match", "written", "right", "same"),
    [
        ("exact", " Paris ", "Paris", True),
        ("exact", "paris", "Paris", False),
        ("normalised", "The  Paris.", "paris", True),
        ("normalised", "1,000", "1000", True),
        ("normalised", "3.14", "314", False),
        ("normalised", "Paris, France", "Paris", False),
        ("contains", "It is Paris, in France.", "paris", True),
        ("contains", "Parisian", "Paris", False),
        ("contains", "the answer is 14", "4", False),
        ("contains", "It costs $3.50.", "3.50", True),
        ("regex", "so it is 42.", r"\b42\b", True),
        ("regex", "so it is 420.", r"\b42\b", False),
    ],
)
def test_matches(match, written, right, same):
    assert cells.MATCHES[match](written, right) == same


def test_templates_are_tables_or_toml(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('[prompts]\nplain = "Q: {question}"\nterse = { template = "{question}", system = "Be brief." }\n')
    found = read_prompts(path)
    assert found["plain"].text == "Q: {question}"
    assert found["terse"].system == "Be brief."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[prompt]\na = 'x'", "p.toml has no table .prompts.: names and templates"),
        ("[prompts]\na = 3", "p.toml: prompts.a is 3; it must be a table of names and texts"),
        ("[prompts]\na = { text = 'x' }", "prompts.a has 'text'; it may have template and system"),
        ("[prompts]\na = ''", "prompts.a has no template, or an empty one"),
    ],
)
def test_templates_that_are_wrong_are_named(tmp_path, text, message):
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(BadInput, match=message):
        read_prompts(tmp_path / "p.toml")


@pytest.mark.parametrize(
    ("change", "match", "message"),
    [
        ({"answer": ["4", "", "x"]}, "exact", "row 2: the answer of 'q2' is empty"),
        ({"answer": ["4", "(", "x"]}, "regex", "row 2: answer '.' is no regular expression"),
        ({"answer": ["4", "...", "x"]}, "normalised", "row 2: answer '...' is empty once it is normalised"),
        ({"option": ["4", "", ""]}, "exact", "row 1: 'q1' has one option; a choice needs two"),
        ({"option": ["4"] * 3, "Option 2": ["4"] * 3}, "exact", "row 1: two options of 'q1' are the same"),
        (
            {"option": ["1"] * 3, "option2": ["2"] * 3},
            "exact",
            "the answer of 'q1' is '4', which is none of its options",
        ),
        ({"item": ["a", "a", "b"]}, "exact", "row 2: item 'a' is in row 1 too"),
    ],
)
def test_examples_that_are_wrong_are_named(change, match, message):
    with pytest.raises(BadInput, match=message):
        read_examples(WRITTEN | change, match=match)


def test_a_plan_names_cells(tmp_path):
    prompts, questions = read_prompts(PROMPTS), read_examples(CHOICES)
    plan = {"prompt": ["terse", "plain", "terse"], "item": ["q2", "q1", "q2"]}
    assert read_plan(plan, prompts, questions) == ([Cell("terse", "q2"), Cell("plain", "q1")], 0)
    several = plan | {"model": ["a", "b", "a"]}
    assert read_plan(several, prompts, questions, "b") == ([Cell("plain", "q1")], 2)
    with pytest.raises(BadInput, match="has no cell of model 'c'; it has those of 'a', 'b'"):
        read_plan(several, prompts, questions, "c")
    (tmp_path / "next.csv").write_text("prompt,item\nplain,q1\nplan,q2\n")
    with pytest.raises(
        BadInput, match="next.csv, row 2: there is no prompt 'plan'; there are .*; did you mean 'plain'"
    ):
        read_plan(tmp_path / "next.csv", prompts, questions)
    with pytest.raises(BadInput, match="row 1: there is no item 'q9'"):
        read_plan({"prompt": ["plain"], "item": ["q9"]}, prompts, questions)
    with pytest.raises(BadInput, match="has no column 'item'"):
        read_plan({"prompt": ["plain"]}, prompts, questions)


def test_a_template_with_a_place_that_nothing_fills_is_named():
    prompts = read_prompts({"prompt": ["p"], "template": ["{questions}"]})
    with pytest.raises(BadInput, match="the template of prompt 'p' has {questions}, .*; did you mean 'question'?"):
        answer_cells([Cell("p", "q1")], prompts, read_examples(CHOICES), model=Stub())
