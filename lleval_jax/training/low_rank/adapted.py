"""A language model with what an adapter learned: it scores, writes and is saved as any other."""

import dataclasses
import os
import pathlib

from lleval_jax import lm
from lleval_jax.errors import require
from lleval_jax.lm.load import LanguageModel
from lleval_jax.training.low_rank import adapter_files, lora
from lleval_jax.values.progress import Tell, silent


def adapted(
    folder: str | os.PathLike[str],
    base: LanguageModel | str | os.PathLike[str] | None = None,
    *,
    dtype: str = "float32",
    tell: Tell = silent,
) -> LanguageModel:
    """The base model of an adapter, with the adapter added to its weights in float32.

    Args:
        folder: what `lleval train` or `adapter_files` wrote, or PEFT.
        base: the model, or what `lm.load` takes; None: what PEFT's configuration says.
        dtype: of the weights, where the base is loaded here.
        tell: called with how far loading is, in bytes.

    Raises:
        BadInput: the folder is no adapter's, names no base, or is of another model.
        BadFile: a file of it is damaged.

    Example:
        >>> model = adapted("runs/aot/adapter")  # doctest: +SKIP
        >>> lm.score(model, ["2 + 2 ="], [" 4"]).sums  # doctest: +SKIP
    """
    place = pathlib.Path(folder)
    own = (place / adapter_files.OWN).is_file()
    known = own or (place / adapter_files.CONFIG).is_file()
    require(known, f"{place} holds no adapter: neither {adapter_files.CONFIG} nor {adapter_files.OWN}")
    if not isinstance(base, LanguageModel):
        said = _base(place) if base is None and not own else base
        hint = f"{place} does not say which model it adapts."
        require(bool(said), hint, python="Pass base=.", shell="Pass --base.")
        base = lm.load(str(said), dtype=dtype, tell=tell)
    decoder, _ = (adapter_files.load if own else adapter_files.load_peft)(base.decoder, place)
    files = (*base.source.files, place / (adapter_files.FACTORS if own else adapter_files.WEIGHTS))
    source = dataclasses.replace(base.source, path=place, files=files)
    return dataclasses.replace(base, name=f"{base.name}+{place.name}", decoder=lora.merge(decoder), source=source)


def _base(place: pathlib.Path) -> str:
    """What PEFT's configuration calls the base: a name, or a folder."""
    return str(adapter_files.settings(place / adapter_files.CONFIG).get("base_model_name_or_path") or "")
