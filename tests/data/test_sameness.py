"""Logs of one task are compared: who joins by ids, and who joins by hashes, over all readers."""

import random

import numpy as np
import pytest
from logs import LOGS, asked, inspect, lm_eval, put

from lleval_jax import data
from lleval_jax.data import cache, sameness
from lleval_jax.errors import BadInput, DataWarning

IDS = {name: log for name, log in LOGS.items() if log.joins == "id"}
HASHES = {name: log for name, log in LOGS.items() if log.joins == "hash"}
TEXTS = [f"What is {n} times {n + 3}?" for n in range(12)]
RIGHT = dict.fromkeys(TEXTS[::2], 1.0)


def shuffled(seed, texts=TEXTS):
    return random.Random(seed).sample(texts, len(texts))


def scores(texts):
    return [RIGHT.get(text, 0.0) for text in texts]


@pytest.mark.parametrize("log", IDS.values(), ids=IDS)
def test_ids_given_after_a_shuffle(log, tmp_path):
    for turn, model in enumerate("abc"):
        texts = TEXTS[turn:] + TEXTS[:turn]
        log.write(tmp_path, model, asked(scores(texts), texts))
    with pytest.warns(DataWarning, match=r"^task 'quiz': 12 of 12 ids stand for different questions in 3 logs"):
        data.read(tmp_path)
    with pytest.raises(BadInput, match=r"12 of 12 ids stand .*strict=True"):
        data.read(tmp_path, strict=True)


@pytest.mark.parametrize("log", IDS.values(), ids=IDS)
def test_ids_of_the_data_set_in_another_order(log, tmp_path):
    for model in "abc":
        texts = shuffled(model)
        log.write(tmp_path, model, asked(scores(texts), texts, [TEXTS.index(text) for text in texts]))
    found = data.read(tmp_path)  # a warning is an error here
    assert len(found.items) == 12
    assert (found.scores == found.scores[0]).all()


@pytest.mark.parametrize("log", HASHES.values(), ids=HASHES)
def test_documents_that_change_from_run_to_run(log, tmp_path):
    for model in "abc":
        log.write(tmp_path, model, asked([1.0] * 4, [*TEXTS[:1], *(f"{text}, {model}" for text in TEXTS[1:4])]))
    said = r"^task '.*quiz': 3 logs number 4 documents and have 10 different ones: 3 numbers stand for"
    with pytest.warns(DataWarning, match=said):
        assert len(data.read(tmp_path).items) == 10


@pytest.mark.parametrize("log", HASHES.values(), ids=HASHES)
def test_they_can_be_joined_by_number(log, tmp_path):
    for model in "abc":
        log.write(tmp_path, model, asked([1.0, 0.0, 1.0], [f"{text}, {model}" for text in TEXTS[:3]]))
    found = data.read(tmp_path, join="number")
    assert [item.rpartition("/")[2] for item in found.items] == ["0", "1", "2"]
    assert found.scores.tolist() == [[1, 0, 1]] * 3
    with pytest.raises(BadInput, match=r"join is 'id'; it must be 'content' or 'number'"):
        data.read(tmp_path, join="id")


@pytest.mark.parametrize("log", HASHES.values(), ids=HASHES)
def test_hashes_join_whatever_the_order_and_the_part(log, tmp_path):
    log.write(tmp_path / "all", "a", asked(scores(TEXTS), TEXTS))
    for model in "bc":  # numbered anew: the hash joins them
        texts = shuffled(model)
        log.write(tmp_path / "all", model, asked(scores(texts), texts))
    log.write(tmp_path / "all", "d", asked(scores(shuffled("d")[:5]), shuffled("d")[:5]))
    found = data.read(tmp_path / "all")
    assert len(found.items) == 12
    assert found.n_seen.tolist() == [12, 12, 12, 5]
    log.write(tmp_path / "parts", "a", asked(scores(TEXTS[:6]), TEXTS[:6]))
    log.write(tmp_path / "parts", "b", asked(scores(TEXTS[6:]), TEXTS[6:], range(6, 12)))
    assert data.read(tmp_path / "parts").scores.shape == (2, 12)


