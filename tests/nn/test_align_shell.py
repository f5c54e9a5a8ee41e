"""`lleval align data | train | run | evaluate`: what they write and show, and one line for what is wrong."""

import json
import pathlib

import pytest
from loopback import Answer, Asked, Loopback, chat
from nn.test_align_data import said
from nn.tiny_chat import model

from lleval_jax import lm
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, OK
from lleval_jax.lm.client import Request

ROWS = [{"id": f"q{i}", "question": f"What is {i}?", "answer": f"It is {i}{', fool' * (i % 2)}."} for i in range(8)]


@pytest.fixture
def answers(tmp_path) -> str:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


@pytest.fixture
def server(monkeypatch):
    def answer(asked: Asked, number: int) -> Answer:
        return chat(said(Request(messages=asked.body["messages"])))

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with Loopback(answer) as found:
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        yield found


def read(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_data_run_and_evaluate_over_a_server_and_again_from_its_recordings(answers, server, tmp_path, capsys) -> None:
    """The second time each verb has the recording alone, and writes the same."""
    server_ = ["--client", "openai", "--model", "m"]
    for who in (server_, None):
        for verb, words in (
            ("data", ["polite", "--answers", answers, "--out"]),
            ("run", [answers, "--criterion", "polite", "--out"]),
        ):
            record = str(tmp_path / f"{verb}-replies.jsonl")
            client = [*who, "--record", record] if who else ["--client", record]
            out, facts = tmp_path / f"{verb}{len(client)}.jsonl", tmp_path / f"{verb}.json"
            assert run(["-q", "align", verb, *words, str(out), *client, "--json", str(facts)]) == OK
            found = json.loads(facts.read_text())
            assert found["source"]["cite"] == ["ngweta2024aligners"]
            if verb == "data":
                assert (found["schema"], found["examples"], found["changed"]) == ("lleval/corrections/1", 8, 4)
            else:
                assert found["statuses"] == {"good": 4, "aligned": 4}
    for verb in ("data", "run"):
        assert (tmp_path / f"{verb}6.jsonl").read_text() == (tmp_path / f"{verb}2.jsonl").read_text()
    rows = read(tmp_path / "run2.jsonl")
    assert [row["after"] for row in rows] == [row["answer"].replace("fool", "friend") for row in ROWS]
    capsys.readouterr()
    judged = ["align", "evaluate", str(tmp_path / "run2.jsonl"), "--criterion", "polite", *server_, "--json"]
    assert run([*judged, str(tmp_path / "e.json")]) == OK
    entries = {entry["group"]: entry for entry in json.loads((tmp_path / "e.json").read_text())["estimates"]}
    assert (entries["wins"]["value"], entries["ties"]["value"], entries["good changed"]["value"]) == (0.5, 0.5, 0)
    assert "answers by polite, 95% intervals over questions" in capsys.readouterr().out


def test_questions_are_made_up_where_there_are_none(server, tmp_path, capsys) -> None:
    out = tmp_path / "made.jsonl"
    words = ["-q", "align", "data", "polite", "--topics", "5", "--client", "openai", "--model", "m", "--out", str(out)]
    assert run(words) == OK
    assert len(read(out)) == 5
    shown = capsys.readouterr().out
    assert all(step in shown for step in ("topics", "questions", "answers", "corrections"))
    assert f"to learn them: lleval align train {out}" in shown


def test_the_examples_that_ship(tmp_path, capsys) -> None:
    out = tmp_path / "polite.jsonl"
    words = ["align", "data", "polite", "--answers", "demo:answers", "--client", "demo:replies", "--limit", "64"]
    assert run([*words, "--out", str(out)]) == OK
    assert "examples for 'polite', written to" in capsys.readouterr().out
    rows = read(out)
    assert rows
    assert {"question", "answer", "correction", "critique"} <= set(rows[0])
    words = ["align", "run", "demo:answers", "--criterion", "polite", "--client", "demo:replies", "--limit", "64"]
    assert run([*words, "--out", str(tmp_path / "aligned.jsonl")]) == OK
    assert len(read(tmp_path / "aligned.jsonl")) == 12


@pytest.mark.slow
def test_an_aligner_is_trained_and_used(server, tmp_path, capsys) -> None:
    """Of a tiny model with an inspector by margin; what it writes is of no use, and is not accepted."""
    (tmp_path / "base").mkdir()
    lm.save(model(tmp_path), tmp_path / "tiny")
    rows = [
        {"question": f"What is {i}?", "answer": f"It is {i}, fool.", "correction": f"It is {i}.", "criterion": "polite"}
        for i in range(40)
    ]
    examples = tmp_path / "polite.jsonl"
    examples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "squad"
    words = ["-q", "align", "train", str(examples), "--model", str(tmp_path / "tiny"), "--inspector", "margin"]
    words += ["--steps", "3", "--batch", "4", "--limit", "8", "--out", str(out), "--json", str(tmp_path / "t.json")]
    assert run(words) == OK
    assert run(words) == OK  # again: the run is whole, and what is kept is put in its place
    facts = json.loads((tmp_path / "t.json").read_text())
    assert (facts["marks"], len(facts["history"]), facts["report"]["rows"] > 4) == ("added", 3, True)
    done = tmp_path / "aligned.jsonl"
    given = tmp_path / "given.jsonl"
    given.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert run(["-q", "align", "run", str(given), "--squad", str(out), "--out", str(done)]) == OK
    for row in read(done):
        assert row["last"] >= row["first"]
    capsys.readouterr()


BAD = [
    (["run", "A"], "no aligner is named: say --squad DIR, or --criterion NAME with --client"),
    (["run", "A", "--criterion", "polit", "--client", "demo:replies"], "there is no criterion 'polit'; did you mean"),
    (["run", "A", "--criterion", "polite"], "--client local needs a model: say --model NAME"),
    (["run", "A", "--squad", "none"], "none/aligner holds no aligner: it has no aligner.json"),
    (["run", "demo:none", "--criterion", "polite"], "there is no demo:none; there are demo:answers, demo:replies"),
    (["run", "A", "--criterion", "polite", "--columns", "answer=text"], "text"),
    (["data", "other.toml", "--client", "demo:replies"], "other.toml: there is no such file"),
    (["data", "polite"], "--client local needs a model: say --model NAME"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line(answers, tmp_path, capsys, words: list[str], message: str) -> None:
    out = tmp_path / "out.jsonl"
    given = [answers if word == "A" else word for word in words]
    assert run(["-q", "align", *given, "--out", str(out)]) == BAD_INPUT
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not out.exists()


def test_answers_that_no_inspector_scored_fail(answers, tmp_path, capsys) -> None:
    """They are written as they were, and counted."""
    words = ["-q", "align", "run", answers, "--criterion", "polite", "--client", "demo:replies"]
    assert run([*words, "--out", str(tmp_path / "out.jsonl")]) == FAILED
    assert "8 answers got no score" in capsys.readouterr().out
    assert [row["after"] for row in read(tmp_path / "out.jsonl")] == [row["answer"] for row in ROWS]


TABLES = [
    ('{"question": "a?"}\n', "answers need the columns question and answer; the table has 'question'. Say --columns"),
    ('{"question": "a?", "answer": " "}\n', "a.jsonl:1: 'answer' is empty; leave the row out"),
    ("", "is empty"),
]


@pytest.mark.parametrize(("text", "message"), TABLES)
def test_answers_that_are_none_are_one_line(tmp_path, capsys, text: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    words = ["-q", "align", "run", str(tmp_path / "a.jsonl"), "--criterion", "polite", "--client", "demo:replies"]
    assert run([*words, "--out", str(tmp_path / "o.jsonl")]) == BAD_INPUT
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_an_aligned_table_that_is_none_is_one_line(tmp_path, capsys) -> None:
    path = tmp_path / "a.jsonl"
    line = {"id": "a", "question": "q", "before": "x", "after": "y", "first": [0.1], "last": [0.9], "steps": []}
    whole = line | {"status": "aligned", "members": ["polite"], "thresholds": [0.5]}
    for wrong, message in (
        (line, "the table has no column 'status'; 'lleval align run' writes it"),
        (whole | {"first": [0.1, 0.2]}, "there are 1 members and other numbers of scores"),
        (whole | {"status": "fine"}, "status is 'fine'; it is one of good, aligned"),
        (whole, "who judges? Say either --judge DIR, or --criterion NAME with --client"),
    ):
        path.write_text(json.dumps(wrong) + "\n")
        assert run(["-q", "align", "evaluate", str(path)]) == BAD_INPUT
        shown = capsys.readouterr().err
        assert message in shown
        assert shown.count("\n") == 1
