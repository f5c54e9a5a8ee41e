"""Adaptive sessions with lm-eval: choose documents, run lm-eval on them with `--samples`, read, choose again.

Each round starts lm-eval again, which loads the model again: `batch` weighs that against answers saved.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np

from lleval_jax import writing
from lleval_jax.data import finding, read
from lleval_jax.data.formats import lm_eval
from lleval_jax.errors import BadInput, RunFailed, require
from lleval_jax.estimators import adaptive
from lleval_jax.renamed import renamed
from lleval_jax.values import Choice, Estimate, ItemBank, Responses, SparseResponses
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.sparse import as_dense

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
OURS = frozenset("--samples -E --limit -L --tasks -t --output_path -o --log_samples -s".split())
SCHEMA = "lleval/lm-eval-session/1"
QUOTED = 8  # lines of what lm-eval said last
WAIT = 10  # seconds for lm-eval to end itself


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """How a session ended.

    estimate   the full-benchmark score
    responses  the answers of all rounds, one row
    why        why it ended
    rounds     the folders of lm-eval's logs, in order
    """

    estimate: Estimate
    responses: Responses
    why: str
    rounds: tuple[pathlib.Path, ...]


@renamed(rule="by")
def run(
    bank: ItemBank,
    *,
    command: Sequence[str],
    stop: adaptive.Stop,
    out: str | os.PathLike[str],
    batch: int = 20,
    index_from: Paths | None = None,
    metric: str | None = None,
    filter: str | None = None,  # noqa: A002  the word of lm-eval
    scale: tuple[float, float] | None = None,
    by: adaptive.Rule = "score",
    level: float = 0.95,
    seed: int = 0,
    tell: Tell = silent,
) -> Outcome:
    """Ask one model the bank's items that still matter, until `stop` says enough.

    Call it again with the same words to go on where it was stopped: rounds in `out` are read, not run again, and
    `stop` may be another. `read(out / "rounds")` reads all answers. The tasks are those in the names of the bank's
    items, `task/doc_hash`. Copies of a question within a task are asked once. One process a folder.

    Args:
        bank: calibrated from lm-eval's logs, best with what `sessions.prepare` adds.
        command: lm-eval with the model and its settings, as in ["lm_eval", "--model", "hf", "--model_args", "..."];
            without tasks, samples, limit and output.
        stop: when to stop.
        out: folder of this session.
        batch: documents a round.
        index_from: logs that tell which `doc_id` each question has, of any model, on the same version of the data
            set. None: lm-eval's own dummy model is run over the whole tasks once, which asks no model.
        metric: as in `read`.
        filter: as in `read`.
        scale: as in `read`.
        by: as in `adaptive.choose`.
        level: of the interval.
        seed: of what is drawn.
        tell: called with a word before and after each round.

    Raises:
        BadInput: words of `command` that this function sets, an `out` of another session, no item that can be
            located, or a data set that is not the one of the index.
        RunFailed: lm-eval ended with an error, or without answers.
    """
    words, folder = _words(command), pathlib.Path(out)
    require(batch > 0, f"batch is {batch}; it must be positive")
    _begin(folder, bank, words)
    where = _located(bank, folder, words, index_from, tell)
    rounds = _rounds(folder)
    while True:
        found = _one_row(read(rounds, metric=metric, filter=filter, scale=scale)) if rounds else None
        choice = adaptive.choose(found, bank=bank, k=batch, by=by, stop=stop, among=list(where), level=level, seed=seed)
        if found is not None:
            now = adaptive.estimate(found, bank=bank, level=level)
            tell(Progress(f"round {len(rounds)}: {_said(now, choice)}"))
            if choice.enough:
                return Outcome(now, found, choice.why[0], tuple(rounds))
        tell(Progress(f"round {len(rounds) + 1}: asking {len(choice.items[0])} questions"))
        rounds.append(_ask(folder, words, {item: where[item] for item in choice.items[0]}, len(rounds) + 1))


def places(logs: Paths) -> dict[str, int]:
    """{item: doc_id} from sample logs of lm-eval: files, folders or globs. The first of several copies.

    Raises:
        BadInput: no log, an entry without `doc_id` or `doc_hash`, or one `doc_id` with two questions.
    """
    several = [logs] if isinstance(logs, str | os.PathLike) else list(logs)
    files = [path for text in several for path in _sample_logs(os.fspath(text))]
    require(bool(files), f"there is no samples_*.jsonl in {', '.join(map(str, several))}")
    found: dict[tuple[str, int], str] = {}
    for path in files:
        task = lm_eval.task_name(path)
        for place, item in lm_eval.documents(path).items():
            before = found.setdefault((task, place), item)
            same = before == item
            require(same, f"{path}: doc_id {place} is {item!r}; another log has {before!r} there: two data sets")
    order = sorted(found, reverse=True)
    return {found[key]: key[1] for key in order}


def _sample_logs(text: str) -> list[pathlib.Path]:
    """The sample logs in a folder, or of a glob, or this one."""
    try:
        found, _ = finding.find(text)
    except BadInput:
        return []
    if pathlib.Path(text).expanduser().is_dir():
        found = [each for each in found if each.match("samples_*.json*")]
    return [each for each in found if not lm_eval.is_companion(each)]


def _words(command: Sequence[str]) -> list[str]:
    require(not isinstance(command, str), 'command must be a list of words, as in ["lm_eval", "--model", "hf"]')
    words = [str(word) for word in command]
    require(bool(words), "command is empty; it must start lm-eval")
    ours = [word for word in words if word.split("=", 1)[0] in OURS]
    require(not ours, f"leave {', '.join(ours)} out of command: the session sets tasks, samples and output itself")
    return words


def _begin(folder: pathlib.Path, bank: ItemBank, words: list[str]) -> None:
    """Make the folder of a session, or check that it is of this one."""
    about = {"schema": SCHEMA, "bank": bank.name, "items": _digest(bank.items), "command": _digest(words)}
    path = folder / "session.json"
    if not path.exists():
        require(not folder.exists() or not any(folder.iterdir()), f"{folder} is not empty and holds no session")
        folder.mkdir(parents=True, exist_ok=True)
        writing.put(path, json.dumps(about, indent=1).encode())
        return
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadInput(f"{path} is damaged: {error}. Use a new folder.") from error
    differ = [name for name, value in about.items() if not isinstance(found, dict) or found.get(name) != value]
    require(not differ, f"{folder} holds a session with another {' and '.join(differ)}; use a new folder for this one")


def _digest(words: Sequence[str]) -> str:
    """Says whether words are the same; keys that stand among them are not kept."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _located(
    bank: ItemBank, folder: pathlib.Path, words: list[str], index_from: Paths | None, tell: Tell
) -> dict[str, int]:
    """{item: doc_id} of the bank's items that can be asked; kept in the session's folder."""
    path = folder / "places.json"
    if not path.exists():
        tasks = _tasks(bank)
        if index_from is None:
            tell(Progress(f"locating the questions of {', '.join(tasks)} with lm-eval's dummy model"))
        found = places(index_from) if index_from is not None else _dummy_places(folder, words, tasks)
        writing.put(path, json.dumps({item: found[item] for item in bank.items if item in found}, indent=1).encode())
    where = json.loads(path.read_bytes())
    n = len(bank.items)
    if not where:
        path.unlink()
        raise BadInput(f"no item of bank {bank.name!r} is in the index; its items look like {bank.items[0]!r}")
    if len(where) < n:
        lost = f"{n - len(where)} of {n} items have no place in the data set (or are copies)"
        tell(Progress(f"{lost}; they are not asked"))
    return where


