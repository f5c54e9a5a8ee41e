"""What training gives."""

import dataclasses
from typing import TYPE_CHECKING

from lleval_jax.training.losses import Sides
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run.peak import Peak

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A model that has learned.

    model    the language model, adapters attached (`lora.merge` adds them to the weights)
    lora     which adapters; None if all weights learned
    history  one record a step: "step", "loss", "norm", "rate", "tokens", "seconds", "tokens_per_second", "left" in
             seconds, "mfu" where the devices' peak is known, and "held_out_loss" and more where it was evaluated
    ended    "steps" or "patience"
    best     step of the lowest held-out loss; the last step without evaluations
    held_out log-probabilities of the held-out answers under the model and under what it was; None without any
    lengths  tokens of the held-out answers, each with the one that ends it; None without any
    peak     operations a second that "mfu" is a share of, and how they are known
    dropped  how many answers (or pairs) were too long and left out
    cut      how many prompts were shortened at their beginning
    """

    model: "LanguageModel"
    lora: Lora | None
    history: tuple[dict[str, float], ...]
    ended: str
    best: int
    held_out: tuple[Sides, Sides] | None
    lengths: Sides | None
    peak: Peak
    dropped: int
    cut: int
