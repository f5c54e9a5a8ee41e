"""Tables of what eight devices hold and send each other."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import markdown

WHY = {  # (mesh, verb, kind in each layer) -> why
    ("data 8", "step"): "each device hears the new keys, values and their places of all rows, and keeps its own",
    ("fsdp 8", "score"): "the seven weights of a layer are gathered before they are used",
    ("fsdp 8", "step"): "the seven weights of a layer; new keys and values as for data",
    ("tensor 8", "score"): "two sums: after attention and after the MLP",
    ("tensor 8", "step"): "two sums: after attention and after the MLP",
    ("2 x 2 x 2", "score"): "seven weights gathered over fsdp, two sums over tensor",
    ("2 x 2 x 2", "step"): "seven weights gathered over fsdp, two sums over tensor; new keys and values",
}


def megabytes(count: float) -> str:
    """So many, at least three digits of it."""
    return f"{count / 1e6:,.0f}" if count >= 1e7 else f"{count / 1e6:.3g}"


def total(sent: dict) -> str:
    """Operations and megabytes of all kinds."""
    words = (f"{each['count']} {kind}" for kind, each in sorted(sent.items()))
    return f"{', '.join(words)}: {megabytes(sum(each['bytes'] for each in sent.values()))} MB" if sent else "nothing"


def held() -> str:
    """What a device takes in."""
    found = read("lm", "sharding")["meshes"]
    rows = [
        [name, *(megabytes(verbs[verb]["bytes_in"]) for verb in ("score", "step"))] for name, verbs in found.items()
    ]
    return markdown(("mesh", "score: MB in", "step: MB in, cache too"), rows)


def sent() -> str:
    """What is sent, in a layer and in all."""
    rows = [
        (name, verb, total(one["in_each_layer"]), WHY.get((name, verb), ""), total(one["sent"]))
        for name, verbs in read("lm", "sharding")["meshes"].items()
        for verb, one in verbs.items()
    ]
    return markdown(("mesh", "program", "in each layer", "why", "in one run"), rows)


TABLES = {"held": held, "sent": sent}
