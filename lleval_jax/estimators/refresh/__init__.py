"""New versions of a benchmark: run few models again, estimate the rest (LiveXiv)."""

from typing import TYPE_CHECKING

from lleval_jax.estimators.irt.linking import link as link
from lleval_jax.estimators.refresh import published as published
from lleval_jax.estimators.refresh.drift import suspects as suspects
from lleval_jax.estimators.refresh.panel import CITE as CITE
from lleval_jax.estimators.refresh.panel import DIMS as DIMS
from lleval_jax.estimators.refresh.panel import choose as choose
from lleval_jax.estimators.refresh.panel import estimate as estimate
from lleval_jax.estimators.refresh.panel import fit as fit
from lleval_jax.estimators.refresh.panel import hidden as hidden
from lleval_jax.estimators.refresh.panel import outlooks as outlooks
from lleval_jax.estimators.refresh.panel import preview as preview
from lleval_jax.estimators.refresh.panel import ranks as ranks
from lleval_jax.estimators.refresh.panel import spread as spread
from lleval_jax.estimators.refresh.rows import check as check
from lleval_jax.estimators.refresh.standing import standing as standing
from lleval_jax.renamed import moved
from lleval_jax.values.ranks import Standing as Standing

if not TYPE_CHECKING:
    __getattr__ = moved("refresh", foretell="refresh.preview")
