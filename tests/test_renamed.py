"""Words of older versions: refused, and today's word is said."""

import inspect

import pytest

import lleval_jax as ll
from lleval_jax.harness import lm_eval_samples
from lleval_jax.renamed import moved, renamed


@renamed(report="tell", spread="by='spread'")
def fit(grid: int, *, tell: str = "") -> tuple[int, str]:
    """A fit."""
    return grid, tell


def test_an_old_keyword_is_refused_with_the_new_one() -> None:
    with pytest.raises(TypeError, match=r"^fit\(\): report= is now tell=$"):
        fit(1, report="x")
    with pytest.raises(TypeError, match=r"spread= is now by='spread'$"):
        fit(1, spread=True)


def test_all_else_is_as_before() -> None:
    assert fit(1, tell="x") == (1, "x")
    assert str(inspect.signature(fit)) == "(grid: int, *, tell: str = '') -> tuple[int, str]"
    assert (fit.__name__, fit.__doc__) == ("fit", "A fit.")
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        fit(1, other=2)


def test_a_name_that_has_moved_is_refused_with_the_new_one() -> None:
    missing = moved("ll.refresh", foretell="ll.refresh.preview")
    with pytest.raises(AttributeError, match=r"^ll\.refresh\.foretell is now ll\.refresh\.preview$"):
        missing("foretell")
    with pytest.raises(AttributeError, match=r"^module 'll.refresh' has no attribute 'other'$"):
        missing("other")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ll.read("x", report=print), "read(): report= is now tell="),
        (lambda: ll.irt.fit(None, report=print), "fit(): report= is now tell="),
        (lambda: ll.sloth.fit(None, report=print), "fit(): report= is now tell="),
        (lambda: ll.irt.fit(None, engine="joint"), "fit(): engine= is now by="),
        (lambda: ll.tiny.estimate(None, method="pirt"), "estimate(): method= is now by="),
        (lambda: ll.ability.estimate(None, method="wle"), "estimate(): method= is now by="),
        (lambda: ll.adaptive.choose(None, size=3), "choose(): size= is now k="),
        (lambda: ll.adaptive.choose(None, rule="score"), "choose(): rule= is now by="),
        (lambda: ll.ranking.choose(None, size=3), "choose(): size= is now k="),
        (lambda: ll.sessions.replay(None, size=3), "replay(): size= is now k="),
        (lambda: ll.sessions.replay(None, rule="score"), "replay(): rule= is now by="),
        (lambda: ll.sessions.prepare(None, rule="score"), "prepare(): rule= is now by="),
        (lambda: ll.itemfit.examine(None, level=0.1), "examine(): level= is now alarm="),
        (lambda: lm_eval_samples.run(None, rule="score"), "run(): rule= is now by="),
    ],
)
def test_public_faces(call, message: str) -> None:
    with pytest.raises(TypeError) as error:  # noqa: PT011
        call()
    assert str(error.value) == message
