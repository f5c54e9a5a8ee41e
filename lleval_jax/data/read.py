"""`read`: from files of any known format to one response matrix."""

import functools
import glob
import os
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, Literal, get_args

from lleval_jax.data import cache as cache_of
from lleval_jax.data import files, finding, opening, parallel, shipped
from lleval_jax.data.answers import Join, Options, Repeats
from lleval_jax.data.formats import registry
from lleval_jax.data.formats.format import Format
from lleval_jax.data.notes import Note, left_out
from lleval_jax.data.pivot import pivot
from lleval_jax.data.tables import alone, memory
from lleval_jax.errors import BadFile, BadInput, GuessWarning, require
from lleval_jax.renamed import renamed
from lleval_jax.values import Responses, Source, SparseResponses
from lleval_jax.values.progress import Progress, Tell, silent

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
How = Literal["named", "matched", "inside"]  # a file was found by its name, by a glob, in a folder
HOW: tuple[How, ...] = get_args(How)


@renamed(report="tell")
@opening.shelved
def read(
    paths: Paths | Any,
    *,
    metric: str | None = None,
    filter: str | None = None,  # noqa: A002  the word of lm-eval
    rows: Literal["model", "prompt"] = "model",
    scale: tuple[float, float] | None = None,
    no_answer: Literal["zero", "missing"] = "zero",
    repeats: Repeats = "count",
    join: Join = "content",
    encoding: str | None = None,
    columns: Mapping[str, str] | None = None,
    matrix: bool = False,
    models: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
    strict: bool = False,
    cache: bool = True,
    workers: int | None = None,
    tell: Tell = silent,
) -> Responses | SparseResponses:
    """Read answers: a file, a list of files, a folder with all below it, a glob as in "logs/**/*.jsonl"; or a table.

    A table in memory is a frame of pandas, polars or pyarrow, a dict of columns, a dict of models with a dict of items
    each, a list of rows that are dicts, or an array of numpy, a model a row and an item a column.

    The content of a file tells its format, never its name. All answers become one matrix; models and items
    are joined by name. `SparseResponses` come back where a large matrix holds few answers.

    A file may be compressed (gzip, bzip2, xz, zstd), an archive of files (zip, tar), a pipe, or elsewhere:
    "https://...", "s3://bucket/logs/", "gs://...", "hf://datasets/..."; "-" is stdin. What comes from elsewhere is
    brought whole before anything is read. "demo:NAME" is the demonstration data that ships with bank NAME, "bank:NAME"
    the answers that it was made from, "bank:NAME/GROUP" those to a group of its items.

    Args:
        paths: what to read: paths, tables in memory, or a list of these.
        metric: the metric, or the scorer of Inspect, where a log has several. "choice_probability" (of lm-eval and
            lighteval): the probability of the right choice, the softmax of the log-probabilities of all choices.
        filter: the answer filter of lm-eval, or the test condition of torch_measure, where a log has several.
            What no reader of these files uses (of metric, filter, no_answer, join) is refused, never passed over.
        rows: "model": a row is a model; "prompt": a row is a prompt (template) of one model.
        scale: (lowest, highest) score possible in the files, if not (0, 1); rescaled linearly.
        no_answer: what Inspect's "N" means: "zero", or "missing".
        repeats: what several answers of one model to one question are (epochs, trials, several runs): "count": k of n,
            the mean as score and n as weight; "first": the first alone; "error": a `BadInput`. Files that agree on
            every answer they share are copies, and count once. In a table a column `repeat` numbers them.
        join: by what a question of two logs of lm-eval, lighteval or Every Eval Ever is the same: its "content", by the
            hash that they write, or its "number" in the data set, for a task that mixes its choices in every run.
        encoding: of text that is not UTF-8 and does not say its encoding itself, as UTF-16 does: "latin-1", "cp1252".
        columns: what a column of a table is, where its name does not tell: {"model": "model_name", "item": "qid"}. Uses
            are model, item, score and, if they mean something, prompt, group, weight, repeat. Case, blanks and "_" do
            not count, the usual names are known, and a `GuessWarning` says which were taken. A wide table (models by
            items, or items by models) is read as well; `columns` then says whether its first column is model or item.
        matrix: the files are a matrix of scores without any names, a model a line.
        models: names of an array's rows; or of a table in memory without a column of models, the one name.
        items: names of an array's columns.
        strict: raise `BadInput` for everything that would be a `DataWarning`, but for a `GuessWarning`.
        cache: keep what was parsed of large files for the next time, see `data/cache.py`; LLEVAL_CACHE=off says never.
        workers: processes that parse files; None: as many as there are cores where the files are large, else one.
        tell: called with the bytes read, of how many, now and then; from several threads where there are `workers`.

    A damaged or empty file is left out and named where it was found in a folder or by a glob, and an error where it
    was named itself. Logs of one task are compared: ids that stand for different questions, and questions that change
    from run to run, give a warning.

    Raises:
        BadInput: no such file, no known format, damaged content, scores that are no scores, or answers that
            disagree. The message names the file and line, or the table and row.

    Example:
        ll.read({"model": ["a", "a"], "item": ["q1", "q2"], "score": [1, 0]}).scores  # [[1, 0]]
    """
    columns = None if columns is None else dict(columns)
    options = Options(metric, filter, rows, scale, no_answer, repeats, join, columns, matrix)
    bank = shipped.bank_of(paths)
    if bank is not None:
        require(options == Options(), f"{shipped.BANK}{bank} is read as it is; leave out how to read it")
        return shipped.made_from(bank)
    tables, paths = memory.split(paths)
    unnamed = models is None and items is None
    require(bool(tables) or unnamed, "`models` and `items` are names for a table in memory; files have their own")
    parts = [memory.read(each, number, models, items, options) for number, each in tables]
    hashes = {part.file: cache_of.answers_hash(part) for part in parts}
    place = cache_of.folder() if cache else None
    found, base = _find(paths, encoding, place, tell) if paths or not parts else ([], pathlib.Path())
    how = dict(found)
    notes: dict[Note, list[str]] = {}
    known = _known(found, options, place, notes)
    if not known and not parts:
        raise BadInput(f"no file in {paths!s} holds answers; known formats: {_names()}")
    require(not matrix or len(known) == 1, f"{len(known)} matrices without names cannot be joined; give one, or names")
    used = [*((part.file, registry.TABLE) for part in parts), *((path.name, format) for path, format in known)]
    registry.require_used(options, used)
    parsed = _parsed(known, options, place, workers, tell)
    left = [(registry.TABLE.title, part.file, each) for part in parts for each in part.left]
    for (path, format), result in zip(known, parsed, strict=True):
        if isinstance(result, BadFile):
            if how[path] == "named" or all(isinstance(each, BadFile) for each in parsed):
                raise result
            said = result.what.replace(path.name, _name(path, base), 1)
            notes[Note(f"{said} It was left out.", result.python, result.shell)] = []
            continue
        answers, content = result
        parts.append(answers)
        name = _name(path, base)
        hashes[name] = _own_hash(path, content)
        left += [(format.title, name, each) for each in answers.left]
    parts = alone.distinct(parts, list(hashes))
    guesses: dict[Note, list[str]] = {}
    for part, name in zip(parts, hashes, strict=True):
        for note in part.notes:
            notes.setdefault(note, []).append(name)
        for note in part.guesses:
            guesses.setdefault(note, []).append(name)
    value, more = pivot(parts, Source(files=hashes, version=_version()), files=list(hashes), repeats=repeats)
    of_files = [note.of_files(names) if names else note for note, names in notes.items()]
    _say([*of_files, *left_out(left), *more], strict)
    for note, names in guesses.items():  # no error under strict: nothing was lost
        warnings.warn(note.of_files(names).warning(GuessWarning), stacklevel=4)  # past the two that wrap `read`
    return value


