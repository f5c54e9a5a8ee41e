"""Scores without a bank: against scipy, statsmodels, matrices and counts of all outcomes; properties; coverage."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import fractional_matrix_power

import lleval_jax as ll
from bench.plain import coverage, worlds
from lleval_jax.errors import BadInput, DataWarning
from lleval_jax.estimators import plain
from lleval_jax.estimators.plain import paired, signs, units
from lleval_jax.values import Responses

CLOSE = 1e-10
FALSE_ALARM = 1e-5  # of each statistical test here


def two(n: int = 240) -> Responses:
    """Models A and B on the same questions, 30 clusters of 8."""
    rng = np.random.default_rng(5)
    chance = rng.beta(2, 2, n)
    a = rng.random(n) < np.clip(chance + 0.1, 0, 1)
    scores = np.stack([a, rng.random(n) < chance]).astype(float)
    group = [f"c{i:02d}" for i in np.repeat(np.arange(30), n // 30)]
    return Responses.build(scores, rows=["A", "B"], group=group, items=[f"q{i:03d}" for i in range(n)])


def fractions(n: int = 40, rows: int = 2, seed: int = 1) -> Responses:
    return Responses.build(np.random.default_rng(seed).beta(2, 2, (rows, n)).astype(np.float32), rows=list("AB")[:rows])


def entry(found, i: int = 0) -> tuple[float, float, float, float]:
    return found.value[i], found.low[i], found.high[i], found.std_error[i]


# --- against other programs and closed forms -------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("n", [1, 2, 7, 300])
def test_right_or_wrong_is_wilsons_interval(n, level):
    found = plain.estimate(Responses.build(np.tri(n + 1, n, -1)), level=level)
    for right in range(n + 1):
        want = stats.binomtest(right, n).proportion_ci(level, method="wilson")
        np.testing.assert_allclose(entry(found, right)[:3], (right / n, *want), atol=CLOSE)


def test_the_textbooks_interval_is_scipys():
    answers = fractions()
    found, paired = plain.estimate(answers, by="t"), plain.compare(answers, first="A", second="B", by="t")
    first, second = answers.scores.astype(float)
    for got, test in ((entry(found), stats.ttest_1samp(first, 0)),
                      (entry(paired.difference), stats.ttest_rel(first, second))):  # fmt: skip
        want = test.confidence_interval(0.95)
        np.testing.assert_allclose(got[1:3], (want.low, want.high), atol=CLOSE)
    np.testing.assert_allclose(entry(found)[3], stats.sem(first), atol=CLOSE)


def test_clusters_are_as_in_statsmodels():
    """statsmodels 0.15.0: OLS(y, 1).fit(cov_type="cluster", use_correction=True, df_correction=True), 30 clusters."""
    found = plain.estimate(two(), by="t", cluster="group")
    paired = plain.compare(two(), first="A", second="B", by="t", cluster="group").difference
    np.testing.assert_allclose(entry(found)[0::3], (0.6166666666666667, 0.03491231490177593), atol=CLOSE)
    np.testing.assert_allclose(entry(found, 1)[0::3], (0.5458333333333333, 0.03141955915219065), atol=CLOSE)
    np.testing.assert_allclose(entry(paired)[0::3], (0.07083333333333333, 0.040508324200118614), atol=CLOSE)
    half = stats.t.ppf(0.975, 29) * 0.03491231490177593
    np.testing.assert_allclose(found.high[0] - found.value[0], half, atol=CLOSE)


def test_p_values_are_scipys_and_statsmodels():
    assert (
        abs(plain.compare(two(), first="A", second="B").p_value[0] - 0.09656519729770463) < CLOSE
    )  # statsmodels 0.15.0, mcnemar
    for won, lost in itertools.product(range(7), repeat=2):
        want = stats.binomtest(won, won + lost).pvalue if won + lost else 1
        assert abs(signs.exact(np.array(won), np.array(lost)) - want) < CLOSE


def test_unequal_clusters_are_as_their_matrices():
    """Bell and McCaffrey's estimate and its degrees of freedom, written with the matrices of the regression on 1."""
    size = np.array([1, 7, 2, 2, 12])
    n, label = size.sum(), np.repeat(np.arange(5), size)
    score = np.random.default_rng(0).random(n)
    ones, hat = np.ones((n, 1)), np.full((n, n), 1 / n)
    away, parts, rows = score - score.mean(), [], []
    for c in range(5):
        here = label == c
        half = fractional_matrix_power(np.eye(size[c]) - hat[np.ix_(here, here)], -0.5)
        row = (ones[here].T @ half / n).ravel()
        parts.append((row @ away[here]) ** 2)
        rows.append(row @ (np.eye(n) - hat)[here])
    gram = np.stack(rows) @ np.stack(rows).T
    found = units.gather(np.arange(n), score, label)
    np.testing.assert_allclose(found.variance, sum(parts), rtol=CLOSE)
    np.testing.assert_allclose(found.df, np.trace(gram) ** 2 / (gram**2).sum(), rtol=1e-8)


