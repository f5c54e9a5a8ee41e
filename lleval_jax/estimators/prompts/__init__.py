"""Scores over prompts from few answers (PromptEval)."""

from lleval_jax.estimators.prompts import published as published
from lleval_jax.estimators.prompts.covariates import embed as embed
from lleval_jax.estimators.prompts.covariates import features as features
from lleval_jax.estimators.prompts.covariates import pca as pca
from lleval_jax.estimators.prompts.effects import CITE as CITE
from lleval_jax.estimators.prompts.effects import DRAWS as DRAWS
from lleval_jax.estimators.prompts.effects import choose as choose
from lleval_jax.estimators.prompts.effects import fit as fit
from lleval_jax.estimators.prompts.many import Many as Many
from lleval_jax.estimators.prompts.many import fit_many as fit_many
from lleval_jax.estimators.prompts.quantiles import QUANTILES as QUANTILES
from lleval_jax.estimators.prompts.quantiles import WHAT as WHAT
from lleval_jax.estimators.prompts.quantiles import better as better
from lleval_jax.estimators.prompts.quantiles import difference as difference
from lleval_jax.estimators.prompts.quantiles import distribution as distribution
from lleval_jax.estimators.prompts.quantiles import estimate as estimate
from lleval_jax.estimators.prompts.quantiles import wasserstein as wasserstein
from lleval_jax.estimators.prompts.quantiles import won as won
from lleval_jax.values.findings import Distribution as Distribution
from lleval_jax.values.params import PromptParams as PromptParams