def _known(
    found: list[tuple[pathlib.Path, How]], options: Options, place: pathlib.Path | None, notes: dict[Note, list[str]]
) -> list[parallel.Job]:
    """The files of a known format, with it."""
    formats = [(path, registry.remembered(path, place) or _format(path, how, options, notes)) for path, how in found]
    return [(path, format) for path, format in formats if format is not None]


def _format(path: pathlib.Path, how: How, options: Options, notes: dict[Note, list[str]]) -> Format | None:
    """The format of a file; None where it is not known. `BadInput` where the file was named itself."""
    head, named = _head(path), how == "named"
    if not head and not path.stat().st_size:
        require(not named, f"{opening.origin(path)} is empty")
        notes.setdefault(Note("is empty and was skipped"), []).append(path.name)
        return None
    known = registry.of(head, path)
    if known is None and (how != "inside" or options.columns is not None or options.matrix):
        known = registry.resembling(head, path, options, named)
    if known is None:
        if named:
            raise BadInput(_unknown(path, head))
        notes.setdefault(Note("is not a file of answers and was skipped"), []).append(path.name)
    return known


def _parsed(
    jobs: list[parallel.Job], options: Options, place: pathlib.Path | None, workers: int | None, tell: Tell
) -> list[parallel.Parsed]:
    """The answers of each file, by one process or several; by this one where it alone knows one of the formats."""
    sizes = [path.stat().st_size for path, _ in jobs]
    total, before = sum(sizes), 0
    many = parallel.count(workers, sizes) if all(registry.is_everywhere(format) for _, format in jobs) else 1
    if many > 1:
        so_far: list[int] = []

        def one_more(at: int) -> None:
            so_far.append(sizes[at])
            tell(_reading(sum(so_far), total))

        return parallel.parse(jobs, options, place, many, one_more)
    found = []
    for (path, format), size in zip(jobs, sizes, strict=True):
        with files.watched(lambda done, base=before, most=size: tell(_reading(base + min(done, most), total))):
            found.append(registry.tried(path, format, options, place))
        before += size
        tell(_reading(before, total))
    return found