def test_bonett_and_price_by_their_formula():

    answers = Responses.build(np.array([[1] * 12 + [0] * 2 + [1] * 6, [0] * 12 + [1] * 8]))
    won, lost = 13 / 22, 3 / 22
    half = stats.norm.ppf(0.975) * np.sqrt((won + lost - (won - lost) ** 2) / 22)
    found = plain.compare(answers, first=answers.rows[0], second=answers.rows[1])
    np.testing.assert_allclose(entry(found.difference)[:3], (0.5, won - lost - half, won - lost + half), atol=CLOSE)
    assert (found.won[0], found.lost[0]) == (12, 2)


def test_few_signs_are_all_tried_and_many_drawn():
    difference = np.array([0.5, 0.25, -0.25, 0.75, 0, 0.1])
    every = np.array(list(itertools.product([1, -1], repeat=5))) @ difference[difference != 0]
    p, how = signs.flips(difference, 0)
    assert (p, how) == (np.mean(np.abs(every) >= difference.sum() - 1e-12), "all sign flips")
    many = np.tile(difference, 5)
    rng = np.random.default_rng(3)
    flipped = np.abs(rng.choice([1, -1], (20_000, len(many))) @ many) >= many.sum() - 1e-12
    p, how = signs.flips(many, 0)
    assert "9,999" in how
    assert signs.flips(many, 0)[0] == p
    spread = np.sqrt(p * (1 - p) * (1 / 9_999 + 1 / 20_000))
    assert abs(p - flipped.mean()) < stats.norm.isf(FALSE_ALARM / 2) * spread + 1e-4


# --- finite populations and repeats ----------------------------------------------------------------------------------


def test_all_questions_asked_leave_nothing_of_the_interval():
    found = plain.estimate(two(), population="all", groups=True)
    np.testing.assert_array_equal(found.low, found.value)
    np.testing.assert_array_equal(found.high, found.value)
    assert len(found.rows) == 2 * 31
    paired = plain.compare(two(), first="A", second="B", population="all")
    assert paired.difference.low[0] == paired.difference.high[0] == paired.difference.value[0]
    assert np.isnan(paired.p_value[0])


def test_part_of_a_population_is_cochrans_formula():
    found = plain.estimate(two(), by="t", population=400)
    plain_error = plain.estimate(two(), by="t").std_error
    np.testing.assert_allclose(found.std_error, plain_error * np.sqrt(1 - 240 / 400), rtol=CLOSE)
    n, size = 240, 400
    shrunk = n * (size - 1) / (size - n)
    value, z = 148 / n, stats.norm.ppf(0.975)
    low, high = np.roots([1 + z**2 / shrunk, -2 * value - z**2 / shrunk, value**2])[::-1]
    np.testing.assert_allclose(entry(plain.estimate(two(), population=size))[1:3], (low, high), atol=CLOSE)


def test_repeats_leave_their_own_variance():
    """Cochran (1977, eq. 10.15): (1 - f) s^2 / n + f (mean within variance) / (n m)."""
    right = np.random.default_rng(0).integers(0, 5, 30)
    answers = Responses.build(right[None] / 4, weight=np.full((1, 30), 4.0))
    within = np.mean(right / 4 * (1 - right / 4) * 4 / 3)
    for size in (30, 50):
        f = 30 / size
        want = (1 - f) * np.var(right / 4, ddof=1) / 30 + f * within / (30 * 4)
        found = plain.estimate(answers, by="t", population=size)
        np.testing.assert_allclose(found.std_error[0] ** 2, want, rtol=1e-6)
        wide = plain.estimate(answers, population=size)
        assert 0 < wide.low[0] < wide.value[0] < wide.high[0] < 1
    nothing = plain.estimate(Responses.build(np.zeros((1, 30)), weight=np.full((1, 30), 4.0)), population=30)
    want = stats.binomtest(0, 120).proportion_ci(method="wilson")  # as 120 answers, all wrong
    np.testing.assert_allclose(nothing.high[0], want.high, rtol=1e-3)


