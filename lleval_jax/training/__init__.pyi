"""The public names of `lleval_jax.training` and where each one lives. `__init__.py` reads them from here."""

from lleval_jax.training import adapter_files as adapter_files
from lleval_jax.training import losses as losses
from lleval_jax.training.adapted import adapted as adapted
from lleval_jax.training.cost import Cost as Cost
from lleval_jax.training.cost import cost as cost
from lleval_jax.training.factors import Similarity as Similarity
from lleval_jax.training.factors import gap_bound as gap_bound
from lleval_jax.training.factors import similarity as similarity
from lleval_jax.training.loop import Trained as Trained
from lleval_jax.training.loop import fit as fit
from lleval_jax.training.lora import Lora as Lora
from lleval_jax.training.lora import adapters as adapters
from lleval_jax.training.lora import attach as attach
from lleval_jax.training.lora import detach as detach
from lleval_jax.training.lora import learned as learned
from lleval_jax.training.lora import merge as merge
from lleval_jax.training.losses import AOT as AOT
from lleval_jax.training.losses import DPO as DPO
from lleval_jax.training.losses import IPO as IPO
from lleval_jax.training.losses import KTO as KTO
from lleval_jax.training.losses import Dominance as Dominance
from lleval_jax.training.losses import Sides as Sides
from lleval_jax.training.losses import dominance as dominance
from lleval_jax.training.outcome import outcome as outcome
from lleval_jax.training.recipe import Recipe as Recipe
from lleval_jax.training.schedule import Schedule as Schedule
