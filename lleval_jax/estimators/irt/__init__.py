"""Item response models: learn items from many models' answers, place a model on them."""

from lleval_jax.curves import Curve as Curve
from lleval_jax.estimators.irt.calibration import again as again
from lleval_jax.estimators.irt.calibration import answers_of as answers_of
from lleval_jax.estimators.irt.calibration import choose_dims as choose_dims
from lleval_jax.estimators.irt.calibration import fit as fit
from lleval_jax.estimators.irt.calibration import fit_many as fit_many
from lleval_jax.estimators.irt.predictive import log_density as log_density
from lleval_jax.values.params import IrtParams as IrtParams
