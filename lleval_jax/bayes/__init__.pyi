"""The public names of `lleval_jax.bayes` and where each one lives. `__init__.py` reads them from here."""

from lleval_jax.bayes import maximum as maximum
from lleval_jax.bayes.agreement import Agreement as Agreement
from lleval_jax.bayes.agreement import agree as agree
from lleval_jax.bayes.choice import engine as engine
from lleval_jax.bayes.contract import Laid as Laid
from lleval_jax.bayes.contract import Model as Model
from lleval_jax.bayes.contract import Target as Target
from lleval_jax.bayes.diagnostics import Diagnostics as Diagnostics
from lleval_jax.bayes.files import load as load
from lleval_jax.bayes.files import save as save
from lleval_jax.bayes.laplace import Laplace as Laplace
from lleval_jax.bayes.many import sample_many as sample_many
from lleval_jax.bayes.models.faces import agents as agents
from lleval_jax.bayes.models.faces import irt as irt
from lleval_jax.bayes.models.faces import pairwise as pairwise
from lleval_jax.bayes.models.faces import prompts as prompts
from lleval_jax.bayes.models.faces import rasch as rasch
from lleval_jax.bayes.models.faces import refresh as refresh
from lleval_jax.bayes.models.faces import sloth as sloth
from lleval_jax.bayes.models.systems import systems as systems
from lleval_jax.bayes.nuts import NUTS as NUTS
from lleval_jax.bayes.posterior import Posterior as Posterior
from lleval_jax.bayes.prior import PriorScores as PriorScores
from lleval_jax.bayes.prior import prior_scores as prior_scores
from lleval_jax.bayes.sample import sample as sample
from lleval_jax.bayes.svi import SVI as SVI
