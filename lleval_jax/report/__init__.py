"""Results for readers: text, plots, comparisons, citations. Reads values only."""

from lleval_jax.report import alignment as alignment
from lleval_jax.report import audit as audit
from lleval_jax.report import audit_page as audit_page
from lleval_jax.report import cite as cite
from lleval_jax.report import compare as compare
from lleval_jax.report import compression as compression
from lleval_jax.report import gate as gate
from lleval_jax.report import pages as pages
from lleval_jax.report import pepr as pepr
from lleval_jax.report import plain as plain
from lleval_jax.report import plot as plot
from lleval_jax.report import posterior as posterior
from lleval_jax.report import prompts as prompts
from lleval_jax.report import refresh as refresh
from lleval_jax.report import refresh_plots as refresh_plots
from lleval_jax.report import result_page as result_page
from lleval_jax.report import serving as serving
from lleval_jax.report import sloth_plots as sloth_plots
from lleval_jax.report import sloth_tables as sloth_tables
from lleval_jax.report import style as style
from lleval_jax.report import text as text
from lleval_jax.report import trust as trust
