"""Effects of learned size, in coordinates whose spread does not depend on the size, however much answers tell.

    own ~ N(0, scale),   effect = sd own / scale,   scale^2 = 1 + sd^2 told        so that effect ~ N(0, sd)

`told` is the information that answers have about an effect, roughly: one over the variance with which it is seen. Where
it is 0 this is the non-centred form; where it is large `own` is the effect itself, but for a factor (centred). Between
them, for normal answers, the posterior of `own` has variance 1 whatever `sd` is (by completing the square). So neither
form's funnel is there, and the joint mode has the size of effects where its own posterior has it: the normal that all
engines start from lies where it should. The posterior of effects is the same for any `told`; only how well it is drawn
depends on it. Compare Papaspiliopoulos, Roberts & Skold (2007), who choose between the two forms.
"""

import jax.numpy as jnp
import numpy as np
from numpyro import distributions as dist

from lleval_jax.bayes.models.sites import site
from lleval_jax.types import Array


def effects(name: str, sd: Array, told: Array | np.ndarray) -> Array:
    """Independent effects in the shape of `told`; the site is `name`_own."""
    scale = jnp.sqrt(1 + sd**2 * jnp.asarray(told))
    own = site(f"{name}_own", dist.Normal(0, scale).to_event(scale.ndim))
    return sd * own / scale


def start(effect: np.ndarray, sd: float, told: np.ndarray) -> np.ndarray:
    """The site's value at which the effects are these."""
    return effect * np.sqrt(1 / sd**2 + told)
