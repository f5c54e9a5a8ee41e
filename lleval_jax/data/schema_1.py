"""Folders that lleval_jax 0.1.0 wrote, `lleval/fit/1` and `lleval/bank/1`, put into today's form."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lleval_jax.errors import BadInput
from lleval_jax.values.params import coded

SCHEMAS = {"fit": "lleval/fit/1", "bank": "lleval/bank/1"}
ARRAY = {"array": True}
RENAMED = {"Kriging": "Learned"}
REFERENCE = "prompteval as published"  # like the law by "pca", it reached a likelihood
WIDTHS = ("weighted", "pirt", "head")  # methods whose widths were fields of `Misfit`

Facts = dict[str, Any]
Arrays = dict[str, np.ndarray]


class Form(NamedTuple):
    """What a method's fit had besides its params.

    axes   today's names of `rows`, `items` and `groups`; "" where it held no groups of its own
    unit   of `loglik`
    moved  arrays besides the params -> their field there today
    names  lists of names in the settings that are axes today
    coded  lists of each row's name in the settings -> (axis, field of params) today
    named  fields of params -> their names today
    """

    axes: tuple[str, str, str]
    unit: str = "log likelihood"
    moved: Mapping[str, str] = {}
    names: tuple[str, ...] = ()
    coded: Mapping[str, tuple[str, str]] = {}
    named: Mapping[str, str] = {}


FORMS = {
    "IrtParams": Form(
        ("models", "items", "groups"),
        moved={"covariance": "covariance", "group": "group", "n_seen": "n_seen"},
    ),
    "PromptParams": Form(
        ("prompts", "examples", ""),
        "log evidence",
        moved={"covariance": "example_var"},
        names=("kinds", "features"),
        coded={"models": ("models", "model"), "prompts": ("templates", "prompt")},
    ),
    "SlothParams": Form(
        ("models", "benchmarks", ""),
        "log evidence",
        coded={"families": ("families", "family"), "lineages": ("lineages", "lineage")},
    ),
    "SlothPaperParams": Form(("models", "benchmarks", ""), "log evidence", coded={"families": ("families", "family")}),
    "DownstreamParams": Form(("models", "scores", ""), "log evidence", names=("families", "lineages")),
    "PasskParams": Form(("models", "questions", ""), moved={"n_seen": "tried"}, named={"beside": "residual"}),
    "RefreshParams": Form(("models", "cells", "domains"), "log evidence", names=("versions",)),
    "RefreshPaperParams": Form(("models", "items", "domains"), moved={"group": "domain", "covariance": "beta_var"}),
    "PeprParams": Form(("texts", "elements", ""), moved={"covariance": "covariance", "n_seen": "fitted"}),
}
VECTORS = ("example_var", "beta_var")  # were blocks of one number, (n, 1, 1)


def fit(facts: Facts, arrays: Arrays) -> tuple[Facts, Arrays]:
    """A fit in today's form."""
    cls = facts["params"]["class"]
    if cls not in FORMS:
        raise BadInput(f"it holds a {cls!r}, which this version of lleval_jax does not know")
    inside = {name: each for name, each in arrays.items() if name.startswith("params.")}
    outside = {name: each for name, each in arrays.items() if name not in inside}
    return _fit(facts, facts["params"], outside, inside, "")


