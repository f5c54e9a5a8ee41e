"""An IRT fit as a `Plan` says: its answers over a mesh."""

from typing import Any

from lleval_jax.errors import require
from lleval_jax.estimators.irt.order import ordered
from lleval_jax.layout import irt as layout
from lleval_jax.layout import spread
from lleval_jax.scale.plan import Plan


def laid_out(responses: Any, precision: str, plan: Plan) -> layout.Layout:
    """The answers on the device, or over the mesh; rows and items in the order of their names either way."""
    if plan.mesh is None:
        return layout.arrange(ordered(responses), precision)
    return spread.arrange(responses, precision, plan.mesh)


def require_one_fit(plan: Plan, engine: str) -> None:
    """`BadInput` for a plan that one fit by this engine cannot follow."""
    require(plan.chunk is None, "chunk is of many fits; one fit takes mesh and out", python="Use fit_many.")
    spread_out = plan.mesh is None or engine == "marginal"
    require(spread_out, f"the {engine} engine runs on one device", python="Or pass by='marginal', or no plan.mesh.")
