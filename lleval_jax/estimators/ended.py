"""How a fit ended: the one place where a solver's status becomes an error, a warning, or nothing."""

import warnings

from lleval_jax.errors import NotConverged, outside
from lleval_jax.types import Status
from lleval_jax.values.results import Ended


def ended(
    what: str,
    status: Status,
    steps: int,
    *,
    advice: str,
    strict: bool,
    value: float,
    unit: str = "log likelihood",
    error: float = float("nan"),
    counted: str = "steps",
    lane: bool = False,
) -> Ended:
    """How a fit ended. Not finite always raises; not converged raises if `strict`, else warns and stays in the table.

    Args:
        what: was fitted, as the subject of a sentence: "the law".
        status: of the solver.
        steps: taken.
        advice: what helps a fit that did not converge.
        strict: raise `NotConverged` rather than warn.
        value: reached.
        unit: of the value.
        error: of the last step, in the solver's unit.
        counted: what steps are called, "sweeps" or "epochs".
        lane: one of many fits in one call, where one that is not finite must not cost the user the others: it warns.

    Raises:
        NotConverged: see above.
    """
    if status != Status.CONVERGED:
        message = f"{what} is {status.word} after {steps} {counted}; {advice}"
        if strict or (status == Status.NOT_FINITE and not lane):
            raise NotConverged(message)
        warnings.warn(message, RuntimeWarning, stacklevel=outside())
    return Ended(status.word, steps, value, unit, error)
