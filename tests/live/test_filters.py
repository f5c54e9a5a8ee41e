"""Filters against planted truth: the full figures are those of bench/live."""

import json

import numpy as np
import pytest
from live.made import blind_answers, exact_questions, judge_answers, plain, planted, tables

from lleval_jax.live import shares
from lleval_jax.live.filters import agreement, answers, blind, difficulty, rules
from lleval_jax.live.values import Element, question
from lleval_jax.lm.client import Reply


def em(counts: np.ndarray, m: int) -> float:
    """The share that is known, by EM over {guess, knows}: the slow way to what has a closed form."""
    from math import comb

    guess = np.array([comb(m, s) * 0.25**s * 0.75 ** (m - s) for s in range(m + 1)])
    knows, k = np.eye(m + 1)[m], 0.5
    for _ in range(2000):
        of = k * knows / (k * knows + (1 - k) * guess)
        k = float(counts @ of / counts.sum())
    return k


@pytest.mark.parametrize("share", [0.0, 0.07, 0.3])
def test_the_blind_share_is_where_em_ends(share):
    questions, papers = plain(1000)
    given = blind_answers(questions, share, np.random.default_rng(7))
    found = blind.estimate(questions, given, papers)
    right = [sum(a.pick == q.key for a in each) for q, each in zip(questions, np.reshape(given, (-1, 3)), strict=True)]
    assert found.share.value == pytest.approx(em(np.bincount(right, minlength=4), 3), abs=2e-3)
    assert found.share.low <= share <= found.share.high
    assert found.dropped == sum(s == 3 for s in right)
    dropped = [each for each in blind.verdicts(questions, given, found.share.value) if not each.keep]
    assert len(dropped) == found.dropped


def test_a_guesser_bound_to_a_position_loses_nothing():
    questions, papers = plain(400)
    given = [
        answers.Answer(question=q.id, role="blind", model="m", order=o, pick=(0 + o) % 4)
        for q in questions
        for o in answers.BLIND
    ]
    assert blind.estimate(questions, given, papers).dropped == 0


def test_orders_show_every_option_in_its_place():
    (q,), _ = plain(1)
    element = Element(paper="p0", kind="table", number="0", caption="Cap.", reader="latex", cells=(("a",), ("1",)))
    for order in range(4):
        request = answers.request(q, element, "judge", order)
        lines = request.messages[-1].content.splitlines()
        shown = [line[3:] for line in lines if line[:2] in ("A.", "B.", "C.", "D.")]
        letter = "ABCD"[shown.index(q.options[q.key])]
        reply = Reply(json.dumps({"answer": letter}), "stop", "m")
        assert answers.answer(q, "judge", "m", order, reply).pick == q.key
    assert "Cap." not in answers.request(q, element, "blind", 0).messages[-1].content
    assert "Cap." in answers.request(q, element, "caption", 0).messages[-1].content
    wordy = answers.answer(q, "judge", "m", 1, Reply("There is no legend, yes A", "stop", "m"))
    assert wordy.pick is None
    assert "not the JSON" in wordy.reason