def _tasks(bank: ItemBank) -> list[str]:
    """The tasks in the names of the bank's items."""
    for item in bank.items:
        require("/" in item, f"item {item!r} of bank {bank.name!r} does not name its task; items must be task/doc_hash")
    return list(dict.fromkeys(item.rpartition("/")[0] for item in bank.items))


def _dummy_places(folder: pathlib.Path, words: list[str], tasks: list[str]) -> dict[str, int]:
    """Where each question stands, from a run of lm-eval that asks no model."""
    index = folder / "index"
    shutil.rmtree(index, ignore_errors=True)
    more = ["--model", "dummy", "--tasks", ",".join(tasks), "--log_samples", "--output_path", str(index)]
    try:
        _start([*words, *more], folder / "lm_eval.log")
        return places(index)
    except (RunFailed, BadInput) as error:
        hint = "The questions could not be located with lm-eval's dummy model; pass index_from= with logs of any model."
        raise type(error)(f"{error}\n{hint}") from error
    finally:
        shutil.rmtree(index, ignore_errors=True)


def _rounds(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folders of the rounds that are done, in order."""
    done = {int(path.name[6:]): path for path in (folder / "rounds").glob("round-*") if path.name[6:].isdigit()}
    require(sorted(done) == list(range(1, len(done) + 1)), f"a round is missing in {folder / 'rounds'}: {sorted(done)}")
    return [done[number] for number in sorted(done)]


def _ask(folder: pathlib.Path, words: list[str], asked: dict[str, int], number: int) -> pathlib.Path:
    """Run one round. It stands in its place only when it is whole and its questions are those asked."""
    work, done = folder / "running", folder / "rounds" / f"round-{number}"
    shutil.rmtree(work, ignore_errors=True)
    samples: dict[str, list[int]] = {}
    for item, place in asked.items():
        samples.setdefault(item.rpartition("/")[0], []).append(place)
    samples = {task: sorted(chosen) for task, chosen in samples.items()}  # else lm-eval confuses the doc_ids
    more = ["--tasks", ",".join(samples), "--samples", json.dumps(samples)]
    _start([*words, *more, "--log_samples", "--output_path", str(work)], folder / "lm_eval.log")
    _same_questions(work, asked)
    done.parent.mkdir(exist_ok=True)
    work.replace(done)
    return done


def _same_questions(work: pathlib.Path, asked: dict[str, int]) -> None:
    """`BadInput` unless the questions that came back are those asked."""
    logs = _sample_logs(str(work))
    if not logs:
        raise RunFailed(f"lm-eval ended well but wrote no samples_*.jsonl in {work}")
    came = {(lm_eval.task_name(path), place): item for path in logs for place, item in lm_eval.documents(path).items()}
    for item, place in asked.items():
        found = came.get((item.rpartition("/")[0], place), "nothing")
        require(
            found == item,
            f"doc_id {place} should be {item!r} and {found!r} came back ({work}): the data set is not the one of the "
            "index. Locate the questions again in a new folder, with logs of this version as index_from.",
        )
    require(len(came) == len(asked), f"lm-eval answered {len(came)} questions; {len(asked)} were asked ({work})")


def _start(words: list[str], log: pathlib.Path) -> None:
    """Run lm-eval to its end; what it says goes to `log`. Ends it when we are interrupted."""
    with log.open("ab") as stream:
        begin = stream.tell()
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
        except OSError as error:
            hint = "Is lm-eval installed? pip install lm_eval"
            raise BadInput(f"cannot start {words[0]!r}: {error.strerror or error}. {hint}") from error
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise
    if status != 0:
        raise RunFailed(f"lm-eval ended with status {status}; the end of {log}:\n{_end(log, begin)}")


def _end(log: pathlib.Path, begin: int) -> str:
    """The last lines of what one run said; a progress bar is what it showed last."""
    with log.open("rb") as stream:
        stream.seek(begin)
        text = stream.read().decode(errors="replace")
    lines = [re.split(r"\r", line.rstrip("\r"))[-1].rstrip() for line in text.split("\n")]
    return "\n".join(f"  {line[:300]}" for line in [line for line in lines if line][-QUOTED:]) or "  (it said nothing)"


def _one_row(responses: Responses | SparseResponses) -> Responses:
    """All rounds as one row: they are of one command, and some models have another name each time."""
    part = as_dense(responses)
    if len(part.rows) == 1:
        return part
    first = part.seen.argmax(0)
    at = first, np.arange(len(part.items))
    return Responses.build(
        part.scores[at][None, :],
        weight=part.weight[at][None, :],
        rows=part.rows[:1],
        items=part.items,
        group=[part.groups[g] for g in part.group],
        source=part.source,
    )


def _said(now: Estimate, choice: Choice) -> str:
    end = f"; enough: {choice.why[0]}" if choice.enough else ""
    return (
        f"{now.value[0]:.3f} [{now.low[0]:.3f}, {now.high[0]:.3f}], standard error {now.std_error[0]:.3f}, "
        f"{now.n_seen[0]} answers{end}"
    )