def _reading(done: int, total: int) -> Progress:
    return Progress("reading answers", done, total, unit="bytes")


def _find(
    paths: Paths, encoding: str | None, place: pathlib.Path | None, tell: Tell
) -> tuple[list[tuple[pathlib.Path, How]], pathlib.Path]:
    """([(file, how it was found)], the folder that holds them all)."""
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    several = [shipped.path(each) for each in several]
    require(bool(several), "no path was given")
    opening.require_encoding(encoding)
    keeps = functools.partial(_is_log, place=place)
    found: dict[pathlib.Path, How] = {}
    opened: dict[str, list[pathlib.Path]] = {}  # what is named twice is unpacked once
    for text in several:
        several_are: How = "matched" if glob.has_magic(os.fspath(text)) else "inside"
        inside, named = _expand(os.fspath(text), tell)
        for each in inside:
            own = os.path.realpath(each)
            if own not in opened:
                opened[own] = opening.plain(each, named=named, keeps=keeps, encoding=encoding)
            plain = opened[own]
            for path in plain if plain == [each] else _answers(plain):
                how: How = "named" if named and len(plain) == 1 else several_are
                before = found.get(path, how)
                found[path] = before if HOW.index(before) < HOW.index(how) else how
    origins = [opening.origin(path).file for path in found]
    folders = [os.path.abspath(origin.parent) for origin in origins if origin is not None]
    distinct = set(finding.distinct(list(found)))
    return [each for each in found.items() if each[0] in distinct], pathlib.Path(os.path.commonpath(folders or ["/"]))


def _expand(text: str, tell: Tell) -> tuple[list[pathlib.Path], bool]:
    """(files, whether `text` is one file's name) of a path, a folder, a glob, an address or "-"."""
    brought = opening.brought(text, tell)
    if brought is not None:
        return _answers(brought), len(brought) == 1
    found, named = finding.find(opening.local(text))
    return found if named else _answers(found), named


def _answers(found: list[pathlib.Path]) -> list[pathlib.Path]:
    """The files without those that programs write with their answers; one alone stays."""
    return [each for each in found if len(found) == 1 or not registry.is_companion(each)]


def _is_log(head: bytes, path: pathlib.Path, place: pathlib.Path | None) -> bool:
    """Whether a zip is a file of answers itself, such as an Inspect log or a matrix."""
    return (registry.remembered(path, place) or registry.of(head, path)) is not None


def _head(path: pathlib.Path) -> bytes:
    """The first bytes of a file that can be read."""
    try:
        return files.head(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error


def _unknown(path: pathlib.Path, head: bytes) -> str:
    """What to say of a file in no known format."""
    kind = "a file that begins"
    with path.open("rb") as stream:
        raw = stream.read(64)
    how = files.codec(raw)
    if raw.startswith(b"PAR1"):
        kind = f"a parquet table with columns {sorted(files.parquet_columns(path, raw))[:12]} that begins"
    elif how:
        kind = f"a {how} file whose content begins" if head else f"a {how} file that is damaged, and begins"
    elif raw[1::2].count(0) > len(raw) // 4:
        kind = "text, it seems, in UTF-16 without its mark (give the encoding utf-16-le), that begins"
    where = opening.origin(path)
    return f"{where} is not in a format that can be read: {kind} {files.snippet(head or raw)}. Known: {_names()}."


def _names() -> str:
    return "; ".join(format.name for format in registry.formats())


def _name(path: pathlib.Path, base: pathlib.Path) -> str:
    """The name of a file relative to what holds all files; of what came from elsewhere, where it came from."""
    origin = opening.origin(path)
    own = "" if origin.file is None else pathlib.Path(os.path.relpath(os.path.abspath(origin.file), base)).as_posix()
    return f"{own}{origin.inner}"


def _own_hash(path: pathlib.Path, content: str) -> str:
    """The hash of the user's file where what was read is all of it, unpacked or in UTF-8."""
    origin = opening.origin(path)
    return cache_of.content_hash(origin.file, None) if origin.file not in (None, path) and origin.whole else content


def _version() -> str:
    try:
        return metadata.version("lleval-jax")
    except metadata.PackageNotFoundError:
        return ""


def _say(notes: list[Note], strict: bool) -> None:
    """Warn of what was set aside; with `strict` it is an error."""
    if strict and notes:
        raise BadInput(
            " | ".join(note.what for note in notes),
            python=" ".join([*(note.python for note in notes if note.python), "(strict=True)"]),
            shell=" ".join([*(note.shell for note in notes if note.shell), "(--strict)"]),
        )
    for note in notes:
        warnings.warn(note.warning(), stacklevel=5)  # past the two that wrap `read`
