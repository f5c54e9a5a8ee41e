"""What else must know of a method or a rule. Each failure names the file and line, and what to add there."""

import ast
import importlib
import pathlib
import pkgutil
import re
from types import SimpleNamespace

import numpy as np
import pytest
import worlds

import lleval_jax as ll
from bench.tiny import coverage_methods
from lleval_jax import estimators
from lleval_jax.cli.main import run
from lleval_jax.core.irt import sequential
from lleval_jax.core.linalg import rotation
from lleval_jax.errors import BadInput
from lleval_jax.estimators import tiny
from lleval_jax.estimators.irt import linking
from lleval_jax.estimators.pairwise import scores
from lleval_jax.estimators.pepr.effects import UNIT
from lleval_jax.estimators.plain import paired
from lleval_jax.estimators.plain import score as plain_score
from lleval_jax.estimators.prompts.best import RULES
from lleval_jax.estimators.prompts.quantiles import FUNCTIONALS
from lleval_jax.estimators.sloth.kernel import BENDS
from lleval_jax.estimators.sloth.skills import WORDS
from lleval_jax.estimators.tiny import score
from lleval_jax.report.cite import BIBTEX

ROOT = pathlib.Path(__file__).parents[1]
ESTIMATORS = ROOT / "lleval_jax" / "estimators"
methods = pytest.mark.parametrize("name", tiny.METHODS)


def line_of(file, text):
    """ "file:line" of the first line that begins with `text`."""
    lines = (ROOT / file).read_text().splitlines()
    return f"{file}:{next(i for i, line in enumerate(lines, 1) if line.lstrip().startswith(text))}"


# --- methods of tiny ----------------------------------------------------------------------------------------------


@methods
def test_a_method_has_a_row_in_the_table(name):
    where = line_of("lleval_jax/estimators/tiny/score.py", "auto")
    rows = [line.split()[0] for line in (score.__doc__ or "").splitlines() if line.startswith("    ") and line.split()]
    assert name in rows, f"{where}: add a row '{name}  formula  source' above"


@methods
def test_help_names_the_method(name, capsys):
    where = line_of("lleval_jax/cli/estimate.py", "OWN = ")
    run(["estimate", "--help"])
    said = capsys.readouterr().out.split("For accuracy:")[1].split("For ability:")[0]
    assert re.search(rf"\b{name}\b", said), f"{where}: add {name!r}"


@methods
def test_the_study_of_coverage_has_the_method(name):
    where = line_of("bench/tiny/coverage_methods.py", "METHODS = ")
    assert name in coverage_methods.METHODS, f"{where}: take the list from tiny.METHODS, so that it has {name!r}"


@methods
def test_a_method_cites_something(name):
    where = line_of("lleval_jax/estimators/tiny/score.py", f'"{name}": ')
    assert tiny.METHODS[name].cite, f"{where}: say what {name!r} is from"


# --- citations ----------------------------------------------------------------------------------------------------


def keys_of_values(value):
    """Keys in a module's value: a constant CITE, a record with a field `cite`, and tables of records."""
    if isinstance(value, dict):
        return {key for each in value.values() for key in keys_of_values(each)}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return {key for each in value for key in keys_of_values(each)}
    cite = getattr(value, "cite", ()) if not isinstance(value, type) else ()
    return set(cite) if isinstance(cite, tuple) else set()


