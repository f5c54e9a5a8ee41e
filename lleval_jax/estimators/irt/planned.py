"""A fit as a `Plan` says: its answers over a mesh, its state where it is to be kept."""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import jax
import numpy as np

from lleval_jax.errors import require
from lleval_jax.estimators.irt.order import ordered
from lleval_jax.layout import irt as layout
from lleval_jax.layout import spread
from lleval_jax.scale.kept import Kept, require_alike
from lleval_jax.scale.plan import Plan
from lleval_jax.scale.store import store_at
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses


def laid_out(responses: Any, precision: str, plan: Plan) -> layout.Layout:
    """The answers on the device, or over the mesh; rows and items in the order of their names either way."""
    if plan.mesh is None:
        return layout.arrange(ordered(responses), precision)
    return spread.arrange(responses, precision, plan.mesh)


def kept(responses: Any, settings: Mapping[str, Any], plan: Plan) -> Kept | None:
    """Where the fit's state is kept, if anywhere.

    Raises:
        BadInput: another fit is kept there, or processes have different answers or settings; what differs is named.
    """
    if plan.out is None and jax.process_count() == 1:
        return None
    asked = json.loads(json.dumps(settings, default=str))
    facts = {"version": metadata.version("lleval-jax"), "settings": asked, "answers": _fingerprint(responses)}
    require_alike(json.dumps(facts).encode())
    return None if plan.out is None else Kept(store_at(plan.out), facts, plan.every)


def require_one_fit(plan: Plan, engine: str) -> None:
    """`BadInput` for a plan that one fit by this engine cannot follow."""
    require(plan.chunk is None, "chunk is of many fits; one fit takes mesh and out", python="Use fit_many.")
    spread_out = plan.mesh is None or engine == "marginal"
    require(spread_out, f"the {engine} engine runs on one device", python="Or pass by='marginal', or no plan.mesh.")


def _fingerprint(responses: Any) -> str:
    """Hash of answers and names, in the order in which they were given."""
    digest = hashlib.sha256()
    for part in [responses] if isinstance(responses, Responses | SparseResponses) else responses:
        where = ("row", "item") if isinstance(part, SparseResponses) else ("seen",)
        digest.update(json.dumps([part.rows, part.items]).encode())
        for name in (*where, "scores", "weight"):
            digest.update(np.ascontiguousarray(getattr(part, name)).data.cast("B"))
    return digest.hexdigest()
