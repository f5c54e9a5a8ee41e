"""Ask the next best item until sure."""

from lleval_jax.estimators.adaptive.choice import CITE as CITE
from lleval_jax.estimators.adaptive.choice import Rule as Rule
from lleval_jax.estimators.adaptive.choice import State as State
from lleval_jax.estimators.adaptive.choice import believe as believe
from lleval_jax.estimators.adaptive.choice import choose as choose
from lleval_jax.estimators.adaptive.choice import curve_of as curve_of
from lleval_jax.estimators.adaptive.choice import difference as difference
from lleval_jax.estimators.adaptive.choice import estimate as estimate
from lleval_jax.estimators.adaptive.choice import estimate_of as estimate_of
from lleval_jax.estimators.adaptive.choice import pool_of as pool_of
from lleval_jax.estimators.adaptive.choice import prior_of as prior_of
from lleval_jax.estimators.adaptive.choice import require_whole as require_whole
from lleval_jax.estimators.adaptive.stopping import Stop as Stop
from lleval_jax.estimators.adaptive.stopping import always_reach as always_reach
from lleval_jax.estimators.adaptive.stopping import dispersion_of as dispersion_of
from lleval_jax.estimators.adaptive.stopping import reach_of as reach_of
from lleval_jax.estimators.adaptive.stopping import widen_of as widen_of
