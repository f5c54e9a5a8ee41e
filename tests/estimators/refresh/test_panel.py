"""Re-evaluation of a new version: exact where run, honest where not, chosen as by brute force."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import optimize, special, stats

import lleval_jax as ll
from lleval_jax.errors import BadInput
from lleval_jax.estimators.refresh import choice
from lleval_jax.estimators.refresh import panel as refresh
from lleval_jax.estimators.refresh.outlook import Outlook, conditioned
from lleval_jax.layout import chain as refresh_chain
from lleval_jax.layout.chain import append, empty
from lleval_jax.values.responses import Responses

MODELS, ITEMS, DOMAINS = 9, 60, ("bio", "law", "math")
NAMES = tuple(f"model-{i}" for i in range(MODELS))
FALSE_ALARM = 1e-4


def world(seed, versions=2, drift=0.05, shift=0.3, items=ITEMS, models=MODELS):
    """Versions whose scores are a line in ability and a factor's mean, with drift of models."""
    random = np.random.default_rng(seed)
    ability, loading = np.linspace(-1.2, 1.2, models), random.uniform(0.6, 1.4, models)
    affinity = random.normal(0, 0.15, (models, len(DOMAINS)))
    made = []
    for v in range(versions):
        moved = random.normal(0, shift) if v else 0.0
        own = random.normal(0, drift, models)
        domain = np.repeat(np.arange(len(DOMAINS)), items)
        hard = random.normal(0, 1, len(domain)) + random.normal(0, 0.2, len(DOMAINS))[domain]
        logit = ability[:, None] + own[:, None] + affinity[:, domain] + loading[:, None] * (moved - hard)
        made.append(
            Responses.build(
                (random.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float),
                rows=[f"model-{i}" for i in range(models)],
                items=[f"v{v + 1}-{i}" for i in range(len(domain))],
                group=[DOMAINS[d] for d in domain],
            )
        )
    return made


def rows(responses, names):
    return responses.take([responses.rows.index(name) for name in names])


def truth(version, row, group):
    of = version.scores[version.rows.index(row)]
    return of.mean() if group == "all" else of[version.group == version.groups.index(group)].mean()


@pytest.fixture(scope="module")
def versions():
    return world(0)


@pytest.fixture(scope="module")
def law(versions):
    return refresh.fit(versions[:1])


@pytest.fixture(scope="module")
def found(law, versions):
    return refresh.estimate(law, answers=rows(versions[1], NAMES[::3]))


def test_models_that_were_run_have_their_own_scores(found, versions):
    for row, group, value, low, high, n in zip(
        found.rows, found.group, found.value, found.low, found.high, found.n_seen, strict=True
    ):
        if row in NAMES[::3]:
            assert value == pytest.approx(truth(versions[1], row, group), abs=1e-12)
            assert low == high == value
            assert n == (ITEMS if group != "all" else 3 * ITEMS)
        else:
            assert low < value < high
            assert n == 0


def test_every_model_and_domain_has_an_entry(found):
    assert set(found.rows) == set(NAMES)
    assert set(found.group) == {"all", *DOMAINS}
    assert len(found.rows) == MODELS * 4
    whole = found.value[np.array(found.group) == "all"]
    parts = np.stack([found.value[np.array(found.group) == domain] for domain in DOMAINS]).mean(0)
    np.testing.assert_allclose(whole, parts, atol=1e-12)


def test_the_order_of_models_is_of_no_account(law, versions, found):
    turned = refresh.fit([rows(versions[0], NAMES[::-1])])
    again = refresh.estimate(turned, answers=rows(versions[1], NAMES[::3][::-1]))
    at = {key: i for i, key in enumerate(zip(again.rows, again.group, strict=True))}
    order = [at[key] for key in zip(found.rows, found.group, strict=True)]
    np.testing.assert_allclose(again.value[order], found.value, atol=2e-4)
    np.testing.assert_allclose(again.std_error[order], found.std_error, rtol=0.02, atol=1e-5)


def test_a_model_that_answered_some_items_is_between(law, versions):
    part = rows(versions[1], NAMES[::3])
    seen = part.seen.copy()
    seen[0, ::2] = False
    some = refresh.estimate(law, answers=dataclasses.replace(part, seen=seen, scores=np.where(seen, part.scores, 0)))
    at = [i for i, key in enumerate(zip(some.rows, some.group, strict=True)) if key == (NAMES[0], "all")][0]
    assert some.low[at] < some.value[at] < some.high[at]
    assert some.n_seen[at] == seen[0].sum()
    others = np.array(
        [row not in NAMES[::3] and group == "all" for row, group in zip(some.rows, some.group, strict=True)]
    )
    assert some.std_error[at] < some.std_error[others].min()


