"""The full-benchmark score of a model from few answers (tinyBenchmarks)."""

from lleval_jax.estimators.tiny import published as published
from lleval_jax.estimators.tiny.method import LEARNED as LEARNED
from lleval_jax.estimators.tiny.method import MODELS as MODELS
from lleval_jax.estimators.tiny.method import WHOLE as WHOLE
from lleval_jax.estimators.tiny.method import Method as Method
from lleval_jax.estimators.tiny.method import Need as Need
from lleval_jax.estimators.tiny.method import Spread as Spread
from lleval_jax.estimators.tiny.paired import compare as compare
from lleval_jax.estimators.tiny.score import CITE as CITE
from lleval_jax.estimators.tiny.score import METHODS as METHODS
from lleval_jax.estimators.tiny.score import estimate as estimate
from lleval_jax.estimators.tiny.score import methods as methods
