"""Which parts of a prompt help (PEPR)."""

from lleval_jax.estimators.pepr.effects import MOST as MOST
from lleval_jax.estimators.pepr.effects import ONE_SIGMA as ONE_SIGMA
from lleval_jax.estimators.pepr.effects import choose as choose
from lleval_jax.estimators.pepr.effects import estimate as estimate
from lleval_jax.estimators.pepr.effects import scored as scored
from lleval_jax.estimators.pepr.weights import CITE as CITE
from lleval_jax.estimators.pepr.weights import check as check
from lleval_jax.estimators.pepr.weights import fit as fit
from lleval_jax.values.params import PeprParams as PeprParams
