"""lleval_jax: questions about language models, answered from few answers, with how sure the answer is."""

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lleval_jax import report as report
    from lleval_jax.data import list_banks as list_banks
    from lleval_jax.data import list_laws as list_laws
    from lleval_jax.data import list_leaderboards as list_leaderboards
    from lleval_jax.data import load as load
    from lleval_jax.data import load_bank as load_bank
    from lleval_jax.data import load_law as load_law
    from lleval_jax.data import read as read
    from lleval_jax.data import read_leaderboard as read_leaderboard
    from lleval_jax.data import read_logprobs as read_logprobs
    from lleval_jax.data import read_scores as read_scores
    from lleval_jax.data import save as save
    from lleval_jax.data import verify as verify
    from lleval_jax.data import write as write
    from lleval_jax.errors import BadInput as BadInput
    from lleval_jax.errors import BankMismatch as BankMismatch
    from lleval_jax.errors import DataWarning as DataWarning
    from lleval_jax.errors import LlevalError as LlevalError
    from lleval_jax.errors import NotConverged as NotConverged
    from lleval_jax.errors import RunFailed as RunFailed
    from lleval_jax.estimators import adaptive as adaptive
    from lleval_jax.estimators import irt as irt
    from lleval_jax.estimators import pepr as pepr
    from lleval_jax.estimators import prompts as prompts
    from lleval_jax.estimators import refresh as refresh
    from lleval_jax.estimators import sloth as sloth
    from lleval_jax.estimators import tiny as tiny
    from lleval_jax.estimators.adaptive import ranking
    from lleval_jax.estimators.adaptive import replay as sessions
    from lleval_jax.estimators.irt import ability, rotation
    from lleval_jax.estimators.irt import guard as estimable
    from lleval_jax.estimators.prompts import best as bandit
    from lleval_jax.estimators.refresh import published as refresh_paper
    from lleval_jax.estimators.sloth import downstream, passk, skills
    from lleval_jax.estimators.sloth import published as sloth_paper
    from lleval_jax.estimators.tiny import anchors
    from lleval_jax.estimators.trust import controls
    from lleval_jax.estimators.trust import items as itemfit
    from lleval_jax.report.cite import cite as cite
    from lleval_jax.values import Anchors as Anchors
    from lleval_jax.values import Choice as Choice
    from lleval_jax.values import Estimate as Estimate
    from lleval_jax.values import Examination as Examination
    from lleval_jax.values import FitResult as FitResult
    from lleval_jax.values import Guard as Guard
    from lleval_jax.values import ItemBank as ItemBank
    from lleval_jax.values import Leaderboard as Leaderboard
    from lleval_jax.values import Responses as Responses
    from lleval_jax.values import Source as Source
    from lleval_jax.values import SparseResponses as SparseResponses

# Each public name and the module that holds it, loaded when first used: `import lleval_jax` is quick.
_HOME = {
    **dict.fromkeys(("read", "read_scores", "write", "save", "load", "load_bank", "list_banks", "verify"), "data"),
    **dict.fromkeys(("load_law", "list_laws", "list_leaderboards"), "data"),
    **dict.fromkeys(("Responses", "SparseResponses", "ItemBank", "Anchors", "Choice"), "values"),
    **dict.fromkeys(("FitResult", "Estimate", "Source", "Guard", "Examination"), "values"),
    **dict.fromkeys(("LlevalError", "BadInput", "BankMismatch", "NotConverged", "RunFailed", "DataWarning"), "errors"),
    **{name: f"estimators.{name}" for name in ("irt", "anchors", "tiny", "ability", "adaptive", "sessions", "ranking")},
    **{name: f"estimators.{name}" for name in ("estimable", "itemfit", "controls", "rotation", "prompts", "bandit")},
    **{
        "pepr": "estimators.pepr",
        "refresh_paper": "estimators.refresh_paper",
        "sloth": "estimators.sloth",
        "skills": "estimators.skills",
        "sloth_paper": "estimators.sloth_paper",
        "downstream": "estimators.downstream",
        "passk": "estimators.passk",
        "refresh": "estimators.refresh",
        "read_logprobs": "data",
        "read_leaderboard": "data",
        "Leaderboard": "values",
    },
    "report": "report",
    "cite": "report.cite",
}

__all__ = [*_HOME, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]
__version__ = metadata.version("lleval-jax")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lleval_jax' has no attribute {name!r}")
    home = _HOME[name]
    module = importlib.import_module(f"lleval_jax.{home}")
    return module if home.rpartition(".")[2] == name and name != "cite" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