# --- properties ------------------------------------------------------------------------------------------------------

CALLS = {
    "plain": {},
    "t": {"by": "t"},
    "clustered": {"cluster": "group"},
    "finite": {"population": 300},
    "finite clusters": {"population": 300, "cluster": "group"},
}
calls = pytest.mark.parametrize("words", CALLS.values(), ids=CALLS)
FIELDS = ("value", "low", "high", "std_error")


def mixed() -> Responses:
    """Right or wrong, repeats, fractions, all right, nothing right; each model has answered other questions."""
    rng = np.random.default_rng(2)
    scores = np.stack([rng.random(60) < 0.3, rng.integers(0, 5, 60) / 4, rng.random(60), np.ones(60), np.zeros(60)])
    weight = np.where(np.arange(5)[:, None] == 1, 4.0, 1.0) * np.ones((5, 60))
    group = [f"g{i}" for i in rng.integers(0, 9, 60)]
    return Responses.build(scores, seen=rng.random((5, 60)) < 0.8, weight=weight, group=group)


@calls
def test_order_and_columns_nobody_answered_change_nothing(words):
    answers = mixed()
    order = np.random.default_rng(0).permutation(60)
    shuffled = answers.select([answers.items[i] for i in order]).take([4, 3, 2, 1, 0])
    more = answers.merge(Responses.build(np.full((5, 1), np.nan), rows=answers.rows, items=["new"], group=None))
    found = plain.estimate(answers, **words)
    for field in FIELDS:
        want = getattr(found, field)
        np.testing.assert_allclose(getattr(plain.estimate(shuffled, **words), field)[::-1], want, atol=CLOSE)
        if "cluster" not in words:
            np.testing.assert_allclose(getattr(plain.estimate(more, **words), field), want, atol=CLOSE)


@calls
def test_intervals_lie_in_0_and_1_and_a_lower_level_inside(words):
    wide, narrow = plain.estimate(mixed(), **words), plain.estimate(mixed(), level=0.5, **words)
    assert ((wide.low >= 0) & (wide.high <= 1)).all()
    assert ((wide.low <= narrow.low) & (narrow.high <= wide.high)).all()
    if words.get("by") != "t":
        assert (wide.std_error > 0).all()
        assert (wide.high > wide.low).all()


@calls
def test_coordinates_are_as_a_matrix(words):
    answers = mixed()
    row, item = np.nonzero(answers.seen)
    names = {name: getattr(answers, name) for name in ("rows", "items", "group", "groups")}
    cells = ll.SparseResponses(row, item, answers.scores[row, item], answers.weight[row, item], **names)
    for verb in (plain.estimate, lambda a, **w: plain.compare(a, first="row-0", second="row-2", **w).difference):
        if verb is not plain.estimate and words.get("by"):
            continue
        for field in FIELDS:
            np.testing.assert_allclose(getattr(verb(cells, **words), field), getattr(verb(answers, **words), field))


def test_each_question_its_own_cluster_is_no_cluster():
    answers = mixed()
    alone = {item: item for item in answers.items}
    for field in FIELDS:
        want = getattr(plain.estimate(answers), field)
        np.testing.assert_allclose(getattr(plain.estimate(answers, cluster=alone), field), want, atol=CLOSE)


def test_twice_the_answers_narrow_the_interval():
    answers = mixed()
    twice = Responses.build(
        np.tile(answers.scores, 2), seen=np.tile(answers.seen, 2), weight=np.tile(answers.weight, 2), rows=answers.rows
    )
    found, was = plain.estimate(twice), plain.estimate(answers)
    np.testing.assert_allclose(found.value, was.value, atol=1e-6)
    assert (found.high - found.low < was.high - was.low).all()


def test_copies_in_clusters_teach_nothing():
    """Questions that all stand 10 times, each with its copies a cluster: the interval is that of the questions."""
    answers = Responses.build(np.array([[1, 1, 0, 1, 0, 1, 1, 1, 0, 1]]))
    copies = Responses.build(answers.scores.repeat(10, 1), group=[f"g{i}" for i in np.arange(10).repeat(10)])
    one, many = plain.estimate(answers), plain.estimate(copies, cluster="group")
    assert many.low[0] <= one.low[0] + 1e-12
    assert many.high[0] >= one.high[0] - 1e-12
    assert many.high[0] - many.low[0] > 2 * (plain.estimate(copies).high[0] - plain.estimate(copies).low[0])


