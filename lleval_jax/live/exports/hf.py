"""The Hugging Face layout: parquet with pictures that `datasets` decodes, and a card with configs and licences."""

import io
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lleval_jax import writing
from lleval_jax.live.exports.items import TEXTS
from lleval_jax.live.steps import Blobs

SPLIT = "test"
FEATURES = {name: {"dtype": "string", "_type": "Value"} for name in TEXTS} | {"image": {"_type": "Image"}}
SPDX = {"CC-BY": "cc-by-4.0", "CC-BY-SA": "cc-by-sa-4.0", "CC0": "cc0-1.0", "CC-BY-NC": "cc-by-nc-4.0"}


def write(
    folder: pathlib.Path, configs: Mapping[str, Sequence[dict[str, str]]], blobs: Blobs, *, shard: int
) -> dict[str, int]:
    """`data/<config>/test-00000-of-00001.parquet` of each config; config -> files."""
    counts = {}
    for name, rows in configs.items():
        parts = list(_shards(rows, blobs, shard))
        place = folder / "data" / name
        place.mkdir(parents=True)
        for i, part in enumerate(parts):
            writing.put(place / f"{SPLIT}-{i:05}-of-{len(parts):05}.parquet", packed(part, blobs))
        counts[name] = len(parts)
    return counts


def packed(rows: Sequence[dict[str, str]], blobs: Blobs) -> bytes:
    """A parquet file with the pictures of its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    told = json.dumps({"info": {"features": FEATURES}}).encode()
    schema = pa.schema([*((name, pa.string()) for name in TEXTS), ("image", picture)], metadata={b"huggingface": told})
    table = pa.Table.from_pylist([each | {"image": _picture(each, blobs)} for each in rows], schema=schema)
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def card(name: str, configs: Mapping[str, Sequence[dict[str, str]]], sheet: str) -> str:
    """README.md: the configs for `datasets`, and the data sheet."""
    families = sorted({each["licence"] for rows in configs.values() for each in rows})
    parts = "".join(
        f"- config_name: {each}\n  data_files:\n  - split: {SPLIT}\n    path: data/{each}/*.parquet\n"
        for each in configs
    )
    licence = "".join(f"- {SPDX.get(each, 'other')}\n" for each in families)
    head = f"---\npretty_name: {json.dumps(name)}\nlicense:\n{licence}configs:\n{parts}---\n\n"
    how = (
        "\n## Licences\n\nEach config holds papers of one family of licences, named in the columns `licence` and "
        "`licence_url`; `attribution` and NOTICE name authors and sources. Figures are cropped, tables are read.\n"
    )
    return head + sheet + how


def _picture(row: dict[str, str], blobs: Blobs) -> dict[str, Any] | None:
    name = row["image_file"]
    return {"bytes": blobs.get(name.removesuffix(".png")), "path": name} if name and not row["box"] else None


def _shards(rows: Sequence[dict[str, str]], blobs: Blobs, most: int) -> Iterator[list[dict[str, str]]]:
    """Rows in files of so many bytes, at least one row a file."""
    part, size = list[dict[str, str]](), 0
    for each in rows:
        name = each["image_file"]
        more = sum(map(len, each.values())) + (
            blobs.path(name.removesuffix(".png")).stat().st_size if name and not each["box"] else 0
        )
        if part and size + more > most:
            yield part
            part, size = [], 0
        part.append(each)
        size += more
    yield part