def test_a_fit_is_the_same_after_saving(law, versions, found, tmp_path):
    ll.save(law, tmp_path / "law")
    again = refresh.estimate(ll.load(tmp_path / "law"), answers=rows(versions[1], NAMES[::3]))
    np.testing.assert_array_equal(again.value, found.value)
    np.testing.assert_array_equal(again.high, found.high)


def test_what_a_run_tells_is_dense_conditioning(law):
    before = refresh._next(law, None)
    logits, gradient, cells = before.logits, before.gradient[:, 0], before.noise.shape[1]
    whole = np.einsum("mcs,sr,ndr->mcnd", logits.design, logits.shifts, logits.design)
    for m in range(MODELS):
        whole[m, :, m] += logits.own[m]
    score = np.einsum("mc,mcnd,nd->mn", gradient, whole, gradient)
    chosen = [2, 5]
    after = conditioned(conditioned(before, 2), 5)
    cross = np.concatenate([np.einsum("mc,mcd->md", gradient, whole[:, :, j]) for j in chosen], 1)
    known = whole[chosen][:, :, chosen].reshape(len(chosen) * cells, -1) + np.diag(before.noise[chosen].ravel())
    expected = score - cross @ np.linalg.solve(known, cross.T)
    left = [m for m in range(MODELS) if m not in chosen]
    found = after.covariance() - np.diag(after.sampling[:, 0])
    np.testing.assert_allclose(found[np.ix_(left, left)], expected[np.ix_(left, left)], atol=1e-12)
    assert (after.std_error[chosen] == 0).all()
    np.testing.assert_allclose(after.cross, after.logits.design @ after.logits.shifts, atol=1e-12)


