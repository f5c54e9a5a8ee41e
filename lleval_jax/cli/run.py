"""`lleval run`: many estimates and fits as a study, by any number of processes, stopped and gone on with at will."""

import pathlib
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.studies.study import Study

STUDY, COST, WARMUP = "lleval/study-run/1", "lleval/study-cost/1", "lleval/study-warmup/1"
SHOWN = 10  # reasons of failures
File = Annotated[str, typer.Argument(metavar="STUDY", help="A TOML file: out, chunk, seed, tables of tasks.")]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Which worker of several this is: 0/8 does each eighth chunk and no others; auto: as Slurm, Kubernetes, a "
        "TPU pod or GNU parallel says, and afterwards what others have left.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes of this machine that share the work.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would take: a task of each table is tried.")]
Warmup = Annotated[
    bool,
    typer.Option("--warmup", help="Only compile: a task of each shape is done, and programs are left for all workers."),
]
Out = Annotated[
    pathlib.Path | None, typer.Option("--out", metavar="FILE", help="Write all that was found there (parquet, csv).")
]


def run(
    study: File,
    shard: Shard = None,
    workers: Workers = 1,
    dry_run: DryRun = False,
    warmup: Warmup = False,
    out: Out = None,
    json: options.Json = None,
) -> None:
    """Do many estimates and fits as one study: a table of verbs, inputs and settings, in chunks that survive a stop.

    Run it again to go on where it was stopped, or on more machines at the same time: workers need nothing but the
    folder. What fails is listed with its reason, and holds nothing else up.

    Examples, with a study that comes with the package:

      lleval run demo:study --dry-run
      lleval run demo:study --out found.parquet
      lleval run demo:study --shard auto
    """
    with verb("reading the study", Outputs(json=json, file=out)) as at_work:
        from lleval_jax import writing  # not needed for --help
        from lleval_jax.scale.shards import shard as named
        from lleval_jax.studies import runs
        from lleval_jax.studies.study import read_study

        require(workers == 1 or shard is None, "name --workers, of this machine, or --shard, one of many")
        require(out is None or out.suffix in runs.WRITERS, f"{out} must end with {' or '.join(runs.WRITERS)}")
        alone = not (dry_run or shard or out or workers > 1)
        require(not warmup or alone, "--warmup does no chunk; leave out --dry-run, --shard, --workers and --out")
        asked = read_study(study)
        if dry_run or warmup:
            (_tried if dry_run else _warmed)(asked, at_work)
            return
        words: dict[str, Any] = {"shard": named(shard), "tell": at_work.tell, "stop": _asked_to_stop()}
        at_work.say("working")
        if workers > 1:
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                receipts = runs.work(study, executor=pool, workers=workers, **words)
        else:
            receipts = runs.work(asked, **words)
        if out is not None:
            at_work.say("writing")
            with writing.replacing(out) as part:
                runs.write(asked, receipts, part)
        about = runs.summary(asked, receipts)
        tables = [_summary(asked, about)]
        failed = runs.reasons(asked, receipts)
        tables += [_reasons(failed)] if failed else []
        at_work.show(tables, {"schema": STUDY, "out": asked.out, **about, "reasons": failed})


def _asked_to_stop() -> "Callable[[], bool]":
    """Whether SIGTERM has come: schedulers send it before they take a machine away. The chunk at work is finished."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    return lambda: bool(asked)


def _tried(asked: "Study", at_work: Run) -> None:
    from lleval_jax.studies import probe

    at_work.say("trying a task of each table")
    costs, memory = probe.probed(asked, tell=at_work.tell)
    seconds = sum(each.first + each.seconds * (each.tasks - 1) for each in costs)
    lines = [(each.verb, f"{each.tasks:,}", f"{each.first:z.2f}", f"{each.seconds:z.3f}") for each in costs]
    notes = (
        f"{len(asked):,} tasks in {asked.chunks:,} chunks, by one process {seconds / 60:,.1f} minutes at most and "
        f"{memory / 1e9:z.1f} GB. Tasks of a chunk that read the same input go together, and take less.",
    )
    table = ll.report.text.Table("what it would take", ("verb", "tasks", "first, s", "each, s"), tuple(lines), notes)
    content = {"schema": COST, "tasks": len(asked), "chunks": asked.chunks, "seconds": seconds, "bytes": memory}
    at_work.show([table], content | {"tables": [each._asdict() for each in costs]})


def _warmed(asked: "Study", at_work: Run) -> None:
    from lleval_jax.studies import warmup

    at_work.say("compiling")
    found = warmup.warmed(asked, tell=at_work.tell)
    lines = [
        ("programs", f"{found.programs:,}, of which {found.there:,} were there"),
        ("compiling", f"{found.compiling:z.1f} s"),
        ("in all", f"{found.seconds:z.1f} s"),
        ("shapes of tasks", f"{found.shapes:,}"),
    ]
    notes = (f"{found.failed:,} of these tasks failed, as they will in the study",) if found.failed else ()
    table = ll.report.text.Table(f"compiled into {found.place}", ("", ""), tuple(lines), notes)
    at_work.show([table], {"schema": WARMUP, **found._asdict()})


def _summary(asked: "Study", about: "dict[str, Any]") -> "Table":
    lines = [
        ("tasks", f"{about['tasks']:,} in {about['chunks']:,} chunks"),
        ("chunks done", f"{about['done']:,}"),
        ("rows found", f"{about['rows']:,}"),
        ("tasks that failed", f"{about['failed']:,}"),
    ]
    left = about["chunks"] - about["done"]
    notes = (f"{left:,} chunks are left: run it again to go on.",) if left else ()
    return ll.report.text.Table(f"study in {asked.out}", ("", ""), tuple(lines), notes)


def _reasons(failed: dict[str, int]) -> "Table":
    lines = tuple((f"{count:,}", reason) for reason, count in list(failed.items())[:SHOWN])
    more = len(failed) - SHOWN
    notes = (f"and {more:,} reasons more; see the column `failed`",) if more > 0 else ()
    return ll.report.text.Table("tasks that failed", ("tasks", "why"), lines, notes)
