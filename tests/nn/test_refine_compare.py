"""Arms compared: intervals that cover, gaps in closed form, the warning of the failing teacher, bad tables refused."""

import itertools

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from lleval_jax.errors import BadInput
from lleval_jax.training.refine import concept as concepts
from lleval_jax.training.refine import two_way
from lleval_jax.training.refine.arms import Arms, word_distance
from lleval_jax.training.refine.compare import GAIN, GAP, ONE_SEED, SCORE, compare, matched_epochs
from lleval_jax.training.refine.concept import Concept, Teacher
from lleval_jax.values.pool import Spent

FALSE_ALARM = 1e-5
FIVE = Concept(10, (0.2,) * 5)


def table(rng: np.random.Generator, means: dict[str, float], questions: int = 40, seeds: int = 3) -> pd.DataFrame:
    """Scores of arms on questions of their own difficulty; base and teacher are not trained."""
    hard = rng.normal(0, 0.3, questions)
    rows = []
    for arm, mean in means.items():
        own = rng.normal(0, 0.05, seeds)
        for seed in range(1 if arm in ("base", "teacher") else seeds):
            score = mean + hard + own[seed] + rng.normal(0, 0.1, questions)
            rows += [(arm, f"q{q}", str(seed), score[q]) for q in range(questions)]
    return pd.DataFrame(rows, columns=["arm", "question", "seed", "content"])


MEANS = {"base": 0.6, "teacher": 0.3, "naive": 0.35, "refined": 0.62, "oracle": 0.8}


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.0), (3, 0.1), (3, 0.5), (5, 0.3)])
def test_means_over_questions_and_seeds_are_covered(seeds: int, spread: float) -> None:
    """95% intervals of 400 worlds, within the binomial's bounds, and not too wide either."""
    rng, worlds, questions = np.random.default_rng(seeds), 400, 30
    draws = two_way.drawn(questions, seeds, 500, 0)
    held, width = 0, 0.0
    for _ in range(worlds):
        scores = (
            rng.normal(0, 0.5, (questions, 1)) + rng.normal(0, spread, seeds) + rng.normal(0, 0.5, (questions, seeds))
        )
        found = two_way.mean(scores, draws, 0.95)
        held, width = held + (found.low <= 0 <= found.high), width + (found.high - found.low) / worlds
    assert binom.cdf(held, worlds, 0.95) > FALSE_ALARM
    if spread == 0:
        best = 2 * 1.96 * np.sqrt((0.25 + 0.25 / seeds) / questions)
        assert width < 1.35 * best


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.15])
def test_gaps_are_covered(spread: float) -> None:
    """Student, untrained teacher and ceiling on 40 questions with three seeds, in 400 worlds; the gap is .64."""
    rng, worlds, held = np.random.default_rng(0), 400, 0
    draws = two_way.drawn(40, 3, 400, 0)
    for _ in range(worlds):
        hard = rng.normal(0, 0.3, (40, 1))
        student, ceiling = (
            mean + hard + rng.normal(0, spread, 3) + rng.normal(0, 0.1, (40, 3)) for mean in (0.62, 0.8)
        )
        teacher = 0.3 + np.repeat(hard + rng.normal(0, 0.1, (40, 1)), 3, axis=1)
        found = two_way.ratio(student - teacher, ceiling - teacher, draws, 0.95)
        held += found.low <= 0.64 <= found.high
    assert binom.cdf(held, worlds, 0.95) > FALSE_ALARM


def test_the_table_in_closed_form() -> None:
    frame = table(np.random.default_rng(1), MEANS)
    found = compare(Arms.from_frame(frame), ceiling="oracle").estimates["content"]
    mean = frame.groupby("arm")["content"].mean()
    assert found["refined", SCORE].value == pytest.approx(mean["refined"])
    assert found["refined", GAIN].value == pytest.approx(mean["refined"] - mean["base"])
    gap = (mean["refined"] - mean["teacher"]) / (mean["oracle"] - mean["teacher"])
    assert found["refined", GAP].value == pytest.approx(gap)
    assert found["naive", GAIN].high < 0
    alone = frame.assign(score=frame["content"])[frame["arm"] != "oracle"]
    assert set(compare(Arms.from_frame(alone)).estimates["score"].group) == {SCORE, GAIN}


def test_the_order_of_rows_does_not_matter_and_pairing_makes_differences_sure() -> None:
    frame = table(np.random.default_rng(2), MEANS)
    first = compare(Arms.from_frame(frame), ceiling="oracle").estimates["content"]
    mixed = frame.sample(frac=1, random_state=0).sort_values(["arm", "question"], kind="stable")
    other = compare(Arms.from_frame(mixed), ceiling="oracle").estimates["content"]
    for entry in first:
        again = other[entry.row, entry.group]
        assert (again.value, again.std_error) == (pytest.approx(entry.value), pytest.approx(entry.std_error))
    assert first["naive", GAIN].std_error < 0.8 * first["naive", SCORE].std_error


