"""The verbs of `lleval pepr`: itself and `score`."""

from lleval_jax.cli.pepr.score import score
from lleval_jax.cli.pepr.weights import pepr as weights
from lleval_jax.cli.shell import itself, options

pepr = itself.group(
    "What each element of a prompt does, and the best combination (PEPR); the scores for it by a language model "
    "('score')."
)
options.add(pepr, score)
itself.add(pepr, weights)
