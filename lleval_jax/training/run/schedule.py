"""How long, how fast and in what pieces a model learns."""

import dataclasses
from typing import Literal

import numpy as np
import optax

from lleval_jax.errors import require, require_known


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Settings of a training run.

    Attributes:
        steps: of the optimiser.
        batch: pairs a step; of unpaired answers chosen ones, with rejected ones in proportion.
        tokens: of a micro-batch, about: what is in memory at a time. The result depends on it by rounding only.
        rate: the largest learning rate.
        warmup: share of the steps in which the rate rises to it.
        decay: how it falls after that: "cosine" or "linear" to 0, or "constant".
        clip: largest norm of a step's gradient; 0 for any.
        weight_decay: of AdamW.
        betas: of AdamW.
        evaluate: steps between two evaluations on held-out data; 0 for at the end only.
        patience: evaluations without a new best after which training stops; 0 for never.
        keep: steps between two checkpoints; 0 for at the end only.
        seed: of the order of rows and of dropout.
    """

    steps: int = 100
    batch: int = 32
    tokens: int = 4096
    rate: float = 1e-4
    warmup: float = 0.1
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    clip: float = 1.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    evaluate: int = 0
    patience: int = 0
    keep: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "tokens"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; it is at least 1")
        require(self.rate > 0, f"the rate is {self.rate}; it must be above 0")
        require(0 <= self.warmup <= 1, f"warmup is {self.warmup}; it is a share of the steps, from 0 to 1")
        require_known(self.decay, ("cosine", "linear", "constant"), "decay")
        early = "patience counts evaluations; say how many steps lie between two"
        require(
            not self.patience or self.evaluate > 0,
            early,
            python="Pass evaluate=.",
            shell="Say evaluate = in [schedule].",
        )

    def due(self, number: int, every: int) -> bool:
        """Whether something is done after a step, from 0: after every so many, and always after the last."""
        return number + 1 == self.steps or (every > 0 and (number + 1) % every == 0)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        return float(np.asarray(self._rates()(step)))

    def optimizer(self) -> optax.GradientTransformation:
        """AdamW with clipping and this schedule."""
        first, second = self.betas
        adam = optax.adamw(self._rates(), first, second, weight_decay=self.weight_decay)
        return optax.chain(optax.clip_by_global_norm(self.clip), adam) if self.clip else adam

    def _rates(self) -> optax.Schedule:
        rising = round(self.warmup * self.steps)
        falling = max(1, self.steps - rising)
        after = {
            "cosine": lambda: optax.cosine_decay_schedule(self.rate, falling),
            "linear": lambda: optax.linear_schedule(self.rate, 0.0, falling),
            "constant": lambda: optax.constant_schedule(self.rate),
        }[self.decay]()
        if not rising:
            return after
        return optax.join_schedules([optax.linear_schedule(self.rate / rising, self.rate, rising - 1), after], [rising])