def test_parts_that_were_numbered_after_a_shuffle_share_little(tmp_path):
    for model in "ab":
        texts = shuffled(model)[:6]
        lm_eval(tmp_path, model, asked(scores(texts), texts))
    with pytest.warns(DataWarning, match="task 'quiz': 2 logs number 6 documents"):
        data.read(tmp_path)


def test_the_order_of_the_files_changes_nothing(tmp_path):
    short, long = asked([1.0] * 5, shuffled(1)[:5]), asked([1.0] * 12, shuffled(2))
    one = [lm_eval(tmp_path / "1", "a", short), lm_eval(tmp_path / "1", "b", long)]
    for paths in (one, one[::-1]):
        assert len(data.read(paths).items) == 12


def test_tasks_are_not_compared_with_each_other(tmp_path):
    for number, texts in enumerate((TEXTS, shuffled(3))):
        path = inspect(tmp_path, f"m{number}", asked([1.0] * 12, texts))
        path.write_text(path.read_text().replace('"task": "quiz"', f'"task": "quiz{number}"'))
    assert data.read(tmp_path, rows="prompt").scores.shape == (2, 12)


def test_prompts_are_compared_between_models(tmp_path):
    for model, texts in (("a", TEXTS), ("b", shuffled(3))):
        inspect(tmp_path, model, asked([1.0] * 12, texts))
    with pytest.warns(DataWarning, match="task 'quiz': .* ids stand for different questions in 2 logs"):
        data.read(tmp_path, rows="prompt")


def test_what_is_compared_comes_through_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 0)
    for model in "ab":
        lm_eval(tmp_path / "logs", model, asked([1.0, None], [f"{model} {i}" for i in range(2)]))
    said = []
    for _ in range(2):
        with pytest.warns(DataWarning) as told:
            data.read(tmp_path / "logs")
        said.append([str(each.message) for each in told])
    assert len(said[0]) == 2
    assert said[0] == said[1]


def test_a_sample_and_its_summary_ask_the_same(tmp_path):
    """Summaries cut long texts and have a word for an image."""
    picture = [{"role": "user", "content": [{"type": "text", "text": "x" * 9000}, {"type": "image", "image": "data:"}]}]
    short = [
        {"role": "user", "content": [{"type": "text", "text": "x" * 5120 + "..."}, {"type": "text", "text": "(Image)"}]}
    ]
    inspect(tmp_path, "a", asked([1.0, 1.0], [picture, "y" * 9000]))
    inspect(tmp_path, "b", asked([1.0, 0.0], [short, "y" * 5120 + "..."]))
    assert data.read(tmp_path).scores.tolist() == [[1, 1], [1, 0]]


def test_old_logs_of_lm_eval_are_compared_by_their_documents(tmp_path):
    for model in "ab":
        texts = shuffled(model)
        lines = [{"doc_id": i, "doc": {"question": text}, "acc": 1.0} for i, text in enumerate(texts)]
        put(tmp_path / model / "samples_quiz.jsonl", lines)  # one list, as before 0.4.3
    with pytest.warns(DataWarning) as told:
        data.read(tmp_path)
    assert any("ids stand for different questions" in str(each.message) for each in told)


def test_numbers():
    assert sameness.number(3) == sameness.number("3") == 3
    assert sameness.number(None) == sameness.UNKNOWN
    assert len({sameness.number(each) for each in ("03", "x", -1, 1 << 80, "9" * 30, "²")}) == 6


def test_logs_that_agree_say_nothing_however_many():
    items = np.arange(10_000)
    logs = [sameness._Log(items, items, items)] * 200
    assert sameness._names("t", logs, 10_000) is sameness._contents("t", logs, 10_000) is None
