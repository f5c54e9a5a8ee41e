"""What `lleval estimate` is asked of the answers, however it finds it."""

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lleval_jax.report import truth as scores


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is asked of the answers, with a bank or without."""

    level: float
    by: str | None
    groups: bool
    leaderboard: bool
    compare: tuple[str, str] | None
    truth: "scores.Known | None"
    seed: int
