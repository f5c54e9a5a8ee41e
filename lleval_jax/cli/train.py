"""`lleval train`: align a language model with preferences, or teach it answers, as a recipe says."""

import dataclasses
import functools
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, Run, verb

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.training.cost.cost import Cost
    from lleval_jax.training.run.loop import Trained
    from lleval_jax.training.run.recipe import Recipe
    from lleval_jax.values.preferences import Preferences
    from lleval_jax.values.results import Estimate

TRAINED, COST = "lleval/trained/1", "lleval/cost/1"
ADAPTER, MODEL = "adapter", "model"  # folders within that of the run

Recipes = Annotated[
    pathlib.Path, typer.Argument(metavar="RECIPE", help="A TOML file: model, data, adapter, loss, schedule, mesh.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what it would take: parameters, memory, operations, time.")
]
Tensorboard = Annotated[
    bool, typer.Option("--tensorboard", help="Write metrics for TensorBoard too; needs the extra 'tensorboard'.")
]


def train(
    recipe: Recipes,
    dry_run: DryRun = False,
    tensorboard: Tensorboard = False,
    plot: options.Plot = None,
    level: options.Level = 0.95,
    json: options.Json = None,
) -> None:
    """Align a language model with preferences (AOT, DPO, IPO, KTO) or teach it answers (SFT), by an adapter or whole.

    The run's folder holds metrics, checkpoints and, at the end, the adapter as PEFT writes it (or the model). Run it
    again to go on where it was stopped. What it has learned is measured on held-out answers.

    Examples, with a recipe that comes with the package:

      lleval train demo:aot --dry-run
      lleval train demo:aot --plot rewards.png
      lleval train demo:sft
    """
    with verb("reading the recipe", Outputs(json=json, plot=plot)) as run:
        from lleval_jax.training.run import recipe as recipes  # not needed for --help

        wanted = recipes.read(recipe)
        model, learned, held_out = _read(wanted, run)
        if dry_run:
            cost = _cost(wanted, model, learned, run)
            run.show([_costs(cost, wanted)], {"schema": COST, **_facts(cost)})
            return
        wanted = dataclasses.replace(wanted, tensorboard=wanted.tensorboard or tensorboard)
        trained = _trained(wanted, model, learned, held_out, run)
        place = _keep(wanted, trained, run)
        estimate = None if trained.held_out is None else _outcome(wanted, trained, held_out, level)
        run.draw(lambda path: _drawn(trained, path))
        tables = [_summary(wanted, trained, place)]
        tables += [] if estimate is None else [_measures(estimate)]
        run.show(tables, _content(trained, place, estimate))


def _read(wanted: "Recipe", run: Run) -> "tuple[Any, Preferences, Preferences | None]":
    from lleval_jax import lm
    from lleval_jax.data.preferences import read_preferences

    run.say("reading preferences")
    read = functools.partial(read_preferences, columns=wanted.columns, unfit=wanted.unfit)
    learned, held_out = wanted.parts(read(wanted.data))
    if isinstance(wanted.held_out, str):
        held_out = read(wanted.held_out)
    run.say("loading the model")
    on = None if wanted.mesh is None else wanted.mesh.mesh()
    model = lm.load(wanted.model, mesh=on, dtype=wanted.kept_as, compute=wanted.dtype, tell=run.tell)
    return model, learned, held_out


def _trained(
    wanted: "Recipe", model: Any, learned: "Preferences", held_out: "Preferences | None", run: Run
) -> "Trained":
    from lleval_jax import training

    run.say("training; compiling first")
    return training.fit(
        model,
        learned,
        loss=wanted.loss,
        lora=wanted.adapter,
        schedule=wanted.schedule,
        held_out=held_out,
        longest=wanted.longest,
        long=wanted.long,
        out=wanted.out,
        tensorboard=wanted.tensorboard,
        tell=run.tell,
    )


def _cost(wanted: "Recipe", model: Any, learned: "Preferences", run: Run) -> "Cost":
    from lleval_jax import training

    words: dict[str, Any] = {"longest": wanted.longest, "long": wanted.long, "schedule": wanted.schedule}
    return training.cost(model, learned, loss=wanted.loss, lora=wanted.adapter, tell=run.tell, **words)


def _keep(wanted: "Recipe", trained: "Trained", run: Run) -> pathlib.Path:
    """Write what was learned: the adapter, or the whole model; what is there is of an earlier end of the same run."""
    import shutil

    from lleval_jax import lm
    from lleval_jax.training.low_rank import adapter_files

    run.say("writing")
    place = pathlib.Path(wanted.out) / (MODEL if trained.lora is None else ADAPTER)
    shutil.rmtree(place, ignore_errors=True)
    if trained.lora is None:
        lm.save(trained.model, place)
    else:
        adapter_files.save_peft(trained.model.decoder, trained.lora, place, base=wanted.model)
    return place


