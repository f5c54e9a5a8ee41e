"""The formats that can be read, and how one file is: known by its content, from the cache or parsed."""

import dataclasses
import pathlib
from collections.abc import Callable

from lleval_jax.data import cache, files
from lleval_jax.data.answers import Answers, Options
from lleval_jax.data.formats import (
    every_eval,
    helm,
    inspect_log,
    lighteval,
    lm_eval,
    matrix,
    opencompass,
    pyirt,
    table,
    torch_measure,
)
from lleval_jax.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Format:
    """One way of writing answers.

    name        for messages
    recognises  (first bytes, path) -> whether this file is written so
    read        (path, options) -> its answers
    beside      what `read` takes from elsewhere than the content: the path, a file beside it
    """

    name: str
    recognises: Callable[[bytes, pathlib.Path], bool]
    read: Callable[[pathlib.Path, Options], Answers]
    beside: Callable[[pathlib.Path], tuple[str, ...]] = lambda path: ()


FORMATS = [
    Format("lm-eval samples (.jsonl)", lm_eval.recognises, lm_eval.read, lm_eval.beside),
    Format("Inspect log (.eval, .json)", inspect_log.recognises, inspect_log.read),
    Format("lighteval details (.parquet)", lighteval.recognises, lighteval.read, lighteval.beside),
    Format("HELM per_instance_stats.json", helm.recognises, helm.read, helm.beside),
    Format("OpenCompass results with details (.json)", opencompass.recognises, opencompass.read, opencompass.beside),
    Format("Every Eval Ever instances (.jsonl)", every_eval.recognises, every_eval.read),
    Format("py-irt data (.jsonlines)", pyirt.recognises, pyirt.read),
    Format("torch_measure long form (.parquet)", torch_measure.recognises, torch_measure.read),
    Format("matrix (.npz with responses, models, items)", matrix.recognises, matrix.read),
    Format("table (.parquet, .csv, .jsonl with model, item, score)", table.recognises, table.read),
]


def of(head: bytes, path: pathlib.Path) -> Format | None:
    """The format of a file, known by its first bytes."""
    return next((format for format in FORMATS if format.recognises(head, path)), None)


def is_companion(path: pathlib.Path) -> bool:
    """Whether this is a file that a program writes beside its answers, and that holds none."""
    return any(known.is_companion(path) for known in (lm_eval, helm, every_eval))


def remembered(path: pathlib.Path, place: pathlib.Path | None) -> Format | None:
    """The format of a file, where the cache at `place` knows it: a look into a large zip takes a while."""
    facts = None if place is None or path.stat().st_size < cache.SMALLEST else cache.remembered(path, place)
    return None if facts is None else next((format for format in FORMATS if format.name == facts[1]), None)


def parse(path: pathlib.Path, options: Options, place: pathlib.Path | None) -> tuple[Answers, str]:
    """(the answers of one file in [0, 1], the hash of its content), from the cache at `place` where they are there."""
    with files.damage(path.name):
        known = remembered(path, place) or of(files.head(path), path)
        if known is None:
            raise BadInput(f"{path.name} changed while it was read")
        if place is None or path.stat().st_size < cache.SMALLEST:
            return known.read(path, options).scaled(options.scale), cache.content_hash(path, None)
        content = cache.content_hash(path, place, known.name)
        name = cache.key(content, path, known.name, options, known.beside(path))
        found = cache.load(place, name)
        if found is None:
            found = known.read(path, options).scaled(options.scale)
            if cache.content_hash(path, place) == content:  # unchanged while it was read
                cache.store(place, name, found)
        return found, content
