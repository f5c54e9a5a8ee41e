"""`lleval pepr score` and `lleval prompts run`: words, tables, JSON, and errors; a formula stands for the model."""

import json
import pathlib
import re
import shlex

import pytest
from stub_model import Stub

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, OK
from lleval_jax.errors import NoReply
from lleval_jax.harness import local
from lleval_jax.lm.client import Reply, Request
from lleval_jax.values.progress import Tell

ELEMENTS = '[elements]\nrole = "You are terse."\nrule = "Use a number."\ntone = "Be kind."\n'
SCORE = "pepr score --model m --texts {p}/texts.csv --elements {p}/elements.toml --out {p}/scores.csv"
RUN = "prompts run --model m --prompts {p}/prompts.csv --examples {p}/examples.csv --out {p}/answers.csv"


class Writer:
    """Writes what a formula says; what has "none" in it gets no answer."""

    def complete(self, request: Request) -> Reply:
        text = request.prompt or request.messages[-1].content
        if "none" in text:
            raise NoReply("it is asleep")
        return Reply("Four." if "2 + 2" in text else "no", "stop", "m", asked=len(text), written=2)


class Model(Stub):
    """The formula, which writes too."""

    def client(self, *, batch: int, tell: Tell) -> Writer:
        return Writer()


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(local, "local", lambda name, **_: Model())
    (tmp_path / "elements.toml").write_text(ELEMENTS)
    lines = [f't{i},"{i} + 1,\n how many?",{i + 1}' for i in range(8)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,input,answer", *lines]) + "\n")
    (tmp_path / "prompts.csv").write_text('prompt,template\nplain,"Q: {question}\nA:"\nterse,{question}\n')
    (tmp_path / "examples.csv").write_text("item,question,answer\nq1,2 + 2?,four\nq2,3 + 3?,six\n")
    return tmp_path


def lleval(line: str, place: pathlib.Path) -> int:
    return run(shlex.split(line.format(p=place)))


def test_texts_are_scored_and_pepr_reads_the_table(place, capsys):
    assert lleval(f"{SCORE} --subset rule+role --bare --json {place}/out.json", place) == OK
    shown = capsys.readouterr().out
    assert "mean log-probability of 8 texts, written to" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:8]] == [
        "role",
        "rule",
        "tone",
        "full",
        "role+rule",
        "bare",
    ]
    assert re.search(r"48 rows in \d s, [\d,]+ tokens/s; 0 were there before", shown)
    found = json.loads((place / "out.json").read_text())
    assert (found["schema"], found["rows"], found["new"], found["texts"]) == ("lleval/pepr-scores/1", 48, 48, 8)
    assert [one["element"] for one in found["means"]][3] == "full"
    assert found["means"][0]["logprob"] < 0
    assert found["source"]["command"].startswith("lleval pepr score --model m")
    assert ll.read_logprobs(place / "scores.csv").subsets == ("full", "role+rule")
    assert lleval(f"pepr {place}/scores.csv -k 2 --json -", place) == OK
    assert json.loads(capsys.readouterr().out)["schema"] == "lleval/choice/1"


def test_the_same_command_goes_on_and_says_what_was_cut(place, capsys):
    assert lleval(SCORE, place) == OK
    whole = (place / "scores.csv").read_bytes()
    (place / "scores.csv").write_bytes(whole[:-1])
    assert lleval(SCORE, place) == OK
    said = capsys.readouterr()
    assert "its last line was cut short and was scored again: 't7,full," in said.err
    assert "1 rows in" in said.out
    assert (place / "scores.csv").read_bytes() == whole


def test_cells_of_a_plan_are_answered_and_prompts_reads_the_table(place, capsys):
    files = "--prompts {p}/prompts.csv --items {p}/examples.csv"
    assert lleval(f"prompts plan --budget 3 {files} --out {{p}}/next.csv", place) == OK
    assert lleval(f"{RUN} --plan {{p}}/next.csv --json {place}/out.json", place) == OK
    found = json.loads((place / "out.json").read_text())
    assert (found["answers"], found["before"], found["failed"]) == (3, 0, [])
    capsys.readouterr()
    assert lleval(RUN, place) == OK
    shown = capsys.readouterr().out
    assert shown.startswith(f"1 answers, added to {place}/answers.csv")
    assert "3 cells were there before; 1 in 0 s" in shown
    read = ll.read([str(place / "answers.csv")], rows="prompt")
    assert read.scores.sum(0).tolist() == [2.0, 0.0]
    assert lleval(f"prompts plan {{p}}/answers.csv --budget 4 {files} --json -", place) == OK
    assert json.loads(capsys.readouterr().out)["cells"] == []


