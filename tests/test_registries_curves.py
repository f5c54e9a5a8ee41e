"""What else must know of a curve. Each failure names the file and line, and what to add there."""

import ast
import inspect
import itertools
import pathlib
from typing import get_args

import jax.numpy as jnp
import numpy as np
import packages
import pytest

from lleval_jax import curves
from lleval_jax.cli import calibrate, check
from lleval_jax.core.irt import irf
from lleval_jax.curves import CURVES, Curve, Model
from lleval_jax.data.simulate import simulate
from lleval_jax.errors import BadInput
from lleval_jax.estimators.irt import guard

ROOT = pathlib.Path(__file__).parents[1]
HERE = pathlib.Path(inspect.getfile(curves)).relative_to(ROOT)


def line_of(file, text):
    """ "file:line" of the first line that begins with `text`."""
    lines = (ROOT / file).read_text().splitlines()
    return f"{file}:{next(i for i, line in enumerate(lines, 1) if line.lstrip().startswith(text))}"


def test_every_curve_has_its_name_in_the_types():
    missing = set(CURVES) ^ set(get_args(Model))
    assert not missing, f"{line_of(HERE, 'Model')}: `Model` and `CURVES` must have the same names; {missing} differ"


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_simulated_with_what_is_free_in_it(name):
    curve, (_, truth) = CURVES[name], simulate(5, 40, seed=0, model=name)
    said = f"{line_of('lleval_jax/data/simulate.py', 'def _truth')}: draw what is free in {name!r}, and hold the rest"
    free = [len(np.unique(x)) > 1 for x in (truth.slope, truth.floor, truth.ceiling)]
    assert free == [not curve.shared_slope, curve.floor, curve.ceiling], said
    held = irf.constrain(curve, jnp.zeros(curve.width))  # the floor and the ceiling that a fit holds
    assert curve.floor or truth.floor[0] == held.floor, said
    assert curve.ceiling or truth.ceiling[0] == held.ceiling, said


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("verb", [calibrate.calibrate, check.check])
def test_the_shell_offers_the_curve(verb, name):
    asked, *_ = get_args(inspect.get_annotations(verb)["model"])
    said = f"{line_of(f'lleval_jax/cli/{verb.__name__}.py', 'Function = ')}: --model must take `Model`, so {name!r} too"
    assert name in get_args(asked), said


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize(
    ("file", "table"), [("tests/estimators/irt/test_calibration.py", "FITS"), ("tests/core/irt/test_em.py", "RISING")]
)
def test_the_curve_is_tested(file, table, name):
    """Both tables must be made from `CURVES`, or have the name."""
    assigned = next(
        node
        for node in ast.parse((ROOT / file).read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == table
    )
    words = {node.id for node in ast.walk(assigned) if isinstance(node, ast.Name)}
    words |= {node.attr for node in ast.walk(assigned) if isinstance(node, ast.Attribute)}
    words |= {node.value for node in ast.walk(assigned) if isinstance(node, ast.Constant)}
    assert words & {"CURVES", name}, (
        f"{file}:{assigned.lineno}: {table} must be made from `CURVES`, and so hold {name!r}"
    )


def test_names_and_curves_lead_to_each_other():
    for name, curve in CURVES.items():
        assert curves.name_of(curve) == name
        assert curves.curve_of(name) == curve
    assert curves.name_of(Curve(dims=3)) == "2pl"
    assert curves.name_of(Curve(positive=True)) == "2pl"
    for shared, floor, ceiling in itertools.product((False, True), repeat=3):
        curve = Curve(shared_slope=shared, floor=floor, ceiling=ceiling)
        assert curves.curve_of(curves.name_of(curve)) == curve
    assert curves.curve_of(Curve(floor=True), 2) == curves.curve_of(Curve(dims=2, floor=True)) == Curve(2, floor=True)
    with pytest.raises(BadInput, match="has 2 abilities and dims is 3"):
        curves.curve_of(Curve(dims=2), 3)


ENTRY = "[lleval_jax.curves]\nupper = tiny_curve:UPPER\n2pl = tiny_curve:UPPER\n"
CODE = "from lleval_jax.curves import Curve\nUPPER = Curve(ceiling=True)\n"


def test_a_package_brings_a_curve(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(packages.install(tmp_path / "site", "tiny_curve", CODE, ENTRY))
    assert curves.curve_of("upper") == Curve(ceiling=True)
    assert curves.curve_of("2pl") == Curve()  # ours stay what they are
    assert curves.name_of(curves.curve_of("upper")) == "slope, ceiling"
    with pytest.raises(BadInput, match="there are rasch, 2pl, 3pl, 4pl, .*upper.*did you mean 'upper'"):
        curves.curve_of("uper")


def test_the_ladder_is_nested():
    for low, high in itertools.pairwise(guard.LADDER):
        said = (
            f"{line_of('lleval_jax/estimators/irt/guard.py', 'LADDER')}: {low!r} must be {high!r} with something held"
        )
        assert CURVES[high].holds(CURVES[low]), said
        assert not CURVES[low].holds(CURVES[high]), said


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_holds_a_rung_of_the_ladder(name):
    said = f"{line_of(HERE, 'def holds')}: {name!r} holds none of {guard.LADDER}, so `check` cannot examine it"
    assert any(CURVES[name].holds(CURVES[rung]) for rung in guard.LADDER), said


@pytest.mark.parametrize(
    ("curve", "below"),
    [
        (Curve(ceiling=True), "2pl"),
        (Curve(shared_slope=True, floor=True), "rasch"),
        (Curve(shared_slope=True), "rasch"),
    ],
)
def test_a_curve_beside_the_ladder_is_checked_as_the_rung_below_it(curve, below):
    answers, _ = simulate(80, 20, seed=0)
    got, want = guard.check(answers, model=curve), guard.check(answers, model=below)
    assert (got.asked, got.safe) == (want.asked, want.safe) == (below, got.safe)
    (note,) = [one for one in got.findings if one not in want.findings]
    assert note.severity == "note"
    assert f"the {below}, which it holds, is examined in its place" in note.found
