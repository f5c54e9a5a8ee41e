"""`lleval refresh check`: do rows mean the same models in all versions, and does a family gain on one?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.check import families
from lleval_jax.cli.refresh import words
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.values.findings import RowCheck, Suspicion

ROWS = 3  # models without which a version cannot be compared with others
FAMILIES = 5  # families without which nobody is suspected

Side = Annotated[Literal["higher", "both"], typer.Option(help="Gains, or losses as well.")]
Per = Annotated[Literal["version", "domain"], typer.Option(help="Compare versions, or domains of versions.")]


def check(
    inputs: words.Versions,
    family: words.Family = None,
    alarm: options.Alarm = 0.05,
    side: Side = "higher",
    per: Per = "version",
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    json: options.Json = None,
) -> None:
    """Do rows mean the same models in all versions, and does a family gain on one beyond what honest drift explains?

    Versions need not share items. Rows that were exchanged, that fit no earlier one, that are constant over a stretch
    of items, or that hold the same answers are named.

    Examples, the first with answers that come with the package:

      lleval refresh check bank:livexiv-vqa/v1 bank:livexiv-vqa/v2 bank:livexiv-vqa/v3
      lleval refresh check old.parquet v1.parquet --family families.csv --per domain --json -
    """
    with verb("reading answers", Outputs(json=json), strict=strict) as run:
        versions = words.read(inputs, reading, run)
        run.say("comparing the versions")
        found, names = checked(versions, alarm)
        suspicion = suspected(versions, family, required=family is not None, alarm=alarm, side=side, by=per)
        content: dict[str, Any] = {"schema": "lleval/refresh-check/1", "versions": list(versions)}
        content["check"] = ll.report.refresh.check_content(found, names)
        content["suspects"] = None if suspicion is None else suspicion.to_dict()
        content["source"] = typed.stamped(_source(versions), 0).to_dict()
        left_out = [name for name in versions if name not in names]
        run.fails(len(found) or (suspicion is not None and suspicion.flagged))
        run.show([ll.report.refresh.check(found, names, left_out, ROWS), _suspects(suspicion)], content)


def _source(versions: "Mapping[str, ll.Responses]") -> "ll.Source":
    source = ll.Source()
    for answers in versions.values():
        source = source.merge(answers.source)
    return source


def _suspects(found: "Suspicion | None") -> "Table":
    """The families, or why there is nothing to say of them."""
    if found is not None:
        return ll.report.refresh.suspects(found)
    text = f"families were not compared: no version has {FAMILIES} of them that are on another version too"
    return ll.report.text.Table(text, (), ())


def checked(versions: "Mapping[str, ll.Responses]", alarm: float = 0.05) -> "tuple[RowCheck, list[str]]":
    """What is found of the rows of versions that have enough of them, and the names of these versions."""
    names = [name for name, answers in versions.items() if len(answers.rows) >= ROWS]
    message = f"no version has {ROWS} models or more; it takes so many to compare them"
    require(bool(names), message)
    return ll.refresh.check([versions[name] for name in names], alarm=alarm), names


def suspected(
    versions: "Mapping[str, ll.Responses]", family: str | None, *, required: bool, **how: Any
) -> "Suspicion | None":
    """Families with a gain, on the versions that have enough of them; None where none has."""
    member = _families(family, tuple(words.models(versions)))
    on = _comparable(versions, member)
    message = f"no version has {FAMILIES} families that are on another version too; fewer cannot tell drift from gain"
    require(bool(on) or not required, message)
    return (
        ll.refresh.suspects(list(versions.values()), families=member, on=on, names=list(versions), **how)
        if on
        else None
    )


def _families(family: str | None, models: tuple[str, ...]) -> dict[str, str] | None:
    """Model -> family, all of them; None where each model is a family of its own."""
    member = families(family or "name", models)
    if member is None:
        return None
    member = {model: model for model in models} | member if family in (None, "name") else member
    without = [model for model in models if model not in member]
    require(not without, f"{family} has no family of {len(without)} models, such as {without and without[0]!r}")
    return member


def _comparable(versions: "Mapping[str, ll.Responses]", member: Mapping[str, str] | None) -> list[int]:
    """Positions of the versions with enough families that are on another version too."""
    ran = [{row for row, n in zip(v.rows, v.n_seen, strict=True) if n} for v in versions.values()]
    on = []
    for t, here in enumerate(ran):
        elsewhere = set().union(*(other for u, other in enumerate(ran) if u != t))
        if len({row if member is None else member[row] for row in here & elsewhere}) >= FAMILIES:
            on.append(t)
    return on