def _outcome(wanted: "Recipe", trained: "Trained", held_out: "Preferences | None", level: float) -> "Estimate":
    from lleval_jax import training

    policy, before = trained.held_out  # type: ignore[misc]
    words: dict[str, Any] = {"level": level, "seed": wanted.schedule.seed, "name": type(wanted.loss).__name__}
    if isinstance(wanted.loss, training.SFT):
        lengths: Any = trained.lengths
        return training.likelihood(policy.chosen, before.chosen, lengths.chosen, **words)
    return training.outcome(policy, before, paired=held_out is not None and held_out.paired, **words)


def _measures(estimate: "Estimate") -> "Table":
    table = ll.report.alignment.likelihoods if "perplexity" in estimate.group else ll.report.alignment.measures
    return table(estimate)


def _drawn(trained: "Trained", path: str) -> None:
    """The rewards on held-out answers; of a run that has none, how its loss fell."""
    pairs = zip(*trained.held_out, strict=True) if trained.held_out else ()
    rewards: list[Any] = [now - before for now, before in pairs]
    if rewards and len(rewards[1]):
        ll.report.alignment.quantiles(rewards[0], rewards[1], path)
    else:
        ll.report.alignment.course(trained.history, path)


def _summary(wanted: "Recipe", trained: "Trained", place: pathlib.Path) -> "Table":
    from lleval_jax.training.run import pace

    first, last = trained.history[0], trained.history[-1]
    seconds, tokens = (sum(record[key] for record in trained.history) for key in ("seconds", "tokens"))
    median = pace.typical(trained.history)
    share = f"{median['mfu']:.1%} of {trained.peak.flops:.2e} a second" if "mfu" in median else "-"
    lines = (
        ("steps", f"{len(trained.history)}"),
        ("loss", f"{first['loss']:.4f} -> {last['loss']:.4f}"),
        ("too long", _long(trained.dropped, trained.cut) or "none"),
        ("tokens", f"{tokens:,.0f}"),
        ("seconds", f"{seconds:,.0f}"),
        ("tokens a second, median", f"{median['tokens_per_second']:,.0f}"),
        ("MFU, median", share),
    )
    stopped = (f"stopped early; the best step was {trained.best}",) if trained.ended == "patience" else ()
    title = f"{type(wanted.loss).__name__} on {wanted.model}"
    peak = f"MFU: operations that the steps need, of the peak ({trained.peak.how})"
    return ll.report.text.Table(title, ("", ""), lines, (*stopped, peak, f"kept in {place}"))


def _long(dropped: int, cut: int) -> str:
    """How many rows were too long, and what became of them."""
    words = (f"{dropped:,} dropped" if dropped else "", f"{cut:,} cut" if cut else "")
    return ", ".join(filter(None, words))


def _costs(cost: "Cost", wanted: "Recipe") -> "Table":
    mega, left = 1e6, _long(cost.dropped, cost.cut)
    lines = (
        ("parameters that learn", f"{cost.learned:,}"),
        ("parameters that do not", f"{cost.frozen:,}"),
        ("answers", f"{cost.rows:,}" + (f" ({left}: too long)" if left else "")),
        ("tokens in all steps", f"{cost.tokens:,}"),
        ("operations", f"{cost.flops:.2e}"),
        ("memory a device: weights", f"{cost.weights / mega:,.0f} MB"),
        ("memory a device: optimiser", f"{cost.state / mega:,.0f} MB"),
        ("memory a device: program", f"{cost.program / mega:,.0f} MB"),
        ("time", f"{cost.seconds:,.0f} s, and {cost.compiling:,.0f} s of compiling"),
    )
    return ll.report.text.Table(f"what {wanted.schedule.steps} steps take", ("", ""), lines)


def _facts(cost: "Cost") -> dict[str, Any]:
    return dataclasses.asdict(cost) | {"memory": cost.memory}


def _content(trained: "Trained", place: pathlib.Path, estimate: "Estimate | None") -> dict[str, Any]:
    found = {"ended": trained.ended, "best": trained.best, "kept": str(place), "history": list(trained.history)}
    found |= {"peak": trained.peak._asdict()}
    measured = {} if estimate is None else {"held_out": estimate.to_dict()["estimates"], "level": estimate.level}
    return {"schema": TRAINED, **found, **measured}
