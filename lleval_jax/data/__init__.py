"""Files <-> values: the only place that reads and writes user files."""

from lleval_jax.data.draws import read_draws as read_draws
from lleval_jax.data.draws import write_draws as write_draws
from lleval_jax.data.formats.format import Format as Format
from lleval_jax.data.formats.registry import FORMATS as FORMATS
from lleval_jax.data.judged import read_judges as read_judges
from lleval_jax.data.labels import read_labels as read_labels
from lleval_jax.data.leaderboards import list_leaderboards as list_leaderboards
from lleval_jax.data.leaderboards import read_leaderboard as read_leaderboard
from lleval_jax.data.logprobs import read_logprobs as read_logprobs
from lleval_jax.data.logprobs import simulate_logprobs as simulate_logprobs
from lleval_jax.data.read import read as read
from lleval_jax.data.scores import read_scores as read_scores
from lleval_jax.data.simulate import Truth as Truth
from lleval_jax.data.simulate import simulate as simulate
from lleval_jax.data.store import list_banks as list_banks
from lleval_jax.data.store import list_laws as list_laws
from lleval_jax.data.store import load as load
from lleval_jax.data.store import load_bank as load_bank
from lleval_jax.data.store import load_law as load_law
from lleval_jax.data.store import save as save
from lleval_jax.data.store import verify as verify
from lleval_jax.data.write import write as write
