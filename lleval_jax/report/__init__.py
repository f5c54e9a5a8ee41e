"""Results for readers: text, plots, comparisons, citations. Reads values only."""

from lleval_jax.report import cite as cite
from lleval_jax.report import compare as compare
from lleval_jax.report import elements as elements
from lleval_jax.report import plot as plot
from lleval_jax.report import prompts as prompts
from lleval_jax.report import refresh as refresh
from lleval_jax.report import skills as skills
from lleval_jax.report import sloth as sloth
from lleval_jax.report import text as text
from lleval_jax.report import trust as trust
