"""Which questions go, why, and what comes in: from evidence that is written down here."""

import dataclasses

import pytest
from live import made

from lleval_jax.errors import BadInput
from lleval_jax.live import retire, review
from lleval_jax.live.retire import Decision, Evidence
from lleval_jax.live.run import Version


@pytest.fixture(scope="module")
def version() -> Version:
    return made.version_of_tables()


def gone(decisions: list[Decision]) -> dict[str, tuple[str, ...]]:
    return {each.question: each.reasons for each in decisions if each.verdict == "retire"}


def test_a_doubtful_key_goes_and_another_question_of_its_paper_comes(version):
    assert len(version.kept) == 36
    bad = version.kept[0].id
    found = retire.decide(version, Evidence(wrong={bad: 0.7, version.kept[1].id: 0.5}))
    assert gone(found) == {bad: ("its key is wrong with probability 0.70",)}
    (taken,) = (each.question for each in found if each.verdict == "take")
    after = retire.applied(version, found)
    kept = {each.id for each in after.kept}
    assert kept == {each.id for each in version.kept} - {bad} | {taken}
    elements = {each.name: each.paper for each in version.elements}
    counts = [elements[each.element] for each in after.kept]
    assert max(map(counts.count, counts)) == 12
    assert [each.id for each in after.questions] == [each.id for each in version.questions]  # nothing is deleted


def test_what_tells_nothing_goes_until_a_domain_tells_as_much_as_before(version):
    elements = {each.name: each.paper for each in version.elements}
    mine = [each.id for each in version.kept if elements[each.element] == version.papers[0].name]
    told = dict.fromkeys((each.id for each in version.kept), 1.0) | {mine[0]: 0.09, mine[1]: 0.11}
    evidence = Evidence(information=told)
    found = retire.decide(version, evidence, floor=0.1)
    assert list(gone(found)) == [mine[0]]
    assert not [each for each in found if each.verdict == "take"]  # what goes told a tenth of a question
    found = retire.decide(version, evidence, floor=0.2)
    assert set(gone(found)) == set(mine[:2])
    both = Evidence(information=told, wrong=dict.fromkeys(mine[2:4], 0.9))
    assert sum(each.verdict == "take" for each in retire.decide(version, both)) == 2
    level = retire.level(version, both, retire.decide(version, both))
    assert level["cs.LG"] == {
        "before": 24,
        "goes": 3,
        "comes": 2,
        "told": pytest.approx(22.2),
        "lost": pytest.approx(2.09),
    }
    assert level["cs.CV"]["goes"] == 0


@pytest.mark.parametrize(("right", "asked", "goes"), [(0, 0, False), (3, 3, False), (4, 4, True), (5, 12, False)])
def test_what_is_known_without_the_picture_goes(version, right, asked, goes):
    """By guessing: 3 of 3 once in 64, 4 of 4 once in 256; the bound is once in 100."""
    found = retire.decide(version, Evidence(blind={version.kept[0].id: (right, asked)}))
    assert bool(gone(found)) == goes


def test_papers_that_may_no_longer_be_shown_go(version):
    papers = {each.id: each for each in version.papers}
    first, second, third = version.papers
    shut = {"licence": "http://arxiv.org/licenses/nonexclusive-distrib/1.0/"}
    now = papers | {
        first.id: dataclasses.replace(first, **shut),
        second.id: dataclasses.replace(second, version=2, **shut),  # another version: the licence of this one stays
    }
    del now[third.id]
    found = retire.decide(version, Evidence(papers=now))
    elements = {each.name: each.paper for each in version.elements}
    by_id = {each.id: elements[each.element] for each in version.questions}
    assert {by_id[id] for id in gone(found)} == {first.name, third.name}
    assert len(gone(found)) == 24
    assert {by_id[each.question] for each in found if each.verdict == "take"} <= {second.name}
    reasons = {reason for each in gone(found).values() for reason in each}
    assert any("another one now" in each for each in reasons)
    assert any("withdrawn" in each for each in reasons)


def test_decisions_are_kept_and_a_person_has_the_last_word(version, tmp_path):
    bad = version.kept[0]
    found = retire.decide(version, Evidence(wrong={bad.id: 0.9}))
    retire.keep(tmp_path, found)
    decided = retire.decided(tmp_path)
    assert decided == [each for each in found if each.verdict != "keep"]
    (tmp_path / review.FOLDER).mkdir()
    said = review.Review(question=bad.id, judgement="wrong", right=(bad.key + 1) % 4, key=bad.key)
    _put(tmp_path, [said])
    after = retire.applied(review.reviewed(tmp_path, version), decided)
    (fixed,) = (each for each in after.kept if each.id == bad.id)
    assert fixed.key == (bad.key + 1) % 4
    _put(tmp_path, [said, review.Review(question=bad.id, judgement="right", key=(bad.key + 1) % 4)])  # of the next page
    assert bad.id in {each.id for each in review.reviewed(tmp_path, version).kept}
    _put(tmp_path, [said, review.Review(question=bad.id, judgement="right")])  # as it was
    assert bad.id not in {each.id for each in review.reviewed(tmp_path, version).kept}
    (tmp_path / retire.FOLDER / "x.json").write_text("{}")
    with pytest.raises(BadInput, match="live retire"):
        retire.decided(tmp_path)
    with pytest.raises(BadInput, match="floor is 2"):
        retire.decide(version, Evidence(), floor=2)


def _put(folder, reviews):
    import msgspec

    content = msgspec.json.encode(review.Reviews(schema=review.SCHEMA, name="v", reviews=reviews))
    (folder / review.FOLDER / "a.json").write_bytes(content)