def test_the_difference_turned_round():
    ab, ba = (
        plain.compare(two(), first="A", second="B", groups=True),
        plain.compare(two(), first="B", second="A", groups=True),
    )
    np.testing.assert_allclose(ab.difference.low, -ba.difference.high, atol=CLOSE)
    np.testing.assert_array_equal(ab.won, ba.lost)
    np.testing.assert_array_equal(ab.p_value, ba.p_value)


def test_interval_test_and_verdict_agree():
    """5 to 0 is p = 0.0625: the interval contains 0, though Bonett and Price's by itself does not."""
    answers = Responses.build(np.array([[1, 1, 1, 1, 1, 1, 0, 1], [1, 0, 0, 1, 0, 0, 0, 0]]), rows=["a", "b"])
    found = plain.compare(answers, first="a", second="b")
    assert found.p_value[0] == pytest.approx(0.0625)
    assert found.difference.low[0] == 0
    assert found.verdict() == "No significant difference between a and b at the 95% level"
    assert plain.compare(answers, first="a", second="b", level=0.9).verdict() == "a is better than b"
    assert plain.compare(answers, first="b", second="a", level=0.9).verdict() == "a is better than b"


def test_json_and_files_keep_both(tmp_path):
    found = plain.estimate(mixed(), groups=True)
    back = ll.load(ll.save(found, tmp_path / "estimate"))
    assert back.to_dict() == found.to_dict()
    assert ll.cite(found)
    content = json.loads(json.dumps(plain.compare(two(), first="A", second="B", population=500).to_dict()))
    assert content["estimates"][0]["p_value"] is None
    assert content["schema"] == "lleval/estimate/1"


def test_the_smallest_difference_seen_is_so_many_standard_errors():
    """Normal: z of the level plus z of 80% power (Miller 2024, eq. 9)."""
    found = plain.compare(two(), first="A", second="B")
    z = stats.norm.ppf([0.975, 0.8])
    error = (found.difference.high[0] - found.difference.low[0]) / (2 * z[0])
    np.testing.assert_allclose(found.detectable[0], z.sum() * error, rtol=CLOSE)


# --- ranks -----------------------------------------------------------------------------------------------------------


def test_ranks_of_clear_and_of_equal_models():
    clear = Responses.build(np.array([[0] * 40, [1] * 40, [1] * 20 + [0] * 20]), rows=["low", "high", "middle"])
    found = plain.ranks(clear)
    assert [clear.rows[i] for i in found.order] == ["high", "middle", "low"]
    assert found.ranges == ("1", "2", "3")
    assert plain.ranks(Responses.build(np.ones((3, 40)))).ranges == ("1-3",) * 3


def test_all_pairs_at_once_are_as_one_by_one():
    rng = np.random.default_rng(4)
    answers = Responses.build((rng.random((6, 50)) < 0.6).astype(float), seen=rng.random((6, 50)) < 0.7)
    each = list(units.each_row(answers))
    above, p = paired._counted(each)
    for i, j in itertools.permutations(range(6), 2):
        one = plain.compare(answers, first=answers.rows[i], second=answers.rows[j])
        assert above[i, j] == (one.difference.value[0] > 0)
        assert p[i, j] == pytest.approx(one.p_value[0])


def test_holms_steps_by_hand():
    p = np.ones((3, 3))
    for (i, j), value in {(0, 1): 0.01, (0, 2): 0.03, (1, 2): 0.02}.items():
        p[i, j] = p[j, i] = value
    want = np.array([[1, 0.03, 0.04], [0.03, 1, 0.04], [0.04, 0.04, 1]])
    np.testing.assert_allclose(paired._holm(p), want)


def test_together_the_ranges_contain_the_true_ranks():
    """Ten models of one true score: each may have any rank, in all but 5% of the worlds at most."""
    rng, wrong = np.random.default_rng(0), 0
    chance = rng.beta(2, 2, 60)
    for _ in range(60):
        found = plain.ranks(Responses.build((rng.random((8, 60)) < chance).astype(float)))
        wrong += bool((found.best > 1).any())
    assert wrong <= stats.binom.ppf(1 - FALSE_ALARM, 60, 0.05)


