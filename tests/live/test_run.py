"""A small version from the loopback archive and scripted models: resumed, reviewed, described, exported."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from live import made

from lleval_jax.errors import BadInput
from lleval_jax.live import judging, recipe, requests, review, run, sheet, statistics, steps
from lleval_jax.live.example.models import Scripted
from lleval_jax.live.exports import harness_utils, items, write
from lleval_jax.live.progress import progress
from lleval_jax.lm.client import Request

FEW = ("2611.00020", "2611.00021", "2611.00022")


def reader(fetcher, paper, addresses, blobs):
    return made.reader(fetcher, paper, addresses, blobs) if paper.id in FEW else ([], [])


def recipe_text() -> str:
    text = recipe.place_of("demo:live").read_text()
    return (
        text.replace("count = 5", "count = 3")
        .replace("exact = 6", "exact = 5")
        .replace("caption = true", "")
        .replace('noisy-0.1"', 'noisy-0.3"')
    )


def new(place: pathlib.Path, text: str | None = None) -> pathlib.Path:
    path = place / "r.toml"
    path.write_text(text or recipe_text())
    return run.new(path, "v", place)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory) -> pathlib.Path:
    """A run whose papers are known, to go on from with any models."""
    folder = new(tmp_path_factory.mktemp("fetched"))
    run.run(folder, until="fetch")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, fetched) -> tuple[pathlib.Path, run.Version]:
    folder = pathlib.Path(shutil.copytree(fetched, tmp_path_factory.mktemp("live") / "v"))
    return folder, run.run(folder, reader=reader)


def tables(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "tables").iterdir())}


def test_a_version_is_made_and_found_again(whole):
    folder, version = whole
    assert {each.paper for each in version.elements} == {f"{id}v1" for id in FEW}
    assert len(version.kept) > 20
    assert repr(run.load(folder)) == repr(version)
    before = tables(folder)
    assert repr(run.run(folder, reader=reader)) == repr(version)
    assert tables(folder) == before
    spent = requests.spent(folder, version.recipe.models.values())
    assert all(each.extra == 0 and each.requests == each.replies > 0 for each in spent.values())
    far = progress(folder)
    assert far.left is None
    assert {each.step: each.done for each in far.steps}["read"] == len(version.papers)


def refused(version: run.Version) -> set[str]:
    return {each.paper for each in version.findings if each.step == "licence"}


def test_only_papers_that_may_be_shared(whole):
    _, version = whole
    from lleval_jax.live.example.corpus import corpus

    keep = {each.id: each.keep for each in corpus()}
    assert all(keep[each.id] for each in version.papers)
    assert len(refused(version)) > 10


def test_filters_find_what_was_planted(whole):
    _, version = whole
    from lleval_jax.live.example.truth import right

    true = right(version)
    assert set(true) == {each.id for each in version.questions}
    wrong = {each.id for each in version.questions if true[each.id] != each.key}
    assert wrong
    assert not wrong & {each.id for each in version.kept}


@pytest.mark.slow
def test_another_process_is_killed_again_and_again(tmp_path, whole):
    _, version = whole
    folder = new(tmp_path)
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]); from lleval_jax.live import run; "
        "from live.test_run import reader; run.run(pathlib.Path(sys.argv[1]), reader=reader)"
    )
    words = [sys.executable, "-c", code, str(folder), str(pathlib.Path(__file__).parents[1])]
    kills = 0
    for wait in (0.2, 0.6, 1.1):
        with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}) as process:
            _until(lambda: (folder / "manifest.jsonl").exists() or process.poll() is not None)
            time.sleep(wait)
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
    run.run(folder, reader=reader)
    assert tables(folder) == tables(whole[0])
    extra = sum(each.extra for each in requests.spent(folder, version.recipe.models.values()).values())
    assert extra <= kills * 4
    keys = [json.loads(line)["key"] for line in (folder / "manifest.jsonl").read_bytes().splitlines()]
    assert len(set(keys)) == len(keys)


def _until(there) -> None:
    end = time.monotonic() + 60
    while not there() and time.monotonic() < end:
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("writer", "said"),
    [("truncated", "truncated"), ("refuses", "refused"), ("malformed-json", "not the JSON"), ("500", "no reply")],
)
def test_models_that_fail_are_listed_and_the_run_goes_on(tmp_path, fetched, writer, said):
    text = recipe_text().replace('model = "noisy-0.3"', f'model = "{writer}"').replace("exact = 5", "exact = 1")
    folder = pathlib.Path(shutil.copytree(fetched, tmp_path / "v"))
    (folder / "recipe.toml").write_text(text)

    def one(fetcher, paper, addresses, blobs):
        found, _ = reader(fetcher, paper, addresses, blobs) if paper.id == FEW[0] else ([], [])
        return found[:3], []

    version = run.run(folder, until="ask", reader=one)
    failed = [each for each in version.findings if each.step == "ask"]
    assert len(failed) == len(version.elements)
    assert all(said in each.reason for each in failed)
    assert {each.made_by for each in version.questions} == {"exact"}
    again = run.run(folder, until="ask", reader=one)
    extra = requests.spent(folder, again.recipe.models.values())[writer].extra
    assert extra == (len(failed) if writer == "500" else 0)  # only what got no reply is asked again


def test_duplicate_options_are_dropped_by_their_filter():
    element = made.table(1)
    client = Scripted("duplicate-options", [element])
    from lleval_jax.live import ask
    from lleval_jax.live.filters import rules

    reply = client.complete(ask.ask(element, "x", count=4))
    good, _ = ask.read(reply, element, made_by=client.model)
    assert len(good) == 4
    assert not any(rules.choices(each).keep for each in good)


def test_scripted_names_are_checked():
    with pytest.raises(BadInput, match="did you mean 'wordy'"):
        Scripted("wordi", [])
    with pytest.raises(BadInput, match="no scripted model"):
        Scripted("noisy", [])
    assert Scripted("429-then-ok+yes-man", []).complete(Request.ask("Q?\nA. a\nB. b")).text


def test_the_sheet_says_what_happened(whole, tmp_path):
    folder, version = whole
    facts = sheet.made(version, folder)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["kept"] == len(version.kept) == facts["funnel"][-1]["stayed"]
    assert sum(each["came"] for each in facts["by"]["licence"].values()) == len(version.questions)
    assert facts["blind"]["share"]["low"] <= 0.07 <= facts["blind"]["share"]["high"]
    assert facts["wrong keys"]["after"]["value"] < facts["wrong keys"]["before"]["value"]
    for each in facts["guessers"].values():
        assert each["low"] < each["value"] < each["high"]
    md, page, _ = sheet.write(facts, tmp_path)
    assert "kappa" in md.read_text()
    assert "<script" not in page.read_text()


def test_people_judge_and_the_next_export_leaves_out(whole, tmp_path):
    folder, version = whole
    questions = review.sample(version, 10)
    page = review.page(version, questions, steps.Blobs(folder / "blobs"))
    facts = json.loads(page.partition('id="facts">')[2].partition("</script>")[0])
    assert [each["id"] for each in facts["questions"]] == [each.id for each in questions]
    assert all(facts["questions"][i]["options"][q.key] == q.options[q.key] for i, q in enumerate(questions))
    given = [{"question": q.id, "judgement": "wrong" if i < 2 else "right"} for i, q in enumerate(questions)]
    path = tmp_path / "review.json"
    path.write_text(json.dumps({"schema": review.SCHEMA, "name": version.recipe.name, "reviews": given}))
    target = tmp_path / "run"
    target.mkdir()
    share = review.wrong_keys(review.keep(target, path, version), version)
    assert share.low < share.value == 0.2 < share.high
    judged = review.reviewed(target, version)
    assert {each.id for each in version.kept} - {each.id for each in judged.kept} == {each.id for each in questions[:2]}
    path.write_text(json.dumps({"schema": review.SCHEMA, "name": "other", "reviews": []}))
    with pytest.raises(BadInput, match="of version 'other'"):
        review.keep(target, path, version)
    path.write_text("{")
    with pytest.raises(BadInput, match="not what the page gives back"):
        review.keep(target, path, version)


def test_suspects_of_check_come_to_the_page(whole, tmp_path):
    _, version = whole
    rows = [each for group in items.configs(version).values() for each in group]
    names = [f"live_x/{items.doc_hash(rows[3])}", f"live_x/{rows[5]['id']}"]
    listed = [{"item": name, "wrong_key": p} for name, p in zip(names, (0.3, 0.9), strict=True)]
    path = tmp_path / "check.json"
    path.write_text(json.dumps({"items": [], "suspects": listed}))
    found = review.suspects_in(path, version)
    assert found == [rows[5]["id"], rows[3]["id"]]
    assert [each.id for each in review.sample(version, 1, suspects=found)] == [rows[5]["id"]]


def test_exports_hold_every_question_with_attribution(whole, tmp_path):
    folder, version = whole
    counts = write.write(version, steps.Blobs(folder / "blobs"), tmp_path / "out", shard=5_000)
    assert sum(counts.values()) == len(version.kept)
    rows = {}
    for path in (tmp_path / "out" / "data").glob("*/*.parquet"):
        assert b"huggingface" in pq.read_schema(path).metadata
        for row in pq.read_table(path).to_pylist():
            rows[row["id"]] = row
            assert row["licence"].lower().replace(" ", "-") in path.parent.name
    assert set(rows) == {each.id for each in version.kept}
    for each in version.kept:
        row = rows[each.id]
        assert row["option_" + row["answer"].lower()] == each.options[each.key]
        assert row["attribution"].startswith(row["authors"].split(";")[0])
        assert (row["image"] is None) == (row["image_file"] == "")
    notice = (tmp_path / "out" / "NOTICE").read_text()
    assert all(row["title"] in notice for row in rows.values())
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\n")
    assert card.count("config_name") == len(counts)
    compile((tmp_path / "out" / "inspect" / "task.py").read_text(), "task.py", "exec")
    with pytest.raises(BadInput, match="not empty"):
        write.write(version, steps.Blobs(folder / "blobs"), tmp_path / "out")


def test_nothing_is_exported_whose_licence_is_not_allowed(whole):
    _, version = whole
    closed = "http://arxiv.org/licenses/nonexclusive-distrib/1.0/"
    papers = tuple(dataclasses.replace(each, licence=closed) for each in version.papers)
    assert items.configs(dataclasses.replace(version, papers=papers)) == {}
    assert statistics.family(papers[0]) == "arXiv-nonexclusive"


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        ("The answer is C.", "C"),
        ("A is wrong, so D", "D"),
        ("ANSWER: B", "B"),
        ("it is red", ""),
        ("the second one, blue", "B"),
        ("green or blue", ""),
        ("CAB", ""),
        ("", ""),
    ],
)
def test_the_letter_reader_is_strict(reply, letter):
    assert harness_utils.letter_of(reply, ["green", "blue", "black", "white"]) == letter


def test_a_paper_gives_so_many_questions(whole):
    _, version = whole
    elements = {each.name: each for each in version.elements}
    found = judging.bounded(version.questions, elements, 2)
    kept = [each.question for each in found if each.keep]
    places = [(elements[q.element].paper, elements[q.element].kind) for q in version.questions if q.id in kept]
    assert max(map(places.count, places)) == 2
