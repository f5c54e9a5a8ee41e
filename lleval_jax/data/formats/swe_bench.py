"""Reports of SWE-bench's harness: `MODEL.RUN.json` of a whole run, or `INSTANCE/report.json` of one instance.

Submissions keep the second: `DATE_SYSTEM/logs/INSTANCE/report.json`. Their `results.json` names what was resolved and
not what was tried; it is refused.
"""

import math
import pathlib
import re

import msgspec

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_columns
from lleval_jax.data.formats.format import Format
from lleval_jax.data.notes import Note
from lleval_jax.errors import BadFile, require

ONE = re.compile(rb'\s*\{\s*"[^"]+"\s*:\s*\{\s*"patch_\w+"\s*:')  # how a report of one instance begins
OF_RUN = frozenset(("submitted_instances", "resolved_instances"))
OF_SUBMISSION = frozenset(("no_generation", "resolved"))
REPOSITORY = re.compile(r"(.+)__(.+)-\d+")  # django__django-11099
BESIDE = ("eval.sh", "patch.diff", "run_instance.log", "test_output.txt")
FAILED = ("unresolved_ids", "error_ids", "empty_patch_ids")


class _Run(msgspec.Struct):
    resolved_ids: list[str] = []
    unresolved_ids: list[str] = []
    error_ids: list[str] = []
    empty_patch_ids: list[str] = []
    incomplete_ids: list[str] = []


class _Instance(msgspec.Struct):
    resolved: bool


def repository(instance: str) -> str:
    """The repository of an instance: "django/django" of "django__django-11099"; "" of another kind of name."""
    found = REPOSITORY.fullmatch(instance)
    return "/".join(found.groups()) if found else ""


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a report, or of a submission's list."""
    return _kind(head) != ""


def _kind(head: bytes) -> str:
    """What begins so: an "instance", a "run", a "submission", or "" for none of them."""
    if ONE.match(head):
        return "instance"
    keys = files.top_keys(head) if head.lstrip()[:1] == b"{" else frozenset()
    if keys >= OF_RUN or keys >= {"resolved_ids", "unresolved_ids"}:
        return "run"
    return "submission" if keys >= OF_SUBMISSION else ""


def beside(path: pathlib.Path) -> tuple[str, ...]:
    """(model,): of a run from the file's name, of an instance from the folder of all its instances."""
    if path.name == "report.json":
        folder = path.resolve().parent.parent
        name = folder.parent.name if folder.name == "logs" else folder.name
    else:
        name = path.name.removesuffix(".gz").removesuffix(".json")
        name = name.rpartition(".")[0] or name
    return (name.replace("__", "/") or "model",)


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one report: items are instances, the group is the repository, the score is 1 where resolved.

    As on the board, an instance that ended in an error or with an empty patch was not resolved. One that was not
    submitted was not scored.

    Raises:
        BadInput: a submission's list, an instance in two lists, or a report without lists.
    """
    kind = _kind(files.head(path))
    if kind == "submission":
        raise BadFile(
            f"{path.name} names the instances that were resolved and not those that were tried; "
            "read the folder with one report.json an instance, or the harness's own report of the run, MODEL.RUN.json"
        )
    if kind == "instance":
        found = files.record(path, dict[str, _Instance])
        return _answers(path, {name: float(each.resolved) for name, each in found.items()})
    run = files.record(path, _Run)
    scores: dict[str, float] = {}
    for field in ("resolved_ids", *FAILED):
        for name in getattr(run, field):
            require(name not in scores, f"{path.name}: instance {name!r} is in two lists, one of them {field}")
            scores[name] = float(field == "resolved_ids")
    scores |= {name: math.nan for name in run.incomplete_ids if name not in scores}
    if not scores:
        raise BadFile(f"{path.name} lists no instances: resolved_ids, {', '.join(FAILED)} are empty or not there")
    return _answers(path, scores, _failures(len(run.error_ids), len(run.empty_patch_ids)))


def _failures(errors: int, empty: int) -> tuple[Note, ...]:
    """What is counted as not resolved without a test that failed."""
    counts = {"an error": errors, "an empty patch": empty}
    said = ", ".join(f"{count} ended with {what}" for what, count in counts.items() if count)
    return (Note(f"of the instances that count as not resolved, as on the board, {said}"),) if said else ()


def _answers(path: pathlib.Path, scores: dict[str, float], notes: tuple[Note, ...] = ()) -> Answers:
    items = sorted(scores)
    return from_columns(
        path.name,
        row=beside(path) * len(items),
        item=items,
        score=[scores[name] for name in items],
        group=[repository(name) for name in items],
        notes=notes,
    )


def is_companion(path: pathlib.Path) -> bool:
    """Whether this is a file that the harness writes next to a report, or the list that a submission keeps."""
    if path.name == "results.json":
        return (path.parent.parent / "logs").is_dir()
    return path.name in BESIDE and (path.parent / "report.json").is_file()


FORMAT = Format(
    name="SWE-bench report (.json)",
    recognises=recognises,
    read=read,
    beside=beside,
    companion=is_companion,
    options=frozenset(),
)
