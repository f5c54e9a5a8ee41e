"""Inspectors: areas and calibration against closed forms, one class, the four kinds on what each can distinguish."""

import dataclasses

import numpy as np
import pytest
from nn import tiny_chat
from nn.test_refine_asking import Scripted
from nn.tiny_encoders import WORDS, config, loud, tokenizer
from scipy.optimize import minimize
from scipy.special import expit

from lleval_jax.errors import BadInput
from lleval_jax.lm.encoder import Encoder as TinyEncoder
from lleval_jax.lm.text_encoder import TextEncoder, Use
from lleval_jax.lm.tokens import Tokens
from lleval_jax.training.aligners import aligner_files, calibrate, inspector, train
from lleval_jax.training.aligners.calibrate import Isotonic, Platt
from lleval_jax.training.aligners.criterion import read_criterion
from lleval_jax.training.aligners.filters import near, sift
from lleval_jax.training.aligners.marks import flat, marked
from lleval_jax.training.aligners.scorers import Embedding, Encoder, Grades, Line, Margin, Tuned
from lleval_jax.training.aligners.split import by_question
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.values.corrections import Corrections, Example

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer("bert", folder)
    made = loud(TinyEncoder(config("bert", layers=1)))
    return TextEncoder("tiny", made, Tokens.read(folder), made.config, Use("mean", True, 24), None, None)  # type: ignore[arg-type]


def corrections(rows: int = 240) -> Corrections:
    """A correction replaces each dog by a cat; a third of the answers has no dog."""
    rng, made = RNG(0), []
    for i in range(rows):
        words = rng.choice([word for word in WORDS if word != "dog"], 6)
        if i % 3:
            words[rng.integers(0, 6, 2)] = "dog"
        answer = " ".join(words)
        made.append(
            Example(str(i), f"the {' '.join(rng.choice(WORDS[3:6], 5))} {i} ?", answer, answer.replace("dog", "cat"))
        )
    return Corrections("cats", tuple(made))


def test_an_area_is_the_share_of_pairs_in_order() -> None:
    rng = RNG(1)
    scores, good = rng.integers(0, 8, 60).astype(float), rng.integers(0, 2, 60)
    weights = rng.integers(0, 3, 60).astype(float)
    pairs = [
        (weights[i] * weights[j], (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2)
        for i in np.flatnonzero(good == 1)
        for j in np.flatnonzero(good == 0)
    ]
    exact = sum(w * v for w, v in pairs) / sum(w for w, _ in pairs)
    assert calibrate.auc(scores, good, weights) == pytest.approx(exact, abs=1e-12)


def test_logistic_regression_is_the_minimum() -> None:
    rng = RNG(2)
    x, targets = rng.standard_normal((80, 4)), rng.random(80)

    def value(at: np.ndarray) -> float:
        scores = x @ at[:4] + at[4]
        return float(np.sum(np.logaddexp(0, scores) - targets * scores) + 0.7 * at[:4] @ at[:4] / 2)

    found = calibrate.logistic(x, targets, 0.7)
    np.testing.assert_allclose(found, minimize(value, np.zeros(5), tol=1e-12).x, atol=1e-5)
    apart = calibrate.logistic(x[:, :1], (x[:, 0] > 0).astype(float), 1e-3)  # classes that a line separates
    assert np.isfinite(apart).all()


@pytest.mark.parametrize("how", ["platt", "isotonic"])
def test_calibrated_scores_are_probabilities(how: str) -> None:
    """Log-odds 2 x - 1 of 20,000 answers: calibration within what so many leave to chance."""
    rng = RNG(3)
    raw = rng.standard_normal(20_000)
    good = (rng.random(20_000) < expit(2 * raw - 1)).astype(float)
    found = calibrate.fit(raw, good, how)  # type: ignore[arg-type]
    fresh = rng.standard_normal(20_000)
    seen = (rng.random(20_000) < expit(2 * fresh - 1)).astype(float)
    chance = np.sqrt(10 * 0.25 / 20_000) * np.sqrt(2 / np.pi)  # of a group's mean distance
    assert calibrate.ece(found(fresh), seen) < 3 * chance
    assert calibrate.ece(expit(6 * fresh), seen) > 0.1  # too confident scores are not
    if isinstance(found, Platt):
        assert (found.slope, found.offset) == pytest.approx((2, -1), abs=0.1)
    assert np.isnan(found(np.array([np.nan, 0.0]))).tolist() == [True, False]
    line = found(np.linspace(-3, 3, 50))
    assert (np.diff(line) >= 0).all()


def test_groups_of_like_probability_by_hand() -> None:
    probability = np.repeat([0.2, 0.8], 10)
    good = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, *[1] * 6, *[0] * 4], float)
    assert calibrate.ece(probability, good, groups=2) == pytest.approx((0.1 + 0.2) / 2)


