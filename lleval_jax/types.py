"""Names for numbers that every layer shares: array aliases and how a solve ended."""

import enum

import jax

Array = jax.Array

try:  # shapes in signatures speak to readers, and tests check them; running needs no jaxtyping
    from jaxtyping import Bool as Bool
    from jaxtyping import Float as Float
    from jaxtyping import Int as Int
except ModuleNotFoundError:

    class _Shaped:
        def __class_getitem__(cls, key: object) -> type[Array]:
            return Array

    Bool = Float = Int = _Shaped  # type: ignore[assignment,misc]


class Status(enum.IntEnum):
    """How a solve ended. An int on the device, a name on the host."""

    RUNNING = 0
    CONVERGED = 1
    MAX_STEPS = 2
    NOT_FINITE = 3

    @property
    def word(self) -> str:
        """The word that tables and JSON show."""
        return {0: "running", 1: "ok", 2: "not converged", 3: "not finite"}[int(self)]
