"""The few ways a call can be wrong, each with its own name."""


class LlevalError(Exception):
    """Base of every error raised on purpose by lleval_jax."""


class BadInput(LlevalError, ValueError):
    """The data handed in cannot be what the caller meant."""


class BankMismatch(BadInput):
    """The answers and the item bank do not belong together."""


class NotConverged(LlevalError, RuntimeError):
    """A solver stopped before its tolerance was met."""


class RunFailed(LlevalError, RuntimeError):
    """Another program that was started did not do its work."""


class DataWarning(UserWarning):
    """Something in the data was counted and set aside; `strict=True` makes it a `BadInput`."""


def require(condition: bool, message: str) -> None:
    """Raise `BadInput(message)` unless `condition` holds."""
    if not condition:
        raise BadInput(message)
