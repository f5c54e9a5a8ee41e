"""`lleval live retire`: which questions go, and what comes in for them, by the answers of models."""

import dataclasses
import pathlib
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.live import words
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.live.retire import Decision, Evidence
    from lleval_jax.live.run import Version
    from lleval_jax.report.text import Table

RETIRED = "lleval/live-retire/1"
FEWEST = 3  # models without which nothing is fitted
SHOWN = 12  # decisions on the page

Blind = Annotated[
    list[str] | None,
    typer.Option("--blind", metavar="INPUT", help="Answers of models that were not shown the pictures; repeatable."),
]
Archive = Annotated[
    bool, typer.Option("--archive", help="Also ask the archive which papers were withdrawn or changed their licence.")
]
Doubt = Annotated[float, typer.Option(min=0, max=1, help="Probability of a wrong key above which a question goes.")]
Floor = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the mean question's information below which one goes.")
]
Alarm = Annotated[
    float, typer.Option(min=0, max=1, help="Probability by guessing, of so many right blind answers, for one to go.")
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Only show what would go; nothing is written.")]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn at random.")]


def retire(
    folder: words.Folder,
    inputs: options.Inputs,
    blind: Blind = None,
    archive: Archive = False,
    doubt: Doubt = 0.5,
    floor: Floor = 0.1,
    alarm: Alarm = 0.01,
    dry_run: Dry = False,
    reading: options.Reading = options.AS_WRITTEN,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Retire questions by what models answered: wrong keys, what tells nothing any more, what is known blindly.

    INPUT are logs of an export of this run. Questions that passed all filters, and were left out because their paper
    had enough, come in until each domain tells as much as before. The next export follows; nothing is deleted.

    Examples:
      lleval live retire runs/2026-11 logs/ --dry-run
      lleval live retire runs/2026-11 logs/ --archive --json retired.json
    """
    with verb("reading the version", Outputs(json=json), seed=seed) as run:
        from lleval_jax.live import retire as retiring

        version = words.version(folder)
        evidence = _evidence(version, _examined(run.answers(inputs, reading), run))
        if blind:
            evidence = _with_blind(version, evidence, run.answers(blind, reading))
        if archive:
            run.say("asking the archive")
            evidence = _with_archive(version, evidence)
        found = retiring.decide(version, evidence, doubt=doubt, floor=floor, alarm=alarm)
        level = retiring.level(version, evidence, found)
        place = None if dry_run or all(each.verdict == "keep" for each in found) else retiring.keep(folder, found)
        run.show(_tables(version, found, level, place), _content(version, found, level, place))


def _examined(responses: Any, run: Run) -> "dict[str, tuple[float, float]]":
    """Item as logs name it -> (probability of a wrong key, information)."""
    guard = ll.estimable.check(responses, seed=run.seed, tell=run.tell)
    require(guard.models >= FEWEST, f"the answers are of {guard.models} models; {FEWEST} or more are needed")
    run.say(f"fitting {guard.safe} to {guard.models:,} models x {guard.items:,} items; compiling first")
    model: Any = guard.safe
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # near enough: doubts and information are wide
        fit = ll.irt.fit(responses, model=model, seed=run.seed, standard_errors=False, tell=run.tell)
        found = ll.itemfit.examine(fit, responses=responses, seed=run.seed, tell=run.tell).items
    told = ll.itemfit.information(fit)
    return {item: (found.wrong_key[i], told[i]) for i, item in enumerate(found.items)}


def _evidence(version: "Version", examined: "dict[str, tuple[float, float]]") -> "Evidence":
    """By the ids of questions."""
    from lleval_jax.live.retire import Evidence

    named = words.named(version, examined)
    wrong = {id: float(examined[item][0]) for id, item in named.items() if examined[item][0] >= 0}  # no NaN
    return Evidence(wrong=wrong, information={id: float(examined[item][1]) for id, item in named.items()})


def _with_blind(version: "Version", evidence: "Evidence", responses: Any) -> "Evidence":
    place = {item: i for i, item in enumerate(responses.items)}
    scores, seen = responses.scores, responses.seen
    counts = {
        id: (round(float(scores[seen[:, place[item]], place[item]].sum())), int(seen[:, place[item]].sum()))
        for id, item in words.named(version, responses.items).items()
    }
    return dataclasses.replace(evidence, blind=counts)


def _with_archive(version: "Version", evidence: "Evidence") -> "Evidence":
    from lleval_jax.live import retire

    return dataclasses.replace(evidence, papers=retire.asked_again(version.recipe))


def _tables(
    version: "Version", found: "list[Decision]", level: dict[str, dict[str, float]], place: pathlib.Path | None
) -> "list[Table]":
    counts = {name: sum(each.verdict == name for each in found) for name in ("keep", "retire", "take")}
    said = "nothing is written" if place is None else f"kept in {place}; the next export follows"
    title = (
        f"{version.recipe.name}: {counts['keep']:,} stay, {counts['retire']:,} go, {counts['take']:,} come in; {said}"
    )
    texts = {each.id: each.text for each in version.questions}
    gone = [each for each in found if each.verdict == "retire"]
    lines = tuple((each.question, texts[each.question][:60], "; ".join(each.reasons)) for each in gone[:SHOWN])
    more = () if len(gone) <= SHOWN else (f"and {len(gone) - SHOWN:,} more; --json has all",)
    head = ("domain", "questions", "go", "come in", "told", "of it, by those that go")
    rows = tuple(
        (
            name,
            f"{each['before']:,.0f}",
            f"{each['goes']:,.0f}",
            f"{each['comes']:,.0f}",
            f"{each['told']:z.2f}",
            f"{each['lost']:z.2f}",
        )
        for name, each in level.items()
    )
    tables = [ll.report.text.Table(title, ("question", "", "why it goes"), lines, more, left=3)]
    return [*tables, ll.report.text.Table("information by domain", head, rows)]


def _content(
    version: "Version", found: "list[Decision]", level: dict[str, dict[str, float]], place: pathlib.Path | None
) -> dict[str, Any]:
    return {
        "schema": RETIRED,
        "name": version.recipe.name,
        "file": None if place is None else str(place),
        "decisions": [dataclasses.asdict(each) for each in found],
        "domains": level,
    }
