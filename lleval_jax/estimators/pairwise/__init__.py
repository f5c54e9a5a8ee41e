"""Ratings of models from comparisons of two: Bradley-Terry with ties, by maximum likelihood."""

from lleval_jax.estimators.pairwise.ratings import fit as fit
from lleval_jax.estimators.pairwise.scores import TARGETS as TARGETS
from lleval_jax.estimators.pairwise.scores import estimate as estimate
from lleval_jax.values.pairs import Pairs as Pairs
