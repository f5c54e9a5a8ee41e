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
        (lambda: ll.prompts.fit(None, dtype="float64"), "fit(): dtype= is now precision="),
        (lambda: ll.prompts.fit(None, reference=True), "fit(): reference= is now ll.prompts.published.fit"),
        (lambda: ll.prompts.choose(None, budget=400), "choose(): budget= is now k="),
        (lambda: ll.prompts.fit_many(None, method="ep"), "fit_many(): method= is now by="),
        (lambda: ll.prompts.fit_many(None, dtype="float64"), "fit_many(): dtype= is now precision="),
        (lambda: ll.prompts.estimate(None, what=("mean",)), "estimate(): what= is now of="),
        (lambda: ll.prompts.pca(None, size=2), "pca(): size= is now dims="),
        (lambda: ll.bandit.init("ab", rule="halving"), "init(): rule= is now by="),
        (lambda: ll.bandit.init("ab", size=3), "init(): size= is now k="),
        (lambda: ll.bandit.init("ab", confidence=0.9), "init(): confidence= is now certainty="),
        (lambda: ll.sloth.estimate(None, params=7e9), "estimate(): params= is now size="),
        (lambda: ll.sloth.published.estimate(None, params=7e9), "estimate(): params= is now size="),
        (lambda: ll.downstream.estimate(None, params=7e9), "estimate(): params= is now size="),
        (lambda: ll.passk.estimate(None, params=7e9), "estimate(): params= is now size="),
        (lambda: ll.refresh.choose(None, ask="all"), "choose(): ask= is now of="),
        (lambda: ll.refresh.choose(None, pool=["a"]), "choose(): pool= is now among="),
        (lambda: ll.refresh.spread(None, most=2), "spread(): most= is now k="),
        (lambda: ll.pepr.choose(None, size=3), "choose(): size= is now k="),
        (lambda: lm_eval_samples.run(None, rule="score"), "run(): rule= is now by="),
    ],
)
def test_public_faces(call, message: str) -> None:
    with pytest.raises(TypeError) as error:  # noqa: PT011
        call()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (lambda: ll.sloth_paper, "lleval_jax.sloth_paper is now lleval_jax.sloth.published"),
        (lambda: ll.refresh_paper, "lleval_jax.refresh_paper is now lleval_jax.refresh.published"),
        (lambda: ll.refresh.foretell, "refresh.foretell is now refresh.preview"),
    ],
)
def test_public_names(look, message: str) -> None:
    with pytest.raises(AttributeError, match=f"^{message}$"):
        look()


@pytest.mark.parametrize("method", ["prompts", "refresh", "sloth", "tiny"])
def test_what_was_published_is_beside_the_method(method: str) -> None:
    assert getattr(ll, method).published.__name__ == f"lleval_jax.estimators.{method}.published"


FACES = ("ability", "adaptive", "anchors", "bandit", "controls", "downstream", "estimable", "irt", "itemfit", "passk")
FACES += ("pepr", "prompts", "ranking", "refresh", "rotation", "sessions", "skills", "sloth", "tiny")
VERBS = (
    "allocate",
    "best",
    "check",
    "choose",
    "estimate",
    "examine",
    "fit",
    "fit_many",
    "init",
    "left_out",
    "observed",
)
VERBS += ("observed", "prepare", "preview", "ranks", "recovery", "replay", "rotate", "shuffled", "suspects", "update")


@pytest.mark.parametrize("face", FACES)
def test_the_first_argument_is_positional_and_all_else_keyword_only(face: str) -> None:
    module = getattr(ll, face)
    for verb in (name for name in VERBS if inspect.isfunction(getattr(module, name, None))):
        first, *rest = inspect.signature(getattr(module, verb)).parameters.values()
        assert first.kind is first.POSITIONAL_OR_KEYWORD, verb
        assert {one.name for one in rest if one.kind is not one.KEYWORD_ONLY} == set(), verb