def _fit(facts: Facts, params: Facts, outside: Arrays, inside: Arrays, prefix: str) -> tuple[Facts, Arrays]:
    """A fit whose params were stored as `params` and `inside`, under today's names after `prefix`."""
    form, settings = FORMS[params["class"]], dict(facts["settings"])
    stored = {f"{prefix}{name}": each for name, each in inside.items()}
    made = _params(params, "params", inside)
    for old, name in form.named.items():
        made[name], stored[f"{prefix}params.{name}"] = made.pop(old), stored.pop(f"{prefix}params.{old}")
    axes = {axis: facts[old] for axis, old in zip(form.axes, ("rows", "items", "groups"), strict=True) if axis}
    for name in form.names:
        axes[name] = settings.pop(name)
    for name, (axis, field) in form.coded.items():
        each = settings.pop(name, None)
        if each is not None:
            code, axes[axis] = coded(each)
            made[field], stored[f"{prefix}params.{field}"] = ARRAY, code
    for name, field in form.moved.items():
        found = outside[name]
        made[field], stored[f"{prefix}params.{field}"] = ARRAY, found.ravel() if field in VECTORS else found
    settings.pop("axes", None)
    if "law" in settings:
        made["law"], more = _law(settings.pop("law"), params["inside"]["law"], facts["source"], inside, prefix)
        stored = {name: each for name, each in stored.items() if not name.startswith(f"{prefix}params.law.")} | more
    own = MORE.get(params["class"])
    if own is not None:
        own(made, axes, settings, stored)
    ended = {"class": "Ended", "status": facts["status"], "steps": facts["steps"], "value": facts["loglik"]}
    plain = facts["method"] == REFERENCE or settings.get("inputs") == "pca"
    ended |= {"unit": "log likelihood" if plain else form.unit, "error": "nan"}
    whole = {"class": "FitResult", "params": made, "axes": axes, "ended": ended}
    return whole | {"method": facts["method"], "settings": settings, "source": facts["source"]}, stored


def _params(fact: Facts, name: str, arrays: Arrays) -> Facts:
    """A NamedTuple of arrays, and those inside it."""
    inside = fact.get("inside", {})
    found: Facts = {"class": RENAMED.get(fact["class"], fact["class"])}
    for field in fact["fields"]:
        if field in inside:
            found[field] = _params(inside[field], f"{name}.{field}", arrays)
        else:
            found[field] = ARRAY if f"{name}.{field}" in arrays else None
    return found


def _law(law: Facts, params: Facts, source: Facts, inside: Arrays, prefix: str) -> tuple[Facts, Arrays]:
    """The law that another fit rests on: its arrays were among the params, the rest among the settings."""
    here = "params.law."
    own = {f"params.{name.removeprefix(here)}": each for name, each in inside.items() if name.startswith(here)}
    facts = law | {"rows": law["models"], "items": law["benchmarks"], "source": source}
    return _fit(facts, params, {}, own, f"{prefix}{here}")


def _paper_versions(made: Facts, axes: Facts, settings: Facts, arrays: Arrays) -> None:
    """Versions were counted, not named."""
    axes["versions"] = [f"v{i + 1}" for i in range(settings.pop("versions"))]


def _alarm(made: Facts, axes: Facts, settings: Facts, arrays: Arrays) -> None:
    """What no user asked for stood among the settings."""
    del settings["unit"]
    made["false_alarm"], arrays["params.false_alarm"] = ARRAY, np.array(settings.pop("false_alarm"))


MORE: dict[str, Callable[[Facts, Facts, Facts, Arrays], None]] = {
    "RefreshPaperParams": _paper_versions,
    "PeprParams": _alarm,
}


def bank(facts: Facts, arrays: Arrays) -> tuple[Facts, Arrays]:
    """A bank in today's form."""
    new: Facts = {"class": "ItemBank"} | facts
    stored = dict(arrays)
    for name in ("anchors", "calibration"):
        if facts.get(name) is not None:
            here = {array.split(".")[1]: ARRAY for array in arrays if array.startswith(f"{name}.")}
            new[name] = {"class": name.capitalize()} | facts[name] | here
    for name in ("learned", "misfit", "replayed"):
        if facts.get(name) is not None:
            new[name] = _params(facts[name], name, arrays)
    if new.get("misfit") is not None:
        for method in WIDTHS:
            del new["misfit"][method]
            stored[f"misfit.width.{method}"] = stored.pop(f"misfit.{method}")
        new["misfit"]["width"] = {"class": "mapping"} | dict.fromkeys(WIDTHS, ARRAY)
    return new | {name: ARRAY for name in arrays if "." not in name}, stored


TRANSLATED: dict[str, Callable[[Facts, Arrays], tuple[Facts, Arrays]]] = {"fit": fit, "bank": bank}
