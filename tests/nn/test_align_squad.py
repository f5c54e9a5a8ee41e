"""Squads on stubs whose every answer is known: order, thresholds, passes, what is accepted, and the paper's order."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from lleval_jax.errors import BadInput
from lleval_jax.training.aligners.aligner import Corrected, Outcome
from lleval_jax.training.aligners.squad import Member, Squad
from lleval_jax.values.pool import Pool, Spent


@dataclasses.dataclass
class Inspects:
    """A score by a function of the answer; remembers what it was shown."""

    says: Callable[[str], float]
    threshold: float = 0.5
    seen: list[str] = dataclasses.field(default_factory=list)

    def score(self, questions, answers, *, tell=None):
        self.seen += answers
        return np.array([self.says(answer) for answer in answers], float)


@dataclasses.dataclass
class Aligns:
    """A correction by a function of the answer."""

    name: str
    says: Callable[[str], str | Corrected]
    asked: list[list[str]] = dataclasses.field(default_factory=list)

    def align(self, questions, answers, *, tell=None):
        self.asked.append(list(answers))
        found = [self.says(answer) for answer in answers]
        rows = tuple(each if isinstance(each, Corrected) else Corrected(each) for each in found)
        return Outcome(rows, Spent(len(rows), 0, 10 * len(rows), len(rows)))


def pool(*answers: str) -> Pool:
    names = tuple(f"q{i}" for i in range(len(answers)))
    return Pool(names, tuple(f"{name}?" for name in names), answers)


def without(letter: str) -> Member:
    """Low where the letter is in the answer; taken away by the aligner."""
    return Member(
        Inspects(lambda text: 0.9 if letter not in text else 0.3 if letter == "a" else 0.1),
        Aligns(letter, lambda text: text.replace(letter, "")),
    )


def test_each_answer_has_its_own_order_and_its_own_place() -> None:
    members = (without("a"), without("b"))
    found = Squad(members).run(pool("xa", "xb", "xab", "x"))
    assert [row.after for row in found.rows] == ["x"] * 4
    assert [row.id for row in found.rows] == ["q0", "q1", "q2", "q3"]
    assert [[step.by for step in row.steps] for row in found.rows] == [["a"], ["b"], ["b", "a"], []]
    assert [row.status for row in found.rows] == ["aligned", "aligned", "aligned", "good"]
    assert found.rows[2].first == (0.3, 0.1)
    assert found.rows[2].last == (0.9, 0.9)
    assert found.passes.tolist() == [1, 1, 2, 0]
    assert found.spent == Spent(4, 0, 40, 4)
    assert members[1].aligner.asked == [["xb", "xab"]]  # type: ignore[attr-defined]
    assert members[0].inspector.seen == ["xa", "xb", "xab", "x", "x", "x", "xa", "x"]  # type: ignore[attr-defined]


def test_a_score_at_the_threshold_is_high_enough() -> None:
    aligner = Aligns("a", lambda text: f"{text}!")
    values = {"low": 0.5 - 1e-12, "at": 0.5, "low!": 0.6}
    found = Squad((Member(Inspects(values.__getitem__), aligner),)).run(pool("low", "at"))
    assert aligner.asked == [["low"]]
    assert [row.status for row in found.rows] == ["aligned", "good"]


def test_nothing_is_asked_where_all_is_good() -> None:
    member = without("a")
    found = Squad((member,)).run(pool("x", "y"))
    assert member.aligner.asked == []  # type: ignore[attr-defined]
    again = Squad((member,)).run(pool(*(row.after for row in found.rows)))
    assert [row.after for row in again.rows] == ["x", "y"]
    assert again.statuses == {"good": 2}


@pytest.mark.parametrize("most", [0, 1, 3, 7])
def test_no_answer_has_more_passes_than_allowed(most: int) -> None:
    """Each correction is a little better and never good."""
    climbs = Member(Inspects(lambda text: min(0.4, len(text) / 1000)), Aligns("a", lambda text: f"{text}+"))
    found = Squad((climbs,), most=most).run(pool("x", "yy"))
    assert found.passes.tolist() == [most, most]
    assert {row.status for row in found.rows} == {"passes used up"}
    assert found.rows[0].after == "x" + "+" * most


def test_a_harmful_aligner_never_lowers_a_score() -> None:
    """Random scores of random corrections: no final score of a row is below its first."""
    rng = np.random.default_rng(0)
    tables = [{} for _ in range(3)]

    def scores(table: dict[str, float]) -> Callable[[str], float]:
        return lambda text: table.setdefault(text, float(rng.random()))

    def worse(text: str) -> str:
        return f"{text}{rng.integers(10**9)}"

    members = tuple(Member(Inspects(scores(table)), Aligns(str(i), worse)) for i, table in enumerate(tables))
    found = Squad(members, most=6).run(pool(*(f"answer {i} " for i in range(300))))
    assert (found.scores("last") >= found.scores("first")).all()
    assert any(row.changed for row in found.rows)
    assert any(step.result == "scores fell" for row in found.rows for step in row.steps)
    loose = Squad(members, most=6, accept="always").run(pool(*(f"text {i} " for i in range(300))))
    assert (loose.scores("last") < loose.scores("first")).any()


def test_how_far_another_score_may_fall() -> None:
    gains = Member(Inspects(lambda text: 0.9 if "!" in text else 0.1), Aligns("a", lambda text: f"{text}!"))
    falls = Inspects(lambda text: 0.85 if "!" in text else 0.9)
    other = Member(falls, Aligns("b", lambda text: text))
    assert Squad((gains, other)).run(pool("x")).rows[0].status == "kept"
    assert Squad((gains, other), fall=0.1).run(pool("x")).rows[0].status == "aligned"


def test_two_criteria_that_contradict_each_other_are_reported() -> None:
    """Long answers are asked to be short, short ones to be long; all corrections are accepted."""
    short = Member(Inspects(lambda text: 0.1 if len(text) > 3 else 0.9), Aligns("short", lambda text: text[:1]))
    long = Member(Inspects(lambda text: 0.9 if len(text) > 3 else 0.1), Aligns("long", lambda text: text * 4))
    found = Squad((short, long), accept="always", most=9).run(pool("x", "xxxx"))
    assert [row.status for row in found.rows] == ["went in a circle"] * 2
    assert max(found.passes) == 2
    assert Squad((short, long)).run(pool("x")).rows[0].status == "kept"


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (Corrected("", "refused"), "refused"),
        (Corrected("", "no reply"), "no reply"),
        (Corrected("  "), "empty"),
        (" xa\n", "no change"),
        ("aaa", "scores fell"),
    ],
)
def test_what_is_no_correction_leaves_the_answer_as_it_is(said, result: str) -> None:
    member = Member(Inspects(lambda text: 0.1 if "a" in text else 0.9), Aligns("a", lambda text: said))
    (row,) = Squad((member,)).run(pool("xa")).rows
    assert (row.after, row.status) == ("xa", "kept")
    assert [step.result for step in row.steps] == [result]


def test_rows_without_a_score_are_left_alone() -> None:
    member = Member(Inspects(lambda text: np.nan if "?" in text else 0.1), Aligns("a", lambda text: f"{text}!"))
    found = Squad((member,)).run(pool("x?", "y"))
    assert [row.status for row in found.rows] == ["not inspected", "kept"]
    assert [row.after for row in found.rows] == ["x?", "y"]
    assert '"first": [null]' in found.lines()


def original(scores: dict[str, np.ndarray], texts: list[str], size: int) -> list[str]:
    """The paper's program, written again: aligners by ascending mean of a batch, below .5, all scored again."""
    final = []
    for first in range(0, len(texts), size):
        batch = texts[first : first + size]
        for member in np.argsort(np.mean([scores[text] for text in batch], axis=0), kind="stable"):
            batch = [f"{text}>{member}" if scores[text][member] < 0.5 else text for text in batch]
        final += batch
    return final


