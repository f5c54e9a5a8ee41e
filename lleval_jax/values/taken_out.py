"""Values taken out of the package: as tables for a notebook, for arrow, and as labelled arrays for xarray."""

import html
import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lleval_jax.errors import RunFailed

SHOWN = 20  # lines of a table in a notebook


def table(title: str, frame: pd.DataFrame, said: Sequence[str] = ()) -> str:
    """HTML: a title, the first lines, and what must be known of them."""
    lines = frame.head(SHOWN).to_html(index=False, border=0, float_format="{:z.3f}".format, na_rep="")
    more = [f"and {len(frame) - SHOWN:,} more"] if len(frame) > SHOWN else []
    below = "".join(f"<div>{html.escape(text)}</div>" for text in [*more, *said])
    return f"<div><b>{html.escape(title)}</b></div>{lines}{below}"


def arrow(frame: pd.DataFrame, said: Mapping[str, Any] | None = None) -> Any:
    """A `pyarrow.Table`; what is said of all lines is JSON in the schema's metadata, under "lleval"."""
    pyarrow = importlib.import_module("pyarrow")  # half a second that few calls need
    found = pyarrow.Table.from_pandas(frame, preserve_index=False)
    return found.replace_schema_metadata({"lleval": json.dumps(said or {})})


def labelled(variables: Mapping[str, Any], coords: Mapping[str, Any], said: Mapping[str, Any] | None = None) -> Any:
    """An `xarray.Dataset`.

    Raises:
        RunFailed: xarray is not installed.
    """
    try:
        xarray = importlib.import_module("xarray")
    except ModuleNotFoundError:
        raise RunFailed("xarray is not installed.", python="Run: pip install xarray") from None
    return xarray.Dataset(dict(variables), coords=dict(coords), attrs=dict(said or {}))
