import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.errors import BadInput, RunFailed
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.adaptive import Stop
from lleval_jax.harness import lm_eval_samples

FAKE = [sys.executable, "-S", str(pathlib.Path(__file__).with_name("fake_lm_eval.py"))]
LOGS = pathlib.Path(__file__).parents[1] / "data" / "fixtures" / "lm_eval"


def digest(question):
    return hashlib.sha256(question.encode()).hexdigest()[:16]


@dataclasses.dataclass
class World:
    """A fake lm-eval with two tasks, and a bank of their documents."""

    folder: pathlib.Path
    docs: dict
    bank: object

    def command(self, mood="good"):
        self.file.write_text(json.dumps(self.docs))
        return [*FAKE, "--model", "real", "--docs", str(self.file), "--mood", mood]

    @property
    def file(self):
        return self.folder / "docs.json"

    def run(self, stop, mood="good", out="out", **more):
        command = self.command(mood)
        return lm_eval_samples.run(self.bank, command=command, stop=stop, out=self.folder / out, **more)


@pytest.fixture
def world(tmp_path, bank_of, answers_of):
    docs = {task: [f"{task} question {i}" for i in range(20)] for task in ("sums", "names")}
    bank = bank_of([f"{task}/{digest(each)}" for task, listed in docs.items() for each in listed])
    right = answers_of(bank)
    docs = {task: [[each, right[f"{task}/{digest(each)}"]] for each in listed] for task, listed in docs.items()}
    return World(tmp_path, docs, bank)


