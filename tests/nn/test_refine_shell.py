"""`lleval refine` and `lleval refine compare`: what they write and show, and one line for what is wrong."""

import json
import pathlib

import pytest
from loopback import Answer, Asked, Loopback, chat

from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, OK

ROWS = [{"id": f"q{i}", "question": f"What is {i}?", "weak": f"Arr, {i}!", "topic": f"t{i % 2}"} for i in range(8)]
REPLAY = ["refine", "demo:pool", "--client", "demo:replies", "--limit", "48"]


@pytest.fixture
def pool(tmp_path) -> str:
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


def read(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("how", ["refine", "infer"])
def test_the_examples_of_the_help_run(tmp_path, capsys, how: str) -> None:
    out = tmp_path / "refined.jsonl"
    words = [*REPLAY, "--how", how, "--out", str(out), "--json", str(tmp_path / "out.json"), "--price", "0.1", "0.4"]
    assert run(words) == OK
    facts, said, rows = json.loads((tmp_path / "out.json").read_text()), capsys.readouterr().out, read(out)
    assert facts["schema"] == "lleval/refined/1"
    assert facts["answers"] == len(rows) == 12 - len(facts["dropped"])
    assert facts["spent"]["cached"] == facts["spent"]["requests"] > 0
    assert facts["money"] == pytest.approx((facts["spent"]["asked"] * 0.1 + facts["spent"]["written"] * 0.4) / 1e6)
    assert facts["source"]["command"].startswith("lleval refine demo:pool")
    assert facts["source"]["cite"] == ["somerstep2024transfer"]
    assert "answers of smollm2, written to" in said
    assert all(row["how"] == how and row["id"] not in row["demonstrations"] for row in rows)
    if how == "refine":
        answers = {row["id"]: row["completion"] for row in rows}
        assert "Paris" in answers["q02"]  # the weak answer says Lyon
        assert "eight" in answers["q04"]  # it says six


def test_the_example_of_compare_runs(tmp_path, capsys) -> None:
    path = tmp_path / "out.json"
    assert run(["refine", "compare", "demo:scores", "--ceiling", "oracle", "--json", str(path)]) == OK
    said, found = capsys.readouterr().out, json.loads(path.read_text())
    assert found["schema"] == "lleval/refine-compare/1"
    assert set(found["measures"]) == {"content", "style"}
    assert found["costs"]["tokens"]["refined"] == 67200
    entry = next(
        e for e in found["measures"]["content"]["estimates"] if (e["row"], e["group"]) == ("naive", "minus base")
    )
    assert entry["high"] < 0
    assert "content, 95% intervals over questions and seeds" in said
    assert found["warnings"] == []


def test_json_alone_on_stdout(tmp_path, capsys) -> None:
    assert run(["-q", *REPLAY, "--out", str(tmp_path / "r.jsonl"), "--json", "-"]) == OK
    assert json.loads(capsys.readouterr().out)["answers"] == 11


def test_a_server_is_asked_recorded_and_replayed(pool, tmp_path, monkeypatch, capsys) -> None:
    def answer(asked: Asked, number: int) -> Answer:
        asks = asked.body["messages"][-1]["content"]
        return Answer({"error": {"message": "no"}}, status=400) if "What is 3?" in asks else chat("Ahoy.")

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    out, kept = tmp_path / "r.jsonl", tmp_path / "replies.jsonl"
    words = ["-q", "refine", pool, "--shown", "2", "--out", str(out), "--chat"]
    with Loopback(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert run([*words, "--client", "openai", "--model", "m", "--record", str(kept)]) == FAILED
    said = capsys.readouterr()
    assert "dropped: no reply" in said.out
    assert "'q3': no reply" in said.out
    assert read(out)[0] == {
        "messages": [{"role": "user", "content": "What is 0?"}, {"role": "assistant", "content": "Ahoy."}]
    }
    assert len(read(kept)) == len(read(out)) == 7
    assert run([*words, "--client", str(kept)]) == FAILED
    assert len(read(out)) == 7


BAD = [
    ([], "--client local needs a model: say --model NAME"),
    (["--client", "openai"], "--client openai needs a model"),
    (["--client", "none.jsonl"], "none.jsonl: there is no such recording."),
    (["--client", "demo:other"], "there is no demo:other; there are demo:pool, demo:replies, demo:scores"),
    (["--client", "demo:replies", "--record", "x"], "--client demo:replies is a recording already"),
    (["--client", "demo:replies", "--shown", "8"], "can be shown 7 other questions; 8 are to be shown. Show fewer."),
    (["--client", "demo:replies", "--how", "infer", "--shown", "0"], "many is 0. Show one at least."),
    (["--client", "demo:replies", "--columns", "weak=other"], "other"),
    (["--client", "demo:replies", "--way", "fixed", "--near", "minilm"], "near sets differ by question"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_one_line(pool, tmp_path, capsys, words: list[str], message: str) -> None:
    out = tmp_path / "r.jsonl"
    assert run(["-q", "refine", pool, "--out", str(out), *words]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("", [], "is empty"),
        ("arm,question\na,b\n", [], "no column of numbers"),
        ("arm,question,score\nbase,a,1\nteacher,a,x\n", [], "no column of numbers"),
        (
            "arm,question,score\nbase,a,1\nbase,b,2\nteacher,a,x\nteacher,b,1\n",
            [],
            "score of arm 'teacher', question 'a'",
        ),
        ("arm,question,score\nbase,a,1\nweak,a,2\n", [], "there is no arm 'teacher'; there are base, weak"),
        ("arm,question,score\nbase,a,1\nteacher,b,2\n", [], "question 'b', seed '0' is missing"),
        ("arm,question,score\nbase,a,1\nteacher,a,2\n", ["--ceiling", "top"], "there is no arm 'top'"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path, capsys, text: str, words: list[str], message: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    assert run(["-q", "refine", "compare", str(tmp_path / "scores.csv"), *words]) == BAD_INPUT
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