def test_prices_give_the_threshold() -> None:
    assert calibrate.threshold() == 0.5
    assert calibrate.threshold(harm=9) == pytest.approx(0.1)
    with pytest.raises(BadInput, match="prices are -1 and 1"):
        calibrate.threshold(harm=-1)


def test_one_class_is_one_line(encoder: TextEncoder) -> None:
    same = Corrections("cats", tuple(row._replace(correction=row.answer) for row in corrections(60).rows))
    with pytest.raises(BadInput, match=r"^all \d+ answers are good; an inspector needs good and bad ones$"):
        inspector.fit_inspector(Embedding(encoder), by_question(same))
    with pytest.raises(BadInput, match="all 3 answers are bad"):
        calibrate.fit(np.arange(3.0), np.zeros(3))
    with pytest.raises(BadInput, match="there are no answers; an inspector needs"):
        calibrate.report(np.full(2, np.nan), np.array([0.0, 1.0]), ["a", "b"])
    with pytest.raises(BadInput, match="a score is not finite"):
        calibrate.fit(np.array([np.nan, 0.0]), np.array([0.0, 1.0]))


def test_a_question_in_two_parts_is_refused(encoder: TextEncoder) -> None:
    given = corrections(60)
    parts = by_question(given)
    with pytest.raises(BadInput, match="is in 'learn' and in 'test'"):
        inspector.fit_inspector(Embedding(encoder), parts | {"test": parts["learn"].keep(parts["learn"].rows[:3])})
    with pytest.raises(BadInput, match="the part 'calibrate' is missing; there are learn, test"):
        inspector.fit_inspector(Embedding(encoder), {name: parts[name] for name in ("learn", "test")})
    with pytest.raises(BadInput, match="no question is in the part 'test'"):
        inspector.fit_inspector(Embedding(encoder), parts | {"test": given.keep(())})


@pytest.fixture(scope="module")
def line(encoder: TextEncoder) -> inspector.Inspector:
    return inspector.fit_inspector(Embedding(encoder), by_question(corrections()), harm=3.0)


def test_vectors_and_a_regression_distinguish_a_planted_word(line, encoder: TextEncoder, tmp_path) -> None:
    assert line.report.auc > 0.95
    assert line.report.low <= line.report.auc <= line.report.high
    assert line.caveats == ()
    assert line.threshold == 0.25
    asked, given = ["the cat sat"] * 2, ["the cat sat on a mat", "the dog sat on a dog"]
    found = line.score(asked, given)
    assert found[0] > 0.5 > found[1]
    np.testing.assert_allclose(line.score(asked[:1], given[1:]), found[1:], atol=1e-6)
    assert line.score([], []).shape == (0,)
    aligner_files.save_inspector(line, tmp_path / "line", encoder="tiny")
    again = aligner_files.load_inspector(tmp_path / "line", encoder=encoder)
    np.testing.assert_array_equal(again.score(asked, given), found)
    assert (again.report, again.threshold, again.name) == (line.report, 0.25, "cats")


def test_an_inspector_that_sees_nothing_says_so(encoder: TextEncoder) -> None:
    """Good and bad answers of words drawn alike."""
    rng = RNG(5)
    rows = [[" ".join(rng.choice(WORDS, 6)) for _ in range(2)] for _ in range(300)]
    given = Corrections("none", tuple(Example(str(i), f"the cat {i} ?", *pair) for i, pair in enumerate(rows)))
    found = inspector.fit_inspector(Embedding(encoder), by_question(given))
    assert found.report.low < 0.6
    assert "hardly distinguishes good answers from bad ones: AUC" in found.caveats[0]


@pytest.mark.slow
def test_an_encoder_that_learns_distinguishes_too(encoder: TextEncoder, tmp_path) -> None:
    schedule = Schedule(steps=40, batch=32, rate=3e-2, warmup=0.0)
    kind = Encoder(encoder, lora=Lora(rank=2, learn="B"), schedule=schedule)
    found = inspector.fit_inspector(kind, by_question(corrections()))
    assert found.report.auc > 0.95
    assert isinstance(found.scorer, Tuned)
    aligner_files.save_inspector(found, tmp_path / "tuned", encoder="tiny")
    again = aligner_files.load_inspector(tmp_path / "tuned", encoder=encoder)
    asked, given = ["the cat sat"] * 2, ["the cat sat on a mat", "the dog sat on a dog"]
    np.testing.assert_allclose(again.score(asked, given), found.score(asked, given), atol=1e-6)