@pytest.mark.parametrize("ask", ["all", "math", "ranking"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_choice_is_that_of_brute_force(law, ask, k):
    now = refresh._next(law, None)
    loss = choice.disorder if ask == "ranking" else refresh._variance_of(now, ask)

    def of(chosen):
        return loss(choice._after(now, chosen))[0]

    best = min(of(chosen) for chosen in itertools.combinations(range(MODELS), k))
    chosen = refresh.choose(law, k=k, of=ask)
    assert len(set(chosen.rows)) == k
    assert of([law.rows.index(row) for row in chosen.rows]) == pytest.approx(best, rel=1e-9)
    assert not chosen.enough


def test_a_budget_is_kept_and_dear_models_are_left_out(law):
    first = refresh.choose(law, k=1).rows[0]
    chosen = refresh.choose(law, budget=3, price=dict.fromkeys(NAMES, 1.0) | {first: 50})
    assert len(chosen.rows) == 3
    assert first not in chosen.rows
    cheap = refresh.choose(law, budget=1, price=dict.fromkeys(NAMES, 0.5))
    assert len(cheap.rows) == 2


def test_a_budget_is_spent_as_brute_force_would(law):
    now = refresh._next(law, None)
    price = dict(zip(NAMES, (1.0, 2.5, 1.0, 3.0, 1.5, 1.0, 2.0, 4.0), strict=False))
    pool = NAMES[:8]

    def of(chosen):
        return choice.variance(choice._after(now, [NAMES.index(row) for row in chosen]))[0]

    sets = (chosen for size in range(1, 9) for chosen in itertools.combinations(pool, size))
    best = min(of(chosen) for chosen in sets if sum(price[row] for row in chosen) <= 4)
    chosen = refresh.choose(law, budget=4, price=price, among=pool).rows
    assert sum(price[row] for row in chosen) <= 4
    assert of(chosen) == pytest.approx(best, rel=1e-9)


def test_among_many_sets_no_exchange_helps_and_few_are_better(law, monkeypatch):
    now = refresh._next(law, None)
    monkeypatch.setattr(choice, "FEW", 0)
    losses = [choice.variance(choice._after(now, chosen))[0] for chosen in itertools.combinations(range(MODELS), 4)]
    found = choice.search(now, choice.variance, among=range(MODELS), price=np.ones(MODELS), budget=4)[1][-1]
    assert np.mean(np.array(losses) < found * (1 - 1e-9)) < 0.05


def test_forced_models_come_first_and_pools_are_kept(law):
    chosen = refresh.choose(law, k=2, force=["newcomer", NAMES[4]], among=NAMES[:4])
    assert chosen.rows[:2] == ("newcomer", NAMES[4])
    assert set(chosen.rows[2:]) <= set(NAMES[:4])
    assert chosen.why[0] == "run in any case"


def test_more_runs_never_make_the_rest_less_sure(law):
    chosen = refresh.choose(law, k=4).rows
    spread = [np.sum(refresh.preview(law, rerun=chosen[:i]).std_error ** 2) for i in range(5)]
    assert (np.diff(spread) < 0).all()


def test_a_rank_that_draws_do_not_bear_out_says_so(law, monkeypatch):
    """The model with the highest score is the last of every draw."""
    mean = refresh.ranks(law).ranks.value.argmin()

    def drawn(outlook, draws, seed):
        scores = np.tile(outlook.mean[:, 0], (draws, 1))
        scores[:, mean] = -1
        return scores

    monkeypatch.setattr(Outlook, "drawn", drawn)
    found = refresh.ranks(law).ranks
    assert (found.value[mean], found.low[mean], found.high[mean]) == (1, 1, MODELS)
    assert found.status[mean] == "rank by score outside of the draws"


def test_ranks_have_chances_that_sum_to_one_and_follow_scores(law, versions):
    standing = refresh.ranks(law, answers=rows(versions[1], NAMES[::3]))
    np.testing.assert_allclose(standing.chance.sum(0), 1)
    np.testing.assert_allclose(standing.chance.sum(1), 1)
    assert sorted(standing.ranks.value) == list(range(1, MODELS + 1))
    assert "P(rank)" in str(standing)
    assert (standing.ranks.n_seen > 0).tolist() == [row in NAMES[::3] for row in standing.ranks.rows]
    old = refresh.ranks(law, answers=rows(versions[1], NAMES[::3]), version="v2").ranks
    np.testing.assert_array_equal(old.value, standing.ranks.value)
    assert (refresh.ranks(law).ranks.n_seen == 3 * ITEMS).all()
    np.testing.assert_array_equal(
        standing.holds, [p[int(r) - 1] for p, r in zip(standing.chance, standing.ranks.value, strict=True)]
    )


def test_a_version_in_the_fit_can_be_asked_for(versions, law, found):
    both = refresh.fit({"may": versions[0], "june": rows(versions[1], NAMES[::3])})
    newest = refresh.estimate(both)
    np.testing.assert_allclose(newest.value, found.value, atol=2e-4)
    old = refresh.estimate(both, version="may")
    np.testing.assert_array_equal(old.low, old.high)
    with pytest.raises(BadInput, match="no version 'july'; there are may, june"):
        refresh.estimate(both, version="july")


def test_with_no_dims_all_models_move_alike(versions):
    flat = refresh.fit(versions[:1], dims=0)
    assert flat.params.loading.shape == (MODELS, 0)
    found = refresh.estimate(flat, answers=rows(versions[1], NAMES[::3]))
    assert np.isfinite(found.value).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda law, v: refresh.fit([]), "no version to learn from"),
        (lambda law, v: refresh.fit([v.take([0, 1])]), "hold 2 models; at least 3"),
        (lambda law, v: refresh.fit([v], dims=-1), "dims is -1"),
        (lambda law, v: refresh.choose(law, k=10), "k is 10; there are 9 models"),
        (lambda law, v: refresh.choose(law, k=0), "k is 0"),
        (lambda law, v: refresh.choose(law), "either k, how many models, or budget"),
        (lambda law, v: refresh.choose(law, budget=0.5), "no model costs 0.5 or less"),
        (lambda law, v: refresh.choose(law, k=2, of="physics"), "no domain 'physics'; there are bio, law, math"),
        (lambda law, v: refresh.choose(law, k=2, among=["model-99"]), "no model 'model-99' among the 9"),
        (
            lambda law, v: refresh.choose(law, k=2, price=dict.fromkeys(NAMES, 0.0)),
            "price of 'model-0' is 0",
        ),
        (lambda law, v: refresh.choose(law, k=2, items={"bio": 0}), "at least one item"),
        (lambda law, v: refresh.preview(law, rerun=["model-77"]), "no model 'model-77'"),
        (lambda law, v: refresh.choose(dataclasses.replace(law, params=(), method="2pl"), k=2), r"\(2pl\) is none of"),
        (lambda law, v: refresh.estimate(law, answers=v, level=1.5), "level is 1.5"),
        (lambda law, v: refresh.estimate(law, answers=v, version="v1"), "two versions 'v1'"),
    ],
)
def test_bad_input_gets_one_clear_error(law, versions, call, message):
    with pytest.raises(BadInput, match=message):
        call(law, versions[1])


def test_versions_without_a_common_model_are_refused(versions):
    stranger = dataclasses.replace(versions[1], rows=tuple(f"other-{i}" for i in range(MODELS)))
    with pytest.raises(BadInput, match="no model of version 'v2' was run on an earlier one"):
        refresh.fit([versions[0], stranger])
    silent = dataclasses.replace(versions[1], seen=np.zeros_like(versions[1].seen), scores=versions[1].scores * 0)
    with pytest.raises(BadInput, match="version 'v2' has no answers"):
        refresh.fit([versions[0], silent])