@pytest.mark.parametrize("seed", range(20))
def test_the_order_by_batch_is_the_paper_s(seed: int) -> None:
    """Ten random tables of scores each: the same choices, rows in their places."""
    rng = np.random.default_rng(seed)

    class Table(dict):
        def __missing__(self, text: str) -> np.ndarray:
            self[text] = rng.random(3)
            return self[text]

    def member(scores: Table, i: int) -> Member:
        return Member(Inspects(lambda text: scores[text][i]), Aligns(str(i), lambda text: f"{text}>{i}"))

    for _ in range(10):
        scores = Table()
        members = tuple(member(scores, i) for i in range(3))
        texts = [f"t{i}" for i in range(11)]
        found = Squad(members, order="batch", accept="always", batch=4).run(pool(*texts))
        assert [row.after for row in found.rows] == original(scores, texts, 4)
        assert all(row.after.startswith(f"t{i}") for i, row in enumerate(found.rows))
        assert max(found.passes) <= 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"members": ()}, "needs one aligner with its inspector"),
        ({"members": (without("a"), without("a"))}, "two aligners have one name: a, a"),
        ({"order": "rows"}, "order 'rows' is not known"),
        ({"accept": "never"}, "accept 'never' is not known"),
        ({"most": -1}, "most is -1"),
        ({"fall": -0.1}, "fall is -0.1"),
    ],
)
def test_a_squad_that_cannot_be_is_one_line(words: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Squad(**{"members": (without("a"),)} | words)