def test_a_margin_is_what_learning_changed(tmp_path) -> None:
    """0 where nothing was learned; by hand elsewhere."""
    base = tiny_chat.model(tmp_path)
    before = flat(marked(base)[0])
    asked, given = ["Why?"], ["So it is."]
    np.testing.assert_array_equal(Margin(before, before).raw(asked, given), [0])
    other = flat(marked(tiny_chat.model(tmp_path, seed=1))[0])
    found = Margin(other, before).raw(asked, given)
    ids = before.tokens.form("Why?", "So it is.", "So it is.")
    own = []
    for model in (other, before):
        logits = np.asarray(model.decoder(np.array([ids])))[0]
        logits = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        begin = ids.index(before.tokens.first + 1)
        own.append(np.mean([logits[at, ids[at + 1]] for at in range(begin, len(ids) - 1)]))
    assert found[0] == pytest.approx(own[0] - own[1], abs=1e-4)


def test_grades_are_asked_for_and_may_be_missing() -> None:
    client = Scripted(lambda request: {"a": "9", "b": "none"}[request.messages[-1].content[-1]])
    found = Grades(client, read_criterion("polite")).raw(["Why?"] * 3, ["a", "b", "a"])
    assert np.isnan(found[1])
    assert found[[0, 2]].tolist() == [0.9, 0.9]
    assert len(client.asked) == 2
    system, *shown, asked = client.asked[0].messages
    assert "Grade the answer" in system.content
    assert [turn.content for turn in shown if turn.role == "assistant"] == ["0", "10", "0", "10", "10"]
    assert asked.content == "Question: Why?\nAnswer: a"


def test_near_copies_are_a_rule_with_a_count(encoder: TextEncoder) -> None:
    rows = [Example("a", "q", "the cat sat", "the cat sat"), Example("b", "q", "the cat sat", "mat mat ran dog .")]
    found = sift(rows, [near(encoder, 0.999)])
    assert [(row.id, why) for row, why in found.dropped] == [("a", "nearly the same")]
    assert [row.id for row in found.kept] == ["b"]


@pytest.mark.slow
@pytest.mark.parametrize("adapters", [Lora(rank=2, targets=("query",)), None], ids=["adapters", "all weights"])
def test_an_aligner_in_files_writes_the_same(adapters, tmp_path) -> None:
    base = tiny_chat.model(tmp_path)
    given = Corrections("any", tuple(Example(str(i), f"Why {i}?", f"So {i}.", f"Thus {i}.") for i in range(8)))
    schedule = Schedule(steps=2, batch=4, rate=1e-2, warmup=0.0)
    found = train.fit_aligner(base, given, lora=adapters, schedule=schedule, limit=8)
    aligner_files.save_aligner(found, tmp_path / "aligner", base="tiny")
    again = aligner_files.load_aligner(tmp_path / "aligner", base=base)
    asked = ["Why 3?", "Why 9?"], ["So 3.", "So 9."]
    assert again.align(*asked).rows == found.aligner.align(*asked).rows
    assert (again.name, again.limit) == ("any", 8)
    with pytest.raises(BadInput, match="holds no aligner"):
        aligner_files.load_aligner(tmp_path)


def test_files_that_are_none_are_one_line(line, encoder: TextEncoder, tmp_path) -> None:
    with pytest.raises(BadInput, match="holds no inspector"):
        aligner_files.load_inspector(tmp_path, encoder=encoder)
    aligner_files.save_inspector(line, tmp_path / "line", encoder="tiny")
    path = tmp_path / "line" / "inspector.json"
    path.write_text(path.read_text().replace('"line"', '"other"'))
    with pytest.raises(BadInput, match="kind"):
        aligner_files.load_inspector(tmp_path / "line", encoder=encoder)
    wrong = dataclasses.replace(line, scorer=Grades(Scripted(), read_criterion("polite")))
    with pytest.raises(BadInput, match="cannot be kept in files"):
        aligner_files.save_inspector(wrong, tmp_path / "grades", encoder="tiny")
    assert isinstance(line.scorer, Line)
    assert isinstance(line.calibration, Platt | Isotonic)
