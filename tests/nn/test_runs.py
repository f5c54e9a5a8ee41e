"""`lleval pepr score` and `lleval prompts run` with a language model: what is scored, and a run that is killed."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from flax import nnx
from nn import tiny_tokens

from lleval_jax import harness, lm
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK
from lleval_jax.data import read_logprobs
from lleval_jax.errors import BadInput
from lleval_jax.harness.local import Local
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.load import LanguageModel, Source, load, save
from lleval_jax.lm.tokens import Tokens
from lleval_jax.training.run import batches
from lleval_jax.values.preferences import Preferences

CONFIG = Config(vocab=400, layers=2, width=32, heads=4, kv_heads=2, head_dim=8, hidden=48, context=256, tied=True)
ELEMENTS = {"role": "You sell clips.", "rule": "Write a number.", "tone": "Be kind to her friends."}
TOML = "[elements]\n" + "".join(f"{name} = {json.dumps(text)}\n" for name, text in ELEMENTS.items())


def tiny(chat: str = tiny_tokens.CHAT) -> LanguageModel:
    facts = tiny_tokens.gguf_facts(tiny_tokens.byte_level(), "gpt-2")
    tokens = Tokens.from_gguf(facts | ({"tokenizer.chat_template": chat} if chat else {}))
    return LanguageModel("tiny", Decoder(CONFIG, rngs=nnx.Rngs(3)), tokens, CONFIG, None, Source(pathlib.Path(), ()))


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return tiny()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> pathlib.Path:
    return save(model, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def place(tmp_path) -> pathlib.Path:
    (tmp_path / "elements.toml").write_text(TOML)
    lines = [f't{i},"How many clips\ndid she sell in {i}?",She sold {i} clips.' for i in range(6)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,input,answer", *lines]) + "\n")
    (tmp_path / "prompts.csv").write_text('prompt,template\nplain,"Q: {question}\nA:"\nterse,{question}\n')
    examples = ["item,question,answer,option_1,option_2", "q1,Who sold clips?,Natalia,Natalia,Paris", "q2,Say it.,x,,"]
    (tmp_path / "examples.csv").write_text("\n".join(examples) + "\n")
    return tmp_path


def lleval(line: str, place: pathlib.Path, folder: pathlib.Path) -> int:
    return run(shlex.split(line.format(p=place, m=folder)))


@nnx.jit
def forward(decoder: Decoder, tokens) -> np.ndarray:
    return decoder(tokens)


SCORE = "pepr score --model {m} --texts {p}/texts.csv --elements {p}/elements.toml --out {p}/scores.csv --batch 8"
RUN = "prompts run --model {m} --prompts {p}/prompts.csv --examples {p}/examples.csv --out {p}/answers.csv --limit 4"


def test_scores_are_those_of_the_model(model):
    """Against the log-softmax of all logits; the answer is the same tokens under every prompt."""
    texts = {"text": ["a", "b"], "input": ["Who?", "Where?"], "answer": ["Natalia sold it.", "In  Paris"]}
    found = harness.score_texts(model, texts, harness.Library(ELEMENTS), bare=True).frame.set_index(["text", "element"])
    for name, before in (
        ("full", "You sell clips.\nWrite a number.\nBe kind to her friends.\n\nWho?\n"),
        ("bare", "Who?\n"),
    ):
        first, answer = model.tokens.encode(before), model.tokens.encode("Natalia sold it.")
        logits = np.asarray(forward(model.decoder, np.array([first + answer])))[0].astype(float)
        logprob = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        at = np.arange(len(first) - 1, len(first) + len(answer) - 1)
        row = found.loc[("a", name)]
        assert row["logprob"] == pytest.approx(logprob[at, answer].sum(), abs=2e-4)
        assert (row["tokens"], row["prompt_tokens"]) == (len(answer), len(first))


def test_a_chat_is_the_models_own(model):
    texts = {"text": ["a"], "input": ["Who?"], "answer": ["Natalia."]}
    found = harness.score_texts(model, texts, harness.Library(ELEMENTS, chat=True)).frame.set_index("element")
    turns = [{"role": "system", "content": ELEMENTS["rule"]}, {"role": "user", "content": "Who?"}]
    before, answer = model.tokens.chat_tokens(turns), model.tokens.encode("Natalia.")
    assert found.loc["rule", "logprob"] == pytest.approx(lm.score(model, [before], [answer]).sums[0], abs=1e-4)


def test_an_answer_goes_on_from_its_text(model):
    ask = Local(model)
    one, two, three = ask.after(["A:", "A: ", ""], [" 24 clips", "24 clips", "24 clips"])
    assert one == two == model.tokens.encode("A: 24 clips")[len(model.tokens.encode("A:")) :]
    assert three == model.tokens.encode("24 clips")


def test_the_shell_scores_texts_and_refuses_another_model(place, folder, tmp_path, capsys):
    assert lleval(f"{SCORE} --subset role+tone --json {{p}}/out.json", place, folder) == OK
    assert read_logprobs(place / "scores.csv").subsets == ("full", "role+tone")
    assert json.loads((place / "out.json").read_text())["tokens_per_second"] > 0
    other = tiny()
    other.decoder.norm.weight.set_value(other.decoder.norm.weight.get_value() * 1.5)
    assert lleval(SCORE, place, save(other, tmp_path / "other" / "tiny")) == BAD_INPUT
    assert "scores.csv was begun with another model: tiny " in capsys.readouterr().err


@pytest.mark.slow
def test_the_shell_answers_cells(place, folder, capsys):
    assert lleval(f"{RUN} --json {{p}}/out.json", place, folder) == OK
    found = json.loads((place / "out.json").read_text())
    assert (found["answers"], found["failed"]) == (4, [])
    chosen = lm.choices(load(folder), ["Q: Who sold clips?\nA:"], [[" Natalia", " Paris"]]).best[0]
    rows = (place / "answers.csv").read_text().splitlines()
    assert rows[1] == f"plain,q1,{int(chosen == 0)},{('Natalia', 'Paris')[chosen]}"
    whole = (place / "answers.csv").read_bytes()
    assert lleval(RUN, place, folder) == OK
    assert (place / "answers.csv").read_bytes() == whole
    assert "4 cells were there before; 0 in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (SCORE.replace("{m}", "{p}"), "holds no config.json"),
        (SCORE.replace("{m}", "smollm"), "there is no folder, file or model 'smollm'; .*did you mean 'smollm2'"),
        (RUN.replace("{m}", "{p}/none.gguf"), "there is no folder, file or model"),
        (RUN.replace("--limit 4", "--limit 300"), "examples.csv, row 2: prompt 'plain' on 'q2' has .* is 256"),
    ],
)
def test_bad_input_is_one_line(place, folder, line, message, capsys):
    assert lleval(line, place, folder) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(message, said.err.splitlines()[-1])


def test_a_chat_needs_a_template(place, tmp_path, capsys):
    folder = save(tiny(""), tmp_path / "plain")
    (place / "elements.toml").write_text(f"chat = true\n{TOML}")
    assert lleval(SCORE, place, folder) == BAD_INPUT
    assert "has no chat template" in capsys.readouterr().err


def test_training_on_chats_needs_a_template() -> None:
    chats = pd.DataFrame({"messages": [[{"role": r, "content": r} for r in ("user", "assistant")]]})
    with pytest.raises(BadInput, match="has no chat template"):
        batches.rows_of(tiny(""), Preferences.from_frame(chats))
    assert len(batches.rows_of(tiny(), Preferences.from_frame(chats)).chosen) == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_goes_on_and_ends_the_same(place, folder, how):
    lines = [f"t{i},How many in {i}?,She sold {i} clips." for i in range(200)]
    (place / "texts.csv").write_text("\n".join(["text,input,answer", *lines]) + "\n")
    words = shlex.split(SCORE.format(p=place, m=folder))
    out, env = place / "scores.csv", os.environ | {"JAX_PLATFORMS": "cpu"}
    started = subprocess.Popen([sys.executable, "-m", "lleval_jax", *words], env=env, stderr=subprocess.PIPE)
    until = time.monotonic() + 600
    while not (out.exists() and out.read_bytes().count(b"\n") > 40):
        assert started.poll() is None, started.stderr.read().decode()
        assert time.monotonic() < until
        time.sleep(0.001)
    started.send_signal(how)
    _, said = started.communicate()
    assert started.returncode == (130 if how == signal.SIGINT else -how), said.decode()
    some = out.read_bytes().count(b"\n") - 1
    assert 40 <= some < 800
    assert lleval(SCORE, place, folder) == OK
    once = place / "once.csv"
    assert lleval(SCORE.replace("scores.csv", "once.csv"), place, folder) == OK
    rows, all_of_it = (path.read_text().splitlines() for path in (out, once))
    assert len(rows) == len(set(rows)) == 801
    assert [row.split(",")[:2] for row in rows] == [row.split(",")[:2] for row in all_of_it]
    numbers = [np.array([float(row.split(",")[2]) for row in each[1:]]) for each in (rows, all_of_it)]
    np.testing.assert_allclose(*numbers, atol=1e-4)