def test_rounds_until_enough(world):
    lines = []
    done = world.run(Stop(std_error=0.08), batch=8, tell=lambda now: lines.append(now.word))
    assert done.why.startswith("standard error")
    assert done.estimate.std_error[0] <= 0.08
    assert len(done.rounds) == -(-done.estimate.n_seen[0] // 8) > 1
    assert lines[0] == "locating the questions of sums, names with lm-eval's dummy model"
    assert lines[1] == "round 1: asking 8 questions"
    assert "answers; enough: standard error" in lines[-1]
    assert sorted(path.name for path in (world.folder / "out").iterdir()) == [
        "lm_eval.log",
        "places.json",
        "rounds",
        "session.json",
    ]


def test_it_asks_what_choose_asks_and_estimates_what_estimate_does(world):
    done = world.run(Stop(budget=24), batch=8)
    right = {f"{task}/{digest(each)}": score for task, listed in world.docs.items() for each, score in listed}
    for number in (1, 2):
        before = [path for path in done.rounds[:number]]
        seen = lm_eval_samples._one_row(data.read(before))
        chosen = adaptive.choose(seen, bank=world.bank, k=8, stop=Stop(budget=24)).items[0]
        assert set(data.read(done.rounds[number]).items) == set(chosen)
    assert done.responses.n_seen.tolist() == [24]
    assert {item: right[item] for item in done.responses.items} == dict(
        zip(done.responses.items, done.responses.scores[0].tolist(), strict=True)
    )
    found = adaptive.estimate(done.responses, bank=world.bank)
    np.testing.assert_array_equal(found.value, done.estimate.value)


def test_going_on_is_the_same_as_never_stopping(world):
    whole = world.run(Stop(budget=24), batch=8, out="whole")
    world.run(Stop(budget=16), batch=8)
    command = world.command()
    world.docs = {"sums": [], "names": []}
    world.file.write_text(json.dumps({task: [] for task in ("sums", "names")}))  # rounds that are done are not run
    again = lm_eval_samples.run(world.bank, command=command, stop=Stop(budget=16), out=world.folder / "out", batch=8)
    assert again.estimate.n_seen.tolist() == [16]
    assert set(again.responses.items) == set(lm_eval_samples._one_row(data.read(whole.rounds[:2])).items)


def test_a_longer_stop_goes_on(world):
    whole = world.run(Stop(budget=24), batch=8, out="whole")
    world.run(Stop(budget=8), batch=8)
    (world.folder / "out" / "running" / "half").mkdir(parents=True)  # a round that was killed
    more = world.run(Stop(budget=24), batch=8)
    assert more.responses.items == whole.responses.items
    np.testing.assert_array_equal(more.estimate.value, whole.estimate.value)


def test_another_session_is_not_continued(world):
    world.run(Stop(budget=8), batch=8)
    with pytest.raises(BadInput, match="out holds a session with another command; use a new folder"):
        world.run(Stop(budget=8), mood="other")
    (world.folder / "full").mkdir()
    (world.folder / "full" / "thesis.txt").touch()
    with pytest.raises(BadInput, match="full is not empty and holds no session"):
        world.run(Stop(budget=8), out="full")
    (world.folder / "out" / "session.json").write_text("{")
    with pytest.raises(BadInput, match=r"session.json is damaged.*Use a new folder"):
        world.run(Stop(budget=8))
    world.run(Stop(budget=16), batch=8, out="gap")
    shutil.rmtree(world.folder / "gap" / "rounds" / "round-1")
    with pytest.raises(BadInput, match=r"a round is missing in .*rounds: \[2\]"):
        world.run(Stop(budget=16), batch=8, out="gap")


def test_a_data_set_that_changed_is_noticed(world):
    world.run(Stop(budget=8), batch=8)
    for listed in world.docs.values():
        listed.insert(0, ["a new question", 1.0])
    with pytest.raises(BadInput, match=r"doc_id \d+ should be .* came back .*: the data set is not the one of the ind"):
        world.run(Stop(budget=16), batch=8)
    assert len(list((world.folder / "out" / "rounds").iterdir())) == 1


def test_copies_are_asked_once(world):
    for listed in world.docs.values():
        listed.append(listed[0])
    done = world.run(Stop(), batch=50)
    assert done.estimate.n_seen.tolist() == [40]
    assert done.why == "all items were asked"


def test_an_index_from_other_logs(world):
    subprocess.run([*world.command(), "--tasks", "sums", "--output_path", str(world.folder / "logs")], check=True)
    lines = []
    done = world.run(Stop(budget=10), index_from=world.folder / "logs", tell=lambda now: lines.append(now.word))
    assert lines[0] == "20 of 40 items have no place in the data set (or are copies); they are not asked"
    assert done.responses.groups == ("all",)
    assert all(item.startswith("sums/") for item in done.responses.items)
    with pytest.raises(BadInput, match="no item of bank 'test-bank' is in the index"):
        world.run(Stop(budget=10), index_from=LOGS, out="other")


def test_places_of_true_logs(tmp_path):
    found = lm_eval_samples.places(LOGS)
    assert len(found) == 16
    entry = json.loads(next(LOGS.rglob("samples_tiny_choice*")).read_text().splitlines()[3])
    assert found[f"tiny_choice/{entry['doc_hash']}"] == 3
    path = tmp_path / "samples_tiny_choice_2026-01-01T00-00-00.000000.jsonl"
    path.write_text(json.dumps(entry | {"doc_id": 4}) + "\n")
    with pytest.raises(BadInput, match=r"doc_id 4 is 'tiny_choice/.*another log has .* two data sets"):
        lm_eval_samples.places([LOGS, path])
    path.write_text(json.dumps({"doc_id": 4, "doc": {}, "acc": 1.0}) + "\n")
    with pytest.raises(BadInput, match=r"jsonl:1 does not say which question it is"):
        lm_eval_samples.places(path)
    with pytest.raises(BadInput, match=r"there is no samples_\*.jsonl in .*empty"):
        lm_eval_samples.places(tmp_path / "empty")


def test_what_lm_eval_said_is_quoted(world):
    with pytest.raises(RunFailed, match=r"lm-eval ended with status 3; the end of .*.log:\n.*CUDA out of memory"):
        world.run(Stop(budget=8), mood="fails")
    with pytest.raises(RunFailed, match=r"ended well but wrote no samples_\*.jsonl"):
        world.run(Stop(budget=8), mood="silent", out="silent")


def test_wrong_words(world):
    def run(command, **more):
        return lm_eval_samples.run(world.bank, command=command, stop=Stop(), out=world.folder / "new", **more)

    with pytest.raises(BadInput, match="leave --limit, --tasks out of command"):
        run(["lm_eval", "--limit=3", "--tasks", "x"][:1] + ["--limit", "3", "--tasks", "x"])
    with pytest.raises(BadInput, match="command must be a list of words"):
        run("lm_eval --model dummy")
    with pytest.raises(BadInput, match="command is empty"):
        run([])
    with pytest.raises(BadInput, match="batch is 0"):
        run(["lm_eval"], batch=0)
    with pytest.raises(BadInput, match="cannot start 'no-such-program'.*Is lm-eval installed"):
        run(["no-such-program"])


def test_a_bank_that_names_no_task(world, bank_of):
    world.bank = bank_of(["q1", "q2"])
    with pytest.raises(BadInput, match="item 'q1' of bank 'test-bank' does not name its task"):
        world.run(Stop(budget=1))


SCRIPT = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
from lleval_jax.harness import lm_eval_samples
lm_eval_samples._start(sys.argv[2:], pathlib.Path(sys.argv[1]))
"""


def test_an_interrupt_ends_lm_eval_too(world):
    """Ctrl-C reaches the session alone here; lm-eval must not go on without it."""
    words = [*world.command("hangs"), "--tasks", "sums", "--output_path", str(world.folder / "x")]
    log = world.folder / "log"
    session = subprocess.Popen([sys.executable, "-c", SCRIPT, str(log), *words], stderr=subprocess.DEVNULL)
    started, until = world.file.with_suffix(".started"), time.monotonic() + 300
    while not started.exists() and time.monotonic() < until:
        time.sleep(0.02)
    children = subprocess.run(["pgrep", "-P", str(session.pid)], capture_output=True, text=True).stdout.split()
    session.send_signal(signal.SIGINT)
    assert session.wait(120) != 0
    assert started.exists()
    for child in children:
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(int(child), 0)


TASK = """task: tiny_sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Q: {{{{question}}}}\\nA:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""


def sums(folder, docs):
    """A task of lm-eval over these documents."""
    file = folder / "sums.json"
    file.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    (folder / "tiny_sums.yaml").write_text(TASK.format(file=file))


@pytest.mark.slow
def test_true_lm_eval(tmp_path, bank_of, monkeypatch):
    if find_spec("lm_eval") is None:
        pytest.skip('needs lm-eval: pip install "lleval-jax[harness]"')
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    docs = [{"question": f"{a} + {b}?", "choices": [str(a + b), "0"], "answer": 0} for a in range(6) for b in range(10)]
    text = [json.dumps(doc, indent=2, ensure_ascii=False) for doc in docs]  # what lm-eval's doc_hash is of
    bank = bank_of([f"tiny_sums/{hashlib.sha256(each.encode()).hexdigest()}" for each in text])
    (tmp_path / "tasks").mkdir()
    sums(tmp_path / "tasks", docs)
    command = [sys.executable, "-m", "lm_eval", "--model", "dummy", "--include_path", str(tmp_path / "tasks")]
    lines = []

    def run(budget):
        stop, out = Stop(budget=budget), tmp_path / "out"
        return lm_eval_samples.run(
            bank, command=command, stop=stop, out=out, batch=8, tell=lambda now: lines.append(now.word)
        )

    done = run(12)
    assert done.estimate.n_seen.tolist() == [12]
    assert lines[0].startswith("locating the questions of tiny_sums")
    read = lm_eval_samples._one_row(data.read(tmp_path / "out" / "rounds"))
    np.testing.assert_array_equal(adaptive.estimate(read, bank=bank).value, done.estimate.value)
    first = adaptive.choose(None, bank=bank, k=8).items[0]
    assert set(data.read(done.rounds[0]).items) == set(first)
    places = json.loads((tmp_path / "out" / "places.json").read_text())
    assert list(places.values()) == list(range(60))

    seconds = time.monotonic()
    again = run(12)
    assert time.monotonic() - seconds < 5  # lm-eval was not started
    np.testing.assert_array_equal(again.estimate.value, done.estimate.value)

    sums(tmp_path / "tasks", docs[::-1])
    with pytest.raises(BadInput, match=r"doc_id \d+ should be 'tiny_sums/.*: the data set is not the one of the index"):
        run(20)
