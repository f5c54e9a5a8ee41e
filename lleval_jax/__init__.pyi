"""The public names and where each one lives. `__init__.py` reads them from here and loads each when first used."""

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
from lleval_jax.estimators.adaptive import ranking as ranking
from lleval_jax.estimators.adaptive import replay as sessions
from lleval_jax.estimators.irt import ability as ability
from lleval_jax.estimators.irt import guard as estimable
from lleval_jax.estimators.irt import rotation as rotation
from lleval_jax.estimators.prompts import best as bandit
from lleval_jax.estimators.refresh import published as refresh_paper
from lleval_jax.estimators.sloth import downstream as downstream
from lleval_jax.estimators.sloth import passk as passk
from lleval_jax.estimators.sloth import published as sloth_paper
from lleval_jax.estimators.sloth import skills as skills
from lleval_jax.estimators.tiny import anchors as anchors
from lleval_jax.estimators.trust import controls as controls
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

__all__ = ["bandit", "estimable", "itemfit", "refresh_paper", "sessions", "sloth_paper"]  # named unlike their modules
__version__: str
