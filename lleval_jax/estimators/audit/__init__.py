"""Who is really ahead on a board: paired tests of all pairs at once, rank intervals, what the questions can tell."""

from lleval_jax.estimators.audit.board import audit as audit
