"""`lleval models`: which language models can be had by name, where one is, fetching it; and an adapter put into one."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.commands import Group
from lleval_jax.cli.shell.verb import Outputs, verb

if TYPE_CHECKING:
    from lleval_jax.lm.registry import Packaged

SCHEMA = "lleval/models/1"
models = typer.Typer(
    cls=Group, rich_markup_mode=None, help="Language models by name: list, show, fetch; merge an adapter."
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model.", show_default=False)]


def list_(json: options.Json = None) -> None:
    """The language models that can be had by name, and which are on this machine.

    Example: lleval models list
    """
    from lleval_jax.lm import registry  # not needed for --help

    with verb("looking for models", Outputs(json=json), computes=False) as run:
        found = [_facts(model) for model in registry.MODELS.values()]
        head = ("name", "what", "licence", "MB", "here")
        lines = tuple(
            (each["name"], each["what"], each["licence"], f"{each['size'] / 1e6:.0f}", "yes" if each["path"] else "no")
            for each in found
        )
        table = ll.report.text.Table("models", head, lines, ("fetch one with 'lleval models fetch NAME'",), left=3)
        run.show([table], {"schema": SCHEMA, "models": found})


def show(name: Name, json: options.Json = None) -> None:
    """What a model is, what it may be used for, and where it is.

    Example: lleval models show smollm2
    """
    from lleval_jax.errors import chosen
    from lleval_jax.lm import registry  # not needed for --help

    with verb("looking for the model", Outputs(json=json), computes=False) as run:
        facts = _facts(chosen(registry.MODELS, name, "model"))
        run.show([_table(facts)], {"schema": SCHEMA, "models": [facts]})


def fetch(
    name: Name,
    accept: Annotated[
        str, typer.Option("--accept", metavar="TERMS", help="The terms you agree to, where a licence is no open one.")
    ] = "",
    json: options.Json = None,
) -> None:
    """Bring a model to this machine, with pip or uv, and check that it is the one that is known.

    It is kept in the folder that LLEVAL_MODELS names, else in the cache. What is there already is checked only.

    Example: lleval models fetch smollm2
    """
    from lleval_jax.lm import registry  # not needed for --help

    with verb(f"fetching {name}", Outputs(json=json), computes=False) as run:
        registry.fetch(name, accept=accept, tell=run.tell)
        facts = _facts(registry.MODELS[name])
        run.show([_table(facts)], {"schema": SCHEMA, "models": [facts]})


def merge(
    adapter: Annotated[
        pathlib.Path,
        typer.Argument(metavar="ADAPTER", help="Its folder, of 'lleval train' or of PEFT.", show_default=False),
    ],
    out: Annotated[
        pathlib.Path,
        typer.Option("--out", metavar="FOLDER", help="Write the model there, as Hugging Face publishes one."),
    ],
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="MODEL", help="What it adapts: a folder, a file or a name; else as the adapter says."
        ),
    ] = None,
    dtype: options.Dtype = "float32",
    json: options.Json = None,
) -> None:
    """Write a model with what an adapter has learned: one that every verb takes as --model, and transformers opens.

    Example: lleval models merge runs/demo-aot/adapter --out aligned
    """
    with verb("loading the model", Outputs(json=json), computes=False) as run:
        from lleval_jax import lm, training  # not needed for --help

        model = training.adapted(adapter, base, dtype=dtype, tell=run.tell)
        run.say("writing")
        facts = {"name": model.name, "adapter": str(adapter), "path": str(lm.save(model, out, tell=run.tell))}
        facts |= {"licence": model.source.licence}
        table = ll.report.text.Table(
            f"model {out}", ("what", "found"), tuple((k, v) for k, v in facts.items() if v), left=2
        )
        run.show([table], {"schema": SCHEMA, "models": [facts]})


options.add(models, list_, "list", no_args_is_help=False)
options.add(models, show)
options.add(models, fetch)
options.add(models, merge)


def _facts(model: "Packaged") -> dict[str, Any]:
    from lleval_jax.lm import registry

    path = registry.find(model.name)
    return {
        "name": model.name,
        "what": model.what,
        "licence": model.licence,
        "packages": list(model.packages),
        "file": model.file,
        "size": model.size,
        "sha256": model.sha256,
        "accept": model.terms,
        "path": None if path is None else str(path),
    }


def _table(facts: dict[str, Any]) -> "ll.report.text.Table":
    """The facts, one a line."""
    accept = f" --accept {facts['accept']}" if facts["accept"] else ""
    shown = facts | {
        "packages": ", ".join(facts["packages"]) or "ships with lleval_jax",
        "size": f"{facts['size']:,} bytes",
        "path": facts["path"] or f"not on this machine; fetch it with 'lleval models fetch {facts['name']}{accept}'",
    }
    lines = tuple((key, value) for key, value in shown.items() if value and key != "name")
    return ll.report.text.Table(f"model {facts['name']!r}", ("what", "found"), lines, left=2)
