"""The full-benchmark score of a model from few answers (tinyBenchmarks)."""

from lleval_jax.estimators.tiny.score import CITE as CITE
from lleval_jax.estimators.tiny.score import METHODS as METHODS
from lleval_jax.estimators.tiny.score import estimate as estimate