def test_cells_without_an_answer_are_said_and_the_command_fails(place, capsys):
    with (place / "examples.csv").open("a") as stream:
        stream.write("q3,none,x\n")
    assert lleval(f"{RUN} --json {place}/out.json", place) == FAILED
    said = "2 cells got no answer; the first is 'plain' on 'q3': it is asleep. The same command runs them again."
    assert said in capsys.readouterr().out
    assert json.loads((place / "out.json").read_text())["failed"][1] == {
        "prompt": "terse",
        "item": "q3",
        "why": "it is asleep",
    }


def test_cells_of_another_model_are_left_out(place, capsys):
    (place / "next.csv").write_text("model,prompt,item\na,plain,q1\nb,plain,q1\nb,terse,q1\n")
    assert lleval(f"{RUN} --plan {{p}}/next.csv --as a", place) == OK
    assert "2 cells of the plan are of other models than 'a' and were left out" in capsys.readouterr().err
    assert (place / "answers.csv").read_text() == "model,prompt,item,score,answer\na,plain,q1,1,Four.\n"
    assert lleval(f"{RUN} --plan {{p}}/next.csv", place) == BAD_INPUT
    assert "next.csv has no cell of model ''; it has those of 'a', 'b' Say with --as" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (f"{SCORE} --subset role+x", "combination 'role.x' names 'x', which is no element; there are 'role', 'rule'"),
        (SCORE.replace("texts.csv", "none.csv"), "there is no file .*none.csv"),
        (SCORE.replace("elements.toml", "none.toml"), "there is no file .*none.toml"),
        (
            SCORE.replace("texts.csv", "prompts.csv"),
            "prompts.csv has no columns 'text', 'input'; it has 'prompt', 'temp",
        ),
        (SCORE.replace("scores.csv", "texts.csv"), "texts.csv is there, and 'lleval pepr score' did not write it"),
        (SCORE.replace("scores.csv", "none/s.csv"), "there is no folder .*none; make it first"),
        (f"{SCORE} --batch 0", "Invalid value for '--batch'"),
        (RUN.replace("prompts.csv", "texts.csv"), "texts.csv has no columns 'prompt', 'template'"),
        (RUN.replace("examples.csv", "texts.csv"), "texts.csv has no column 'item'"),
        (f"{RUN} --plan {{p}}/texts.csv", "texts.csv has no columns 'prompt', 'item'"),
        (RUN.replace("answers.csv", "texts.csv"), "texts.csv has columns text, input, answer; it needs prompt, item"),
        (f"{RUN} --match like", "Invalid value for '--match'"),
    ],
)
def test_bad_words_are_one_line(place, words, message, capsys):
    assert lleval(words, place) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert len([line for line in said.err.splitlines() if line.startswith("error: ")]) == 1
    assert re.search(message, said.err.splitlines()[-1])


def test_a_server_is_asked_by_its_own_name(place, monkeypatch, capsys):
    from lleval_jax.lm import openai_client

    class Server(Writer):
        def __init__(self, model: str) -> None:
            self.model, self.server = model, "http://127.0.0.1:9/v1"

    monkeypatch.setattr(openai_client, "OpenAIClient", Server)
    assert lleval(f"{RUN} --client openai --chat --json -", place) == OK
    assert json.loads(capsys.readouterr().out)["model"] == "m at http://127.0.0.1:9/v1"
    (place / "examples.csv").write_text("item,question,answer,option_1,option_2\nq9,2 + 2?,four,four,five\n")
    assert lleval(f"{RUN} --client openai --chat", place) == BAD_INPUT
    assert (
        "examples.csv, row 1: 'q9' has options, which are scored; a server gives no scores" in capsys.readouterr().err
    )


def test_an_option_of_pepr_itself_needs_no_word(place, capsys):
    assert lleval(SCORE, place) == OK
    assert lleval("pepr estimate {p}/scores.csv -k 1 --json -", place) == OK
    assert lleval("pepr scor {p}/scores.csv", place) == BAD_INPUT
    assert "no such command or file: 'scor'; did you mean 'score'?" in capsys.readouterr().err