def test_a_gap_that_may_be_nothing_has_no_bounds() -> None:
    frame = table(np.random.default_rng(3), MEANS | {"oracle": 0.3})
    found = compare(Arms.from_frame(frame), ceiling="oracle").estimates["content"]["refined", GAP]
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert found.status == "gap not above 0"


def test_one_training_is_said_to_be_one() -> None:
    frame = table(np.random.default_rng(4), MEANS, seeds=1)
    assert compare(Arms.from_frame(frame)).estimates["content"].caveats == (ONE_SEED,)
    assert compare(Arms.from_frame(frame.drop(columns="seed"))).estimates["content"].caveats == (ONE_SEED,)


def warned(teacher: Teacher, shown: int) -> bool:
    """Whether `compare` warns of answers refined by this teacher: 400 questions, a fresh set each."""
    pi = concepts.draw(FIVE, teacher, shown=(shown,), draws=400, key=jax.random.key(7))
    x = np.random.default_rng(0).standard_normal((400, FIVE.dims))
    of_base = x @ FIVE.mean
    answers = {
        "base": of_base,
        "teacher": x @ teacher.direction(FIVE.dims),
        "refined": np.sum(x * FIVE.of(np.asarray(pi[:, 0], float)), 1),
    }
    right = x @ FIVE.wanted
    rows = [
        (arm, str(q), -((answer[q] - right[q]) ** 2), (answer[q] - of_base[q]) ** 2)
        for arm, answer in answers.items()
        for q in range(400)
    ]
    frame = pd.DataFrame(rows, columns=["arm", "question", "score", "distance"])
    return bool(compare(Arms.from_frame(frame), draws=400).warnings)


def test_the_failing_teacher_is_warned_of_and_good_ones_are_not() -> None:
    failing = Teacher((0, 0.8), strength=0.6)
    assert [warned(failing, shown) for shown in (0, 32)] == [False, True]
    for good in (Teacher(), Teacher.orthogonal(FIVE, 1.0)):
        assert not any(warned(good, shown) for shown in (4, 32))
    assert warned(Teacher(strength=0.5), 32)  # the alarm that the docstring tells of: it only goes half the way


def test_distances_are_measured_from_answers() -> None:
    said = {"base": "Paris it is", "teacher": "it is Rome", "refined": "Ahoy matey arr", "naive": "it is Rome"}
    frame = pd.DataFrame(
        [(arm, q, 1.0, text) for (arm, text), q in itertools.product(said.items(), "abcdefgh")],
        columns=["arm", "question", "content", "answer"],
    )
    arms = Arms.from_frame(frame)
    assert arms["distance", "teacher"].mean() == pytest.approx(1 / 3)
    (sentence,) = compare(arms).warnings
    assert sentence.startswith("answers of 'refined' are further from the untouched model's (1.000) than")
    assert compare(arms, refined=["naive"]).warnings == ()
    assert word_distance("", "") == 0


def test_costs_are_added_up_and_matched() -> None:
    frame = table(np.random.default_rng(5), MEANS, questions=10).assign(tokens=7, money=0.5)
    found = compare(Arms.from_frame(frame))
    assert found.costs["tokens"]["naive"] == 210
    assert found.costs["money"]["base"] == 5
    assert "content" in found.to_dict()["measures"]
    assert matched_epochs(Spent(asked=54_000, written=6_000), 20_000, 3) == 4


def changed(**columns) -> pd.DataFrame:
    return table(np.random.default_rng(6), MEANS, questions=4).assign(**columns)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Arms.from_frame(changed().drop(columns="arm")), "the table has no column 'arm'"),
        (lambda: Arms.from_frame(changed().iloc[:0]), "the table has no rows"),
        (lambda: Arms.from_frame(changed().drop(columns="content")), "no column of numbers to compare"),
        (lambda: Arms.from_frame(changed().iloc[1:]), "arm 'base', question 'q0', seed '0' is missing"),
        (lambda: Arms.from_frame(pd.concat([changed(), changed()[:1]])), "seed '0' stands twice"),
        (lambda: Arms.from_frame(changed(content=np.nan)), "content of arm 'base', question 'q0'"),
        (lambda: Arms.from_frame(changed()[:-4]), "arm 'oracle' has the seeds 0, 1; others have 0, 1, 2"),
        (lambda: compare(Arms.from_frame(changed()), teacher="techer"), "no arm 'techer'.*did you mean 'teacher'"),
        (lambda: compare(Arms.from_frame(changed()), draws=10), "draws is 10"),
        (lambda: Arms.from_frame(changed(answer="x"), base="b"), "there is no arm 'b', from whose answers"),
        (lambda: matched_epochs(Spent(), 0, 1), "tokens is 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(wrong, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        wrong()
