"""The unit of a study."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lleval_jax.studies.parts import Part


class Task(NamedTuple):
    """One fit or estimate.

    number    within the study
    verb      what it does
    part      what it reads
    settings  of the verb
    chosen    those of them that the grid varies
    seed      of all that is drawn
    """

    number: int
    verb: str
    part: Part
    settings: Mapping[str, Any]
    chosen: Mapping[str, Any]
    seed: int