def test_counts_are_those_of_the_answers(versions):
    named = append(append(empty(), versions[0], "a"), rows(versions[1], NAMES[3:5]), "b")
    chain = named.chain
    assert named.domains == DOMAINS
    np.testing.assert_array_equal(chain.total, ITEMS)
    np.testing.assert_array_equal(chain.asked[:, 3:].sum(1) > 0, np.isin(named.models, NAMES[3:5]))
    np.testing.assert_allclose(chain.right[3, 3:].sum(), versions[1].scores[3].sum())
    np.testing.assert_allclose(
        chain.product[0, 1], versions[0].scores.shape[1] * np.cov(versions[0].scores[:2], bias=True)[0, 1]
    )
    np.testing.assert_array_equal(chain.common[3, 4], 6 * ITEMS)
    np.testing.assert_array_equal(chain.common[0, 4], 3 * ITEMS)


@pytest.mark.slow
def test_intervals_of_models_not_run_hold():
    """Worlds with a shift, drift and affinities: cells of a world hang together, so worlds are what is counted."""
    hits = []
    for seed in range(60):
        first, second = world(100 + seed)
        law = refresh.fit([first])
        chosen = refresh.choose(law, k=3).rows
        told = refresh.estimate(law, answers=rows(second, chosen))
        inside = [
            low <= truth(second, row, group) <= high
            for row, group, low, high in zip(told.rows, told.group, told.low, told.high, strict=True)
            if row not in chosen
        ]
        hits.append(np.mean(inside))
    # shares of worlds: their mean is normal with the spread of the worlds themselves
    error = np.std(hits, ddof=1) / np.sqrt(len(hits))
    far = stats.t.isf(FALSE_ALARM / 2, len(hits) - 1) * error
    assert 0.92 - far <= np.mean(hits) <= 0.985 + far


@pytest.mark.slow
def test_errors_fall_as_more_models_are_run():
    errors = {1: [], 6: []}
    for seed in range(20):
        first, second = world(300 + seed, shift=0.5)
        law = refresh.fit([first])
        for k in errors:
            chosen = refresh.choose(law, k=k).rows
            told = refresh.estimate(law, answers=rows(second, chosen)).to_frame()
            told = told[(told.group == "all") & ~told.row.isin(chosen)]
            errors[k] += [
                abs(value - truth(second, row, "all")) for row, value in zip(told.row, told.value, strict=True)
            ]
    assert np.mean(errors[6]) < np.mean(errors[1])


def test_few_answers_stand_for_what_they_say_of_a_logit(versions):
    """Beside the belief that logits lie about the main effects, the normal has its top where the binomial has."""
    chain = append(empty(), versions[0], "v1").chain
    right, asked = chain.right.copy(), chain.asked.copy()
    right[0, 0], asked[0, 0] = 0, 5  # all wrong
    right[1, 1], asked[1, 1] = 3, 3  # all right
    chain = chain._replace(right=right, asked=asked)
    model, cell = refresh_chain.main_effects(chain)
    level, noise = refresh_chain.logits(chain, model[:, None] + cell)
    for m, c in [(0, 0), (1, 1), (5, 2)]:
        middle = model[m] + cell[c]

        def joint(x, m=m, c=c, middle=middle):
            log_density = -0.5 * ((x - middle) / refresh_chain.ROOM) ** 2
            return right[m, c] * x - asked[m, c] * np.logaddexp(0, x) + log_density

        top = optimize.minimize_scalar(lambda x: -joint(x), (-3, 3)).x
        weights = np.array([1 / noise[m, c], refresh_chain.ROOM**-2])
        assert weights @ [level[m, c], middle] / weights.sum() == pytest.approx(top, abs=1e-6)
        curve = (joint(top + 1e-3) - 2 * joint(top) + joint(top - 1e-3)) / 1e-6
        assert weights.sum() == pytest.approx(-curve, rel=1e-4)
    plenty = chain._replace(right=1e5 * right, asked=1e5 * asked)
    np.testing.assert_allclose(
        refresh_chain.logits(plenty, model[:, None] + cell)[0][2:],
        special.logit(right / np.maximum(asked, 1))[2:],
        atol=1e-3,
    )


def test_main_effects_make_every_margin_right(versions):
    chain = append(append(empty(), versions[0], "v1"), rows(versions[1], NAMES[::3]), "v2").chain
    model, cell = refresh_chain.main_effects(chain)
    rest = chain.asked * (special.logit(refresh_chain.share(chain.right, chain.asked)) - model[:, None] - cell)
    np.testing.assert_allclose(rest.sum(0), 0, atol=1e-6)
    np.testing.assert_allclose(rest.sum(1), 0, atol=1e-6)