def test_agreement_catches_planted_keys():
    rng = np.random.default_rng(2)
    elements = tables(120)
    questions = exact_questions(elements)
    papers = {each.element: elements[each.element].paper for each in questions}
    turned, wrong = planted(questions, 0.1, rng)
    given = [*judge_answers(questions, 0.05, rng, "one"), *judge_answers(questions, 0.05, rng, "two")]
    one = agreement.judge("one", turned, given, papers)
    assert one.useful
    e = len(wrong) / len(turned)
    assert one.kappa.low < ((1 - e) * 0.95 + e * 0.05 / 3 - 0.25) / 0.75 < one.kappa.high
    kept = {each.question: each.keep for each in agreement.verdicts(turned, given, ["one"])}
    assert sum(not kept[id] for id in wrong) >= 0.9 * len(wrong)
    lost = np.mean([not kept[q.id] for q in turned if q.id not in wrong])
    assert lost == pytest.approx(1 - 0.95**2, abs=4 * np.sqrt(0.1 / len(turned)))
    hidden = agreement.latent(turned, given, papers)
    assert hidden is not None
    assert hidden.share.low <= len(wrong) / len(turned) <= hidden.share.high
    assert hidden.accuracy["one"] == pytest.approx(0.95, abs=0.02)
    suspects = {each.question for each in agreement.suspects(hidden) if not each.keep}
    assert len(suspects & wrong) >= 0.95 * len(wrong)
    assert len(suspects - wrong) <= 0.01 * len(turned)
    assert agreement.latent(turned, given[: len(given) // 2], papers) is None


def test_a_judge_that_does_not_look_is_no_filter():
    elements = tables(100)
    questions = exact_questions(elements)
    papers = {each.element: elements[each.element].paper for each in questions}
    yes = [
        answers.Answer(question=q.id, role="judge", model="yes", order=o, pick=o)  # always the first that is shown
        for q in questions
        for o in answers.JUDGE
    ]
    found = agreement.judge("yes", questions, yes, papers)
    assert not found.useful
    assert found.kappa.value == pytest.approx(0, abs=0.1)
    verdicts = agreement.verdicts(questions, yes, [])
    assert all(each.keep and each.reason == agreement.NO_FILTER for each in verdicts)


def test_answers_not_read_are_no_agreement():
    (q,), papers = plain(1)
    given = [answers.Answer(question=q.id, role="judge", model="w", order=o, pick=None, reason="cut") for o in (1, 3)]
    (verdict,) = agreement.verdicts([q], given, ["w"])
    assert not verdict.keep
    assert "cut" in verdict.reason
    assert agreement.judge("w", [q], given, papers).unread == 2


def test_rules_say_what_is_wrong():
    def made(text: str, shown=("aa", "bb", "cc", "dd")):
        return question(element="p/table-1", kind="look-up", text=text, options=shown, answer=shown[0], made_by="m")

    assert rules.schema(made("Which is it?")).keep
    assert "leans" in rules.schema(made("According to the caption, which is it?")).reason
    assert "ends" in rules.schema(made("Which is it")).reason
    assert "say the same" in rules.choices(made("Which?", ("1.0", "1.00", "2", "3"))).reason
    assert "letters" in rules.choices(made("Which?", ("a" * 30, "b", "c", "d"))).reason


def test_support_of_texts():
    element = Element(
        paper="p", kind="table", number="1", caption="", reader="latex", cells=(("Model", "BLEU"), ("ResNet", "3"))
    )

    def of(answer: str, kind: str = "look-up", evidence: str = ""):
        shown = (answer, "b", "c", "d")
        q = question(
            element="p/table-1", kind=kind, text="?", options=shown, answer=answer, made_by="m", evidence=evidence
        )
        return rules.support(q, element)

    assert of("ResNet").keep
    assert not of("DenseNet").keep
    assert "DenseNet" in of("the DenseNet").reason
    assert of("It grows").keep
    assert "no numbers" in of("7", "difference").reason
    bare = Element(paper="p", kind="figure", number="1", caption="", reader="pdf")
    assert np.isnan(rules.support(plain(1)[0][0], bare).score)


def test_difficulty_marks_and_drops_nothing():
    questions, _ = plain(3)
    found = difficulty.verdicts(questions, {questions[0].id: (5, 5), questions[1].id: (0, 5), questions[2].id: (1, 2)})
    assert all(each.keep for each in found)
    assert [each.reason[:4] for each in found] == ["all ", "none", "2 mo"]


def test_shares_of_alike_questions_have_wider_intervals():
    hits = np.repeat(np.random.default_rng(0).random(40) < 0.3, 10)
    papers = np.repeat(np.arange(40), 10)
    alone, alike = shares.share_of(hits), shares.share_of(hits, papers)
    ratio = (alike.high - alike.low) / (alone.high - alone.low)
    assert 2.5 < ratio < 4  # the square root of ten, about
    assert shares.share_of([]).n == 0
    assert shares.share_of([True] * 5, "abcde").high == 1
    mean = shares.mean_of(hits.astype(float), papers)
    assert mean.value == pytest.approx(alike.value)
    assert mean.low < mean.value < mean.high
