"""Aligners and inspectors in folders: settings as JSON, numbers as safetensors, adapters as PEFT writes them.

aligner/                aligner.json, adapter/ (and marks.safetensors), or model/ where all weights learned
inspector/              inspector.json, inspector.safetensors, or classifier/
"""

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import safetensors.numpy

from lleval_jax.errors import BadFile, require
from lleval_jax.lm import safetensors_files
from lleval_jax.lm.load import load, save
from lleval_jax.lm.local import LocalClient
from lleval_jax.lm.text_encoder import TextEncoder, load_encoder
from lleval_jax.training.aligners import marks
from lleval_jax.training.aligners.aligner import Taught
from lleval_jax.training.aligners.calibrate import Isotonic, Platt, Report
from lleval_jax.training.aligners.inspector import Inspector
from lleval_jax.training.aligners.scorers import Line, Margin, Tuned
from lleval_jax.training.aligners.train import Learned
from lleval_jax.training.classes import classifier_files
from lleval_jax.training.low_rank import adapter_files, lora
from lleval_jax.values.progress import Tell, silent
from lleval_jax.writing import new_folder

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

ALIGNER, ROWS, ADAPTER, MODEL = "aligner.json", "marks.safetensors", "adapter", "model"
INSPECTOR, NUMBERS, CLASSIFIER = "inspector.json", "inspector.safetensors", "classifier"
SCHEMAS = {ALIGNER: "lleval/aligner/1", INSPECTOR: "lleval/inspector/1"}


class AlignerSettings(msgspec.Struct, forbid_unknown_fields=True):
    """What `aligner.json` holds: the criterion, the base model, how parts are separated, tokens of a correction."""

    schema: str
    criterion: str
    base: str
    marks: Literal["added", "chat"]
    limit: int


class InspectorSettings(msgspec.Struct, forbid_unknown_fields=True):
    """What `inspector.json` holds: which kind it is, on which encoder, its calibration and its report."""

    schema: str
    criterion: str
    kind: Literal["line", "tuned", "margin"]
    encoder: str
    threshold: float
    report: tuple[float, float, float, float, int] | None
    platt: tuple[float, float] | None = None
    isotonic: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def save_aligner(learned: Learned, folder: "str | os.PathLike[str]", *, base: str) -> None:
    """Write what an aligner has learned; the base model is not among it where adapters learned.

    Args:
        learned: as `train.fit_aligner` gives it.
        folder: a new one.
        base: name or folder of the base model.
    """
    trained, place = learned.trained, pathlib.Path(folder)
    settings = AlignerSettings(SCHEMAS[ALIGNER], learned.aligner.name, base, learned.marks, learned.aligner.limit)
    with new_folder(place) as part:
        if trained.lora is None:
            save(learned.aligner.model, part / MODEL)
        else:
            adapter_files.save_peft(trained.model.decoder, trained.lora, part / ADAPTER, base=base)
            if learned.marks == "added":
                rows = {name: np.asarray(each, np.float32) for name, each in marks.rows_of(trained.model).items()}
                (part / ROWS).write_bytes(safetensors.numpy.save(rows))
        _write(part / ALIGNER, settings)


def load_aligner(
    folder: "str | os.PathLike[str]", *, base: "LanguageModel | str | None" = None, tell: Tell = silent
) -> Taught:
    """The aligner that `save_aligner` wrote.

    Args:
        folder: what was written.
        base: the model, or what `lm.load` takes; None: what the folder says.
        tell: called with how far loading is.

    Raises:
        BadInput: the folder holds no aligner, or it is of another model.
        BadFile: a file is damaged.
    """
    place = pathlib.Path(folder)
    said = _read(place / ALIGNER, AlignerSettings, f"{place} holds no aligner")
    if (place / MODEL).is_dir():
        model = load(place / MODEL, tell=tell)
        if said.marks == "added":
            model = _marked(model)
        return Taught(LocalClient(model), said.criterion, said.limit)
    model = load(base or said.base, tell=tell) if base is None or isinstance(base, str) else base
    model = _replaced(model, lora.merge(adapter_files.load_peft(model.decoder, place / ADAPTER)[0]))
    if said.marks == "added":
        tensors = safetensors_files.read_file(place / ROWS)
        shape = (marks.ADDED, model.config.width)
        names = [name for name in marks.TABLES if getattr(model.decoder, name) is not None]
        rows = {name: adapter_files.taken(tensors, name, shape, place / ROWS) for name in names}
        model = marks.with_rows(model, rows)  # type: ignore[arg-type]
    return Taught(LocalClient(model), said.criterion, said.limit)