def keys_of_source(path):
    """Keys written where something is called with `cite=`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    given = [word.value for call in calls for word in call.keywords if word.arg == "cite"]
    return {node.value for value in given for node in ast.walk(value) if isinstance(node, ast.Constant)}


def cited():
    """{key: the file that cites it} of all estimators."""
    found = {}
    for module in pkgutil.walk_packages(estimators.__path__, f"{estimators.__name__}."):
        loaded = importlib.import_module(module.name)
        path = pathlib.Path(loaded.__file__)
        keys = {
            key for name, value in vars(loaded).items() if not name.startswith("_") for key in keys_of_values(value)
        }
        keys |= keys_of_source(path) | set(getattr(loaded, "CITE", ()))
        found = dict.fromkeys(keys, path.relative_to(ROOT)) | found
    return found


def test_what_is_cited_has_its_entry():
    found = cited()
    assert {"polo2024tiny", "lord1980", "karnin2013almost"} <= set(found)  # of a record, a call, a constant
    where = line_of("lleval_jax/report/cite.py", "BIBTEX = ")
    missing = {key: str(path) for key, path in found.items() if key not in BIBTEX and not str(key).startswith("@")}
    assert not missing, f"{where}: add an entry for each of {missing}"


def test_a_citation_is_seen_in_records_and_dictionaries(monkeypatch):
    new = tiny.Method(score.pirt, ("nobody1900",), needs=())
    monkeypatch.setitem(tiny.METHODS, "new", new)
    monkeypatch.setattr(score, "MORE", {"one": {"new": SimpleNamespace(cite=("somebody1901",))}}, raising=False)
    assert {"nobody1900", "somebody1901"} <= set(cited())


# --- registries of rules ------------------------------------------------------------------------------------------

FLAT = SimpleNamespace(params=SimpleNamespace(slope=np.ones((3, 2))))
# (file, what is looked up in) -> the names there are, and a call with a name that may not be one
ASKED = {
    ("adaptive/choice.py", "sequential.RULES"): (sequential.RULES, lambda x: ll.adaptive.choose(None, bank=None, by=x)),
    ("adaptive/replay.py", "sequential.RULES"): (sequential.RULES, lambda x: ll.sessions.replay(None, bank=None, by=x)),
    ("irt/ability.py", "METHODS"): (ll.ability.METHODS, lambda x: ll.ability.estimate(None, bank=None, by=x)),
    ("irt/linking.py", "(*CURVES, *MOMENTS, 'concurrent')"): (
        (*linking.CURVES, *linking.MOMENTS, "concurrent"),
        lambda x: ll.refresh.link(None, None, by=x),
    ),
    ("irt/rotation.py", "rotation.CRITERIA"): (rotation.CRITERIA, lambda x: ll.rotation.rotate(FLAT, by=x)),
    ("pairwise/scores.py", "TARGETS"): (scores.TARGETS, lambda x: ll.pairwise.estimate(None, x)),
    ("pepr/weights.py", "UNIT"): (UNIT, lambda x: ll.pepr.fit(worlds.logprobs(), per=x)),
    ("plain/paired.py", "ADJUST"): (paired.ADJUST, lambda x: ll.plain.ranks(None, adjust=x)),
    ("plain/paired.py", "WAYS"): (paired.WAYS, lambda x: ll.plain.compare(None, first="a", second="b", by=x)),
    ("plain/score.py", "WAYS"): (plain_score.WAYS, lambda x: ll.plain.estimate(None, by=x)),
    ("prompts/best.py", "RULES"): (RULES, lambda x: ll.bandit.init("ab", items="xy", budget=4, by=x)),
    ("prompts/quantiles.py", "FUNCTIONALS"): (FUNCTIONALS, lambda x: ll.prompts.estimate(None, of=[x])),
    ("sloth/law.py", "BENDS"): (BENDS, lambda x: ll.sloth.fit(worlds.leaderboard(), skills=1, link=x)),
    ("sloth/skills.py", "WORDS"): (WORDS, lambda x: ll.skills.estimate(None, of=x)),
    ("sloth/skills.py", "rotation.CRITERIA"): (rotation.CRITERIA, lambda x: ll.skills.estimate(None, by=x)),
    ("tiny/anchors.py", "('auto', *METHODS)"): (ll.anchors.METHODS, lambda x: ll.anchors.choose(None, by=x)),
    ("tiny/score.py", "('auto', *known)"): (tiny.METHODS, lambda x: ll.tiny.estimate(None, bank=None, by=x)),
}
OF_CURVES = ("irt/calibration.py", "irt/guard.py")  # names of item response curves have tests of their own


def looked_up():
    """(file, table) of each look into a registry by a name that the caller gave."""
    for path in sorted(ESTIMATORS.rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            place = {"chosen": 0, "require_known": 1}.get(getattr(call.func, "id", ""))
            if place is not None and any(isinstance(node, ast.Name) for node in ast.walk(call.args[place])):
                yield path.relative_to(ESTIMATORS).as_posix(), ast.unparse(call.args[place])


def test_every_registry_of_rules_is_known_here():
    found = {(file, table) for file, table in looked_up() if file not in OF_CURVES and "get_args" not in table}
    where = line_of("tests/test_registries_methods.py", "ASKED = ")
    assert found == set(ASKED), f"{where}: add or remove {sorted(found ^ set(ASKED))}"


@pytest.mark.parametrize(("names", "call"), ASKED.values(), ids=map(" ".join, ASKED))
def test_an_unknown_rule_is_told_all_and_the_nearest(names, call):
    for name in names:
        with pytest.raises(BadInput, match="is not known; there are") as error:
            call(f"{name}x")
        listed, _, near = str(error.value).partition("there are ")[2].partition("; did you mean ")
        assert set(names) <= set(listed.split(", "))
        assert repr(name) in near
