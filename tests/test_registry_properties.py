"""Properties of all methods and all solvers (`registry.py`). What a line cannot have it says itself why."""

import dataclasses
import functools
import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import registry
from compiled import compiled

import lleval_jax as ll
from lleval_jax.estimators import planned
from lleval_jax.estimators.contract import solve, solve_many
from lleval_jax.scale.kept import Kept

NAMES = [line.name for line in registry.METHODS]
methods = pytest.mark.parametrize("line", registry.METHODS, ids=NAMES)
solvers = pytest.mark.parametrize("solver", registry.SOLVERS, ids=[solver.name for solver in registry.SOLVERS])
FIELDS = ("value", "low", "high")
CLOSE = 1e-5  # of scores and abilities that were summed in float32


def having(name):
    """The methods that have a property."""
    lines = [line for line in registry.METHODS if callable(getattr(line, name))]
    return pytest.mark.parametrize("line", lines, ids=[line.name for line in lines])


made = functools.cache(registry.fit_of)  # each method is fitted once for all tests


def fitted(line):
    return made(line)[0]


@functools.cache
def base(line):
    return line.estimate(fitted(line), line.world()[1])


def changed(line, how):
    """The estimate in a world that is changed; fitted anew only where what is fitted has changed."""
    before = line.world()
    known, new = getattr(line, how)(before)
    return line.estimate(fitted(line) if known is before[0] else line.fit(known), new)


def by_entry(found):
    """{(row, group): (value, low, high)}."""
    numbers = np.stack([getattr(found, field) for field in FIELDS], axis=1)
    return dict(zip(zip(found.rows, found.group, strict=True), numbers, strict=True))


def same(found, want, close=CLOSE):
    """Entries of the same names have the same numbers, in whatever order."""
    found, want = by_entry(found), by_entry(want)
    assert set(found) == set(want)
    for entry, numbers in want.items():
        np.testing.assert_allclose(found[entry], numbers, atol=close, err_msg=str(entry))


@methods
def test_an_estimate_has_its_interval_and_its_source(line):
    found = base(line)
    assert ((found.low <= found.value) & (found.value <= found.high)).all()
    assert (found.high > found.low).any()
    assert found.source.cite
    assert ll.cite(found)


@methods
def test_no_interval_is_stretched_to_its_estimate(line):
    """An estimate at the very end of its interval was outside of it, but where scores end; a status must say so."""
    found = base(line)
    at_end = (found.value == found.low) | (found.value == found.high)
    inner = (found.value > 0) & (found.value != 1) & (found.low < found.high)
    for i in np.flatnonzero(at_end & inner & (found.std_error > 1e-9)):
        interval = f"{found.value[i]} in [{found.low[i]}, {found.high[i]}]"
        assert found.status[i] != "ok", f"{found.rows[i]} on {found.group[i]}: {interval}"


@having("shuffled")
def test_the_order_of_rows_does_not_matter(line):
    same(changed(line, "shuffled"), base(line))


@having("unseen")
def test_an_item_never_seen_changes_nothing(line):
    same(changed(line, "unseen"), base(line))


@pytest.mark.filterwarnings("ignore:the weighted mean does not hold")  # pepr sees that copies of texts are no new texts
@having("twice")
def test_duplicated_data_narrows_the_interval(line):
    found, was = changed(line, "twice"), base(line)
    assert (found.high - found.low).mean() < (was.high - was.low).mean()


@having("precise")
def test_float32_is_near_float64(line):
    same(line.estimate(line.precise(line.world()[0]), line.world()[1]), base(line))


@methods
def test_a_saved_fit_gives_the_same_estimates(line, tmp_path):
    back = ll.load(ll.save(fitted(line), tmp_path / "fit"))
    same(line.estimate(back, line.world()[1]), base(line), 0)


@methods
def test_json_and_files_keep_an_estimate(line, tmp_path):
    found = base(line)
    text = json.loads(json.dumps(found.to_dict()))
    for field in FIELDS:
        np.testing.assert_array_equal([entry[field] for entry in text["estimates"]], getattr(found, field))
    back = ll.load(ll.save(found, tmp_path / "estimate"))
    same(back, found, 0)
    assert back.to_dict() == found.to_dict()


def test_every_method_has_a_line():
    public = {
        name for name in ll.__all__ if hasattr(getattr(ll, name), "fit") or hasattr(getattr(ll, name), "estimate")
    }
    lines = {word for name in NAMES for word in name.split(" and ")}
    assert public == lines | set(registry.ELSEWHERE), "tests/registry.py: add a line to METHODS, or why to ELSEWHERE"


def test_what_a_line_cannot_have_it_says_why():
    for line in registry.METHODS:
        for name in ("shuffled", "unseen", "twice", "precise", "planned"):
            value = getattr(line, name)
            assert callable(value) or len(value.split()) > 2, f"{line.name}: say why it has no `{name}`"


# --- kernels ------------------------------------------------------------------------------------------------------

WITH_KERNEL = [line for line in registry.METHODS if line.kernel is True]
kernels = pytest.mark.parametrize("line", WITH_KERNEL, ids=[line.name for line in WITH_KERNEL])


@methods
def test_a_line_says_whether_its_fit_is_a_kernel(line):
    """A method that comes to follow the contract gets `kernel=True` in its line."""
    follows = made(line)[1] is not None
    assert (line.kernel is True) == follows, f"tests/registry.py, {line.name}: kernel must be {follows} or say why not"


