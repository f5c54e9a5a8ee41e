"""Wins, ties and losses against closed forms; judges both ways round; harm to good answers; the failure cases."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from lleval_jax.errors import BadInput
from lleval_jax.training.aligners.evaluate import evaluate
from lleval_jax.training.aligners.judges import ByScore, verdicts
from lleval_jax.values.aligned import Aligned, Row, Step


def row(i: int, before: str, after: str, first: float = 0.2, last: float = 0.8, passes: int = 1) -> Row:
    status = "aligned" if before != after else "good"
    return Row(f"q{i}", f"What is {i}?", before, after, (first,), (last,), (Step("a", "accepted"),) * passes, status)


def aligned(rows: list[Row]) -> Aligned:
    return Aligned(("a",), (0.5,), tuple(rows))


def value(found, group: str) -> tuple[float, float, float]:
    at = found.group.index(group)
    return found.value[at], found.low[at], found.high[at]


def test_none_of_forty_is_no_certainty() -> None:
    """Wilson's upper end for 0 of n is z^2 / (n + z^2)."""
    found = evaluate(aligned([row(i, "x", "y") for i in range(40)]), np.ones(40))
    share, low, high = value(found, "losses")
    assert (share, low) == (0, 0)
    np.testing.assert_allclose(high, 1.959964**2 / (40 + 1.959964**2), rtol=1e-6)


def test_three_numbers_and_what_ties_are() -> None:
    """50 wins, 30 ties, 20 losses: half, dropped, counted."""
    said = np.repeat([1.0, 0.0, -1.0], [50, 30, 20])
    found = evaluate(aligned([row(i, "one two", "one three") for i in range(100)]), said)
    exact = {"wins": 0.5, "ties": 0.3, "losses": 0.2, "win rate": 0.65, "win rate, decided": 50 / 70}
    for group, share in exact.items():
        assert value(found, group)[0] == pytest.approx(share)
        assert value(found, group)[1] < share < value(found, group)[2]
    copies = evaluate(aligned([row(i, "x", "x") for i in range(30)]), np.zeros(30))
    assert value(copies, "win rate")[0] == 0.5  # an aligner that copies is seen
    assert copies.status[copies.group.index("win rate, decided")] == "no such answers"


@dataclasses.dataclass
class BradleyTerry:
    """Prefers by the difference of strengths that the texts state, with a lean to what it sees first."""

    seed: int
    lean: float = 0.0

    def prefer(self, questions, first, second):
        rng = np.random.default_rng(self.seed)
        gap = np.array([float(b) - float(a) for a, b in zip(first, second, strict=True)])
        return np.where(rng.random(len(gap)) < expit(gap - self.lean), 1.0, -1.0)


def test_win_rates_of_a_bradley_terry_judge_are_the_closed_form() -> None:
    """Both orders are asked, independently: a win needs both, else it is a tie. Within 3 standard errors."""
    many, gap = 4000, 0.7
    given = aligned([row(i, "0", str(gap)) for i in range(many)])

    @dataclasses.dataclass
    class Independent(BradleyTerry):
        calls: int = 0

        def prefer(self, questions, first, second):
            self.calls += 1
            return BradleyTerry(self.seed + self.calls, self.lean).prefer(questions, first, second)

    for lean in (0.0, 1.5):
        said = verdicts(Independent(0, lean), given)
        win = expit(gap - lean) * (1 - expit(-gap - lean))
        loss = (1 - expit(gap - lean)) * expit(-gap - lean)
        for share, sign in ((win, 1), (loss, -1), (1 - win - loss, 0)):
            assert abs(np.mean(said == sign) - share) < 3 * np.sqrt(share * (1 - share) / many)


def test_a_judge_that_takes_the_first_makes_ties_alone() -> None:
    class First:
        def prefer(self, questions, first, second):
            return -np.ones(len(first))

    given = aligned([row(0, "a", "b"), row(1, "c", "c")])
    assert verdicts(First(), given).tolist() == [0, 0]


def test_what_judges_do_not_say_is_left_out_and_said() -> None:
    class Silent:
        def prefer(self, questions, first, second):
            return np.array([np.nan, 1.0]) if first[0] == "a" else np.array([-1.0, -1.0])

    given = aligned([row(0, "a", "b"), row(1, "c", "d")])
    said = verdicts(Silent(), given)
    assert np.isnan(said[0])
    assert said[1] == 1
    found = evaluate(given, said)
    assert value(found, "wins")[0] == 1
    assert any("1 answers have no verdict" in each for each in found.caveats)


def test_harm_to_good_answers_is_of_good_answers() -> None:
    rows = [row(i, "a fact", "no", first=0.9) for i in range(5)]  # good, and changed for the worse
    rows += [row(i + 5, "fine", "fine", first=0.9, passes=0) for i in range(15)]
    rows += [row(i + 20, "bad", "better", first=0.1) for i in range(20)]
    said = np.repeat([-1.0, 0.0, 1.0], [5, 15, 20])
    found = evaluate(aligned(rows), said)
    assert value(found, "good changed")[0] == pytest.approx(0.25)
    assert value(found, "good lost")[0] == pytest.approx(0.25)
    assert value(found, "changed")[0] == pytest.approx(25 / 40)
    assert value(found, "passes")[0] == pytest.approx(25 / 40)
    assert value(evaluate(aligned(rows), said, good=np.zeros(40)), "good lost")[1] == -np.inf


def test_an_aligner_that_shortens_is_seen_by_its_length() -> None:
    """A judge that likes length says it loses, one that dislikes it says it wins; the ratio shows why."""

    class Length:
        threshold = 0.5

        def __init__(self, sign: int) -> None:
            self.sign = sign

        def score(self, questions, answers, *, tell=None):
            return np.array([self.sign * len(answer.split()) for answer in answers])

    given = aligned([row(i, "one two three four", "one") for i in range(30)])
    longer, shorter = (evaluate(given, verdicts(ByScore(Length(sign)), given)) for sign in (1, -1))
    assert value(longer, "losses")[0] == value(shorter, "wins")[0] == 1
    assert value(longer, "length ratio")[0] == pytest.approx(0.25)
    assert value(longer, "distance")[0] == pytest.approx(1 - 2 / 5)
    assert not verdicts(ByScore(Length(1), margin=3), given).any()


def test_rows_of_one_question_vary_together() -> None:
    """100 rows of two questions tell less than 100 questions do."""
    said = np.repeat([1.0, -1.0], 50)
    rows = [row(i, "a", "b") for i in range(100)]
    grouped = [each._replace(question="one" if i < 50 else "two") for i, each in enumerate(rows)]
    wide = [value(evaluate(aligned(each), said), "wins") for each in (rows, grouped)]
    assert wide[1][2] - wide[1][1] > 3 * (wide[0][2] - wide[0][1])


@pytest.mark.parametrize(
    ("rows", "said", "words", "message"),
    [
        ([], np.zeros(0), {}, "there are no answers to evaluate"),
        ([row(0, "a", "b")], np.zeros(2), {}, "there are 2 verdicts and 1 answers"),
        ([row(0, "a", "b")], np.zeros(1), {"good": np.zeros(3)}, "good has 3 entries"),
        ([row(0, "a", "b")], np.zeros(1), {"level": 2}, "level is 2"),
        ([row(0, "a", "b")], np.zeros(1), {"draws": 5}, "draws is 5"),
    ],
)
def test_bad_input_is_one_line(rows, said, words, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        evaluate(aligned(rows), said, **words)
