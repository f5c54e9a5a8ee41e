"""The verbs of `lleval refine`: itself and `compare`."""

from lleval_jax.cli.refine.answers import answers
from lleval_jax.cli.refine.arms import compare
from lleval_jax.cli.shell import itself, options

refine = itself.group(
    "Weak answers, refined by a strong model before it learns them; what arms of an experiment reached ('compare')."
)
options.add(refine, compare)
itself.add(refine, answers)