# --- coverage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 20, 100, 1000])
def test_right_or_wrong_covers_93_to_97_percent(n):
    """Counted over all outcomes: no chance in it."""
    found = coverage.counted(n, "wilson")
    assert 0.93 <= found["mean"] <= 0.97
    assert found["least"] > 0.9
    assert coverage.counted(n, "t")["mean"] < found["mean"] + 0.003


@pytest.mark.parametrize(("n", "size"), [(5, 10), (20, 25), (20, 40), (100, 150)])
def test_part_of_a_benchmark_covers_93_to_97_percent(n, size):
    assert 0.93 <= coverage.sampled(n, size)["mean"] <= 0.97


@pytest.mark.parametrize(
    ("name", "n", "least"),
    [
        ("4 repeats, questions differ", 5, 0.93),
        ("4 repeats, questions differ", 100, 0.93),
        ("fractions, near 0 and 1", 20, 0.93),
        ("10 equal clusters, correlation .3", 100, 0.93),
        ("20 skewed clusters, correlation .7", 100, 0.93),
    ],
)
def test_simulated_intervals_keep_their_level(name, n, least):
    draw, _ = coverage.DESIGNS[name]
    found = coverage.simulated(draw, n, 60, "wilson", clustered="cluster" in name)
    draws = 60 * len(worlds.RATES)
    assert found["mean"] * draws >= stats.binom.ppf(FALSE_ALARM, draws, least)


def test_paired_intervals_keep_their_level():
    for times in (1, 4):
        found = coverage.paired(20, 60, times, "adjusted")
        assert found["mean"] * 300 >= stats.binom.ppf(FALSE_ALARM, 300, 0.95)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda a: plain.estimate(a, population=100),
            "'A' has answers to 240 questions, more than the population of 100",
        ),
        (lambda a: plain.estimate(a, population=500, groups=True), "number of questions of each group is not known"),
        (lambda a: plain.estimate(a, population={"c00": 3}), "says nothing of 29 groups, such as 'c01'"),
        (lambda a: plain.estimate(a, population="some"), "neither a number nor 'all'"),
        (lambda a: plain.estimate(a, cluster="topic"), "cluster 'topic' is not known"),
        (lambda a: plain.estimate(fractions(), cluster="group"), "all questions are of one group"),
        (lambda a: plain.estimate(a, cluster={"q000": "x"}), "239 of 240 items have no cluster, such as 'q001'"),
        (lambda a: plain.compare(a, first="A", second="A"), "two different models are needed"),
        (lambda a: plain.compare(a, first="A", second="a"), "no model 'a' to compare; did you mean 'A'"),
        (lambda a: plain.estimate(a, level=95), "must lie strictly between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(BadInput, match=said):
        call(two())


def test_models_without_answers_or_common_questions():
    scores = np.array([[1, 1, np.nan, np.nan], [np.nan, np.nan, 1, 0], [np.nan] * 4])
    answers = Responses.build(scores, rows=["a", "b", "c"])
    with pytest.warns(DataWarning, match="'c' have no answers and are left out"):
        assert plain.estimate(answers).rows == ("a", "b")
    with pytest.raises(BadInput, match="no question in common"):
        plain.compare(answers, first="a", second="b")
    assert plain.ranks(answers).ranges == ("1-2", "1-2")
    with pytest.raises(BadInput, match="no answer to estimate from"):
        plain.estimate(answers.take([2]))


def test_the_target_says_what_the_scores_are():
    assert plain.estimate(two()).target == "accuracy"
    assert plain.estimate(fractions()).target == "mean score"
    right = Responses.build(np.array([[0.75, 0.25]]), weight=np.full((1, 2), 4.0))
    assert plain.estimate(right).target == "accuracy"


def test_one_verb_with_and_without_a_bank(tmp_path):
    path = tmp_path / "answers.csv"
    two().to_frame().drop(columns="weight").to_csv(path, index=False)
    found, want = ll.estimate(path), plain.estimate(two())
    frame = ll.estimate(two().to_frame().drop(columns="weight"))
    np.testing.assert_allclose(frame.value, want.value, atol=1e-6)
    compared = ll.compare(path, first="A", second="B")
    assert compared.p_value[0] == plain.compare(two(), first="A", second="B").p_value[0]
    np.testing.assert_allclose(found.value, want.value, atol=1e-6)
    assert dataclasses.replace(found, source=want.source).method == "wilson"
