"""The models by name, as users make them."""

from collections.abc import Mapping

from lleval_jax.bayes.models.irt import Irt
from lleval_jax.bayes.models.prompts import Prompts
from lleval_jax.curves import Curve, Model, curve_of
from lleval_jax.errors import require


def irt(
    curve: Model | Curve = "2pl", *, dims: int = 1, families: Mapping[str, str] | None = None, groups: bool = False
) -> Irt:
    """An item response model of `Responses`.

    Args:
        curve: "rasch", "2pl", "3pl", "4pl" or a `Curve`.
        dims: abilities; with several the loadings are identified by triangular anchors.
        families: model -> its family: abilities of a family are alike, by a share that is learned.
        groups: items of a group of `Responses.groups` are alike, and a model's logits differ from group to group by
            an amount that is learned. Scores by group then borrow from each other.

    Raises:
        BadInput: an unknown curve, or one that does not go with so many dimensions.
    """
    found = curve_of(curve, dims)
    require(dims == 1 or (found.logistic and not found.shared_slope), "rasch, 3pl and 4pl have one dimension")
    return Irt(found, tuple((families or {}).items()), groups)


def rasch(*, families: Mapping[str, str] | None = None, groups: bool = False) -> Irt:
    """The Rasch model: one slope for all items; else as `irt`."""
    return irt("rasch", families=families, groups=groups)


def prompts() -> Prompts:
    """The model of a grid of prompts by examples, as of `prompts.fit`: scores of prompts, and their quantiles.

    Features, and several models in one grid, are not part of it.
    """
    return Prompts()
