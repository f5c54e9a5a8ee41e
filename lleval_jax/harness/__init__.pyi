"""The public names of `lleval_jax.harness` and where each one lives. `__init__.py` reads them from here."""

from lleval_jax.harness.cells import Asking as Asking
from lleval_jax.harness.cells import answer_cells as answer_cells
from lleval_jax.harness.grid import Cell as Cell
from lleval_jax.harness.grid import read_examples as read_examples
from lleval_jax.harness.grid import read_plan as read_plan
from lleval_jax.harness.grid import read_prompts as read_prompts
from lleval_jax.harness.library import Library as Library
from lleval_jax.harness.library import read_library as read_library
from lleval_jax.harness.local import Local as Local
from lleval_jax.harness.prompt_scores import score_texts as score_texts
from lleval_jax.harness.scored_texts import read_texts as read_texts