def margin_of(folder: "str | os.PathLike[str]", aligner: Taught, *, tell: Tell = silent) -> Margin:
    """What an inspector by margin is made of: an aligner that was kept with adapters, and the model that it was.

    Raises:
        BadInput: all weights of the aligner learned, so the model that it was is not known.
    """
    place = pathlib.Path(folder)
    said = _read(place / ALIGNER, AlignerSettings, f"{place} holds no aligner")
    require(not (place / MODEL).is_dir(), f"{place}: all weights learned; a margin needs the model that it was")
    base = load(said.base, tell=tell)
    return Margin(aligner.model, marks.flat(marks.marked(base, said.marks)[0]))


def save_inspector(inspector: Inspector, folder: "str | os.PathLike[str]", *, encoder: str = "") -> None:
    """Write an inspector; its encoder, or its aligner, is not among it.

    Args:
        inspector: of vectors, of an encoder that learned, or by margin.
        folder: a new one.
        encoder: name or folder of the encoder.

    Raises:
        BadInput: it is made of something else, such as grades of a client.
    """
    scorer, found = inspector.scorer, inspector.calibration
    kinds = {Line: "line", Tuned: "tuned", Margin: "margin"}
    known = type(scorer) in kinds and isinstance(found, Platt | Isotonic)
    require(known, f"an inspector of {type(scorer).__name__} cannot be kept in files; make it again")
    settings = InspectorSettings(
        SCHEMAS[INSPECTOR],
        inspector.name,
        kinds[type(scorer)],  # type: ignore[arg-type]
        encoder,
        inspector.threshold,
        inspector.report,
        (found.slope, found.offset) if isinstance(found, Platt) else None,
        (found.raw, found.probability) if isinstance(found, Isotonic) else None,
    )
    with new_folder(pathlib.Path(folder)) as part:
        if isinstance(scorer, Line):
            numbers = {name: getattr(scorer, name) for name in ("mean", "scale", "weights")}
            (part / NUMBERS).write_bytes(safetensors.numpy.save(numbers))
        elif isinstance(scorer, Tuned):
            classifier_files.save(scorer.classifier, part / CLASSIFIER)
        _write(part / INSPECTOR, settings)


def load_inspector(
    folder: "str | os.PathLike[str]",
    *,
    encoder: TextEncoder | None = None,
    margin: Margin | None = None,
    tell: Tell = silent,
) -> Inspector:
    """The inspector that `save_inspector` wrote.

    Args:
        folder: what was written.
        encoder: the encoder; None: what the folder says.
        margin: of its aligner, where it is by margin.
        tell: called with how far loading is.

    Raises:
        BadInput: the folder holds no inspector, or what it needs is not given.
        BadFile: a file is damaged.
    """
    place = pathlib.Path(folder)
    said = _read(place / INSPECTOR, InspectorSettings, f"{place} holds no inspector")
    if said.kind == "margin":
        require(margin is not None, f"{place} is by margin; give that of its aligner")
        scorer: Any = margin
    else:
        encoder = load_encoder(said.encoder, tell=tell) if encoder is None else encoder
        scorer = _line(place / NUMBERS, encoder) if said.kind == "line" else None
        scorer = scorer or Tuned(classifier_files.load(encoder, place / CLASSIFIER))
    require(bool(said.platt) != bool(said.isotonic), f"{place / INSPECTOR} has not one calibration")
    found = Platt(*said.platt) if said.platt else Isotonic(*said.isotonic)  # type: ignore[misc]
    report = None if said.report is None else Report(*said.report)
    return Inspector(said.criterion, scorer, found, said.threshold, report)


def _line(file: pathlib.Path, encoder: TextEncoder) -> Line:
    require(file.is_file(), f"{file.parent} has no {file.name}")
    try:
        tensors, size = safetensors.numpy.load(file.read_bytes()), 2 * encoder.config.width + 1
    except safetensors.SafetensorError as error:
        raise BadFile(f"{file} is damaged: {error}") from error
    for name, length in (("mean", size), ("scale", size), ("weights", size + 1)):
        fits = name in tensors and tensors[name].shape == (length,)
        require(fits, f"{file}: {name!r} does not fit the encoder {encoder.name}")
    return Line(encoder, tensors["mean"], tensors["scale"], tensors["weights"])


def _marked(model: "LanguageModel") -> "LanguageModel":
    """A model whose last rows are those of the marks."""
    return _replaced(model, model.decoder, tokens=marks.Marked.of(model.tokens, model.config.vocab - marks.ADDED))


def _replaced(model: "LanguageModel", decoder: Any, **more: Any) -> "LanguageModel":
    return dataclasses.replace(model, decoder=decoder, **more)


def _write(path: pathlib.Path, settings: msgspec.Struct) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(settings), indent=1))


def _read(path: pathlib.Path, kind: type, missing: str) -> Any:
    require(path.is_file(), f"{missing}: it has no {path.name}")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadFile(f"{path} cannot be read: {error}") from error
    wanted = SCHEMAS[path.name]
    require(found.schema == wanted, f"{path} has the schema {found.schema!r}; it must be {wanted!r}")
    return found
