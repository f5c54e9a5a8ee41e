"""Skills scaling laws: what a new size will score (Sloth)."""

from lleval_jax.estimators.sloth import published as published
from lleval_jax.estimators.sloth.law import CITE as CITE
from lleval_jax.estimators.sloth.law import NEW as NEW
from lleval_jax.estimators.sloth.law import SKILLS as SKILLS
from lleval_jax.estimators.sloth.law import TOGETHER as TOGETHER
from lleval_jax.estimators.sloth.law import Link as Link
from lleval_jax.estimators.sloth.law import Target as Target
from lleval_jax.estimators.sloth.law import estimate as estimate
from lleval_jax.estimators.sloth.law import fit as fit
from lleval_jax.estimators.sloth.law import require_target as require_target
from lleval_jax.estimators.sloth.law import skills_of as skills_of
from lleval_jax.estimators.sloth.law import wanted as wanted
from lleval_jax.estimators.sloth.validation import choose as choose
from lleval_jax.estimators.sloth.validation import left_out as left_out
from lleval_jax.layout.board import leaderboard_of as leaderboard_of
from lleval_jax.values.params import SlothParams as SlothParams