def test_methods_whose_fit_is_no_kernel_are_these():
    without = {line.name for line in registry.METHODS if line.kernel is not True}
    assert without == {"tiny", "adaptive", "guarantee", "pepr"}


def numbers(found, chains):
    """All that a kernel found but Markov chains, leaf by leaf."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found._replace(**dict.fromkeys(chains)))]


@kernels
def test_many_fits_are_as_one_by_one(line):
    kernel, data, key = made(line)[1]
    keys = jax.random.split(key, 2)
    many = solve_many(kernel, data, keys, axes=None)
    for i in range(2):
        for got, want in zip(
            numbers(many, line.chains), numbers(solve(kernel, data, keys[i]), line.chains), strict=True
        ):
            np.testing.assert_allclose(got[i], want, rtol=1e-4, atol=CLOSE)


@kernels
def test_equal_settings_share_a_compilation(line):
    kernel = made(line)[1][0]
    again = dataclasses.replace(kernel)
    assert (kernel, hash(kernel)) == (again, hash(again))


# --- plans --------------------------------------------------------------------------------------------------------


class Enough(Exception):
    pass


def kept_by(line, plan, monkeypatch, most=None):
    """The fit by a plan, and how many states it went on from; it is stopped once it has kept so many."""
    keep, last, count = Kept.keep, Kept.last, {"kept": 0, "found": 0}

    def keeping(self, steps, state):
        keep(self, steps, state)
        count["kept"] += 1
        if count["kept"] == most:
            raise Enough

    def looking(self, like):
        found = last(self, like)
        count["found"] += found is not None
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Kept, "keep", keeping)
        patch.setattr(Kept, "last", looking)
        return line.planned(line.world()[0], plan), count["found"]


@having("planned")
def test_a_fit_that_was_stopped_goes_on_and_finds_the_same(line, tmp_path, monkeypatch):
    solved = made(line)[1]
    piece = getattr(solved[0], "piece", 1) if solved else 1  # steps for which there is a program already
    plan = ll.Plan(out=tmp_path, every=piece)
    with pytest.raises(Enough):
        kept_by(line, plan, monkeypatch, most=1)
    found, went_on = kept_by(line, plan, monkeypatch)
    assert went_on == 1
    assert found == fitted(line)


@having("planned")
def test_a_place_of_another_fit_is_refused(line, tmp_path):
    planned.kept(ll.Plan(out=tmp_path), "other.fit", {"level": 3})
    with pytest.raises(ll.BadInput, match=r"holds another run: fit is other\.fit there and \w+\.fit here, level is 3"):
        line.planned(line.world()[0], ll.Plan(out=tmp_path))


@having("planned")
def test_devices_change_nothing_or_are_refused_by_name(line):
    mesh = ll.mesh(jax.devices()[:4])
    if line.name == "irt and ability":
        pytest.skip("tests/scale/test_spread.py has it")
    if line.name == "pepr":
        same(line.estimate(line.planned(line.world()[0], ll.Plan(mesh=mesh)), line.world()[1]), base(line))
    else:
        with pytest.raises(ll.BadInput, match=rf"{line.name}\.fit is one fit that one device does"):
            line.planned(line.world()[0], ll.Plan(mesh=mesh))


def test_lanes_in_turn_over_devices_and_kept_are_as_at_once(tmp_path, monkeypatch):
    line = next(line for line in registry.METHODS if line.name == "pepr")
    plan = ll.Plan(mesh=ll.mesh(jax.devices()[:4]), chunk=50, out=tmp_path, every=5)  # 1001 fits in five parts
    with pytest.raises(Enough):
        kept_by(line, plan, monkeypatch, most=3)
    found, went_on = kept_by(line, plan, monkeypatch)
    assert went_on == 3
    same(line.estimate(found, None), base(line), 1e-9)


def test_every_fit_takes_a_plan():
    for name in ll.__all__:
        fit = getattr(getattr(ll, name), "fit", None)
        if inspect.isfunction(fit) and fit.__module__.startswith("lleval_jax.estimators"):
            assert "plan" in inspect.signature(fit).parameters, f"{name}.fit"


# --- solvers ------------------------------------------------------------------------------------------------------

STARTS = np.array([[0.0, 0.0, 0.0], [1.5, -1.0, 1.0], [0.5, 0.3, 2.5]])


@solvers
def test_a_solver_ends_at_the_answer_in_either_precision(solver):
    for dtype in (jnp.float32, jnp.float64):
        found = compiled(solver.run)(jnp.asarray(STARTS[0], dtype))
        assert found.x.dtype == dtype
        np.testing.assert_allclose(found.x, solver.answer, atol=solver.close)


@solvers
def test_many_searches_are_as_one_by_one(solver):
    one, many = compiled(solver.run), compiled(jax.vmap(solver.run))(STARTS)
    for i, start in enumerate(STARTS):
        found = one(start)
        np.testing.assert_allclose(many.x[i], found.x, atol=1e-9)
        assert (many.steps[i], many.status[i]) == (found.steps, found.status)


@solvers
def test_compiled_is_as_step_by_step(solver):
    with jax.disable_jit():
        found = solver.run(jnp.asarray(STARTS[1]))
    np.testing.assert_allclose(found.x, compiled(solver.run)(STARTS[1]).x, atol=1e-9)
