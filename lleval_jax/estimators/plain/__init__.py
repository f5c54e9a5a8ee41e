"""Scores from one's own logs, without an item bank: mean, interval, paired differences, rank ranges."""

from lleval_jax.estimators.plain.gate import gate as gate
from lleval_jax.estimators.plain.gate import require_margin as require_margin
from lleval_jax.estimators.plain.paired import compare as compare
from lleval_jax.estimators.plain.paired import ranks as ranks
from lleval_jax.estimators.plain.score import CITE as CITE
from lleval_jax.estimators.plain.score import estimate as estimate
from lleval_jax.estimators.plain.tries import tries as tries
