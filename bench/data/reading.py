"""How fast and in how much memory large logs are read: one process a case, the cache apart.

Logs are grown from the tests' fixtures (3 GB on disk), or your own: `--paths FILE_OR_FOLDER ... --metric acc`.

Grown logs hold what the programs wrote, each sample many times under a name of its own, with a question of some
thousand characters.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator

import zstandard

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.data import files

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "fixtures"

CASE = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import lleval_jax.data as data
import numpy, pandas, pyarrow.parquet
path, metric, cache = sys.argv[1], sys.argv[2] or None, sys.argv[3] == "cache"
wall, processor = time.perf_counter(), time.process_time()
found = data.read(path, metric=metric, cache=cache, workers=1)
facts = {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
facts["resident_megabytes"] = int(peak.split()[1]) >> 10
print(json.dumps(facts | {"answers": int(found.n_seen.sum())}))
"""


def case(path: str, metric: str, cache: str, place: str) -> dict:
    """What one process says of one read."""
    words = [sys.executable, "-c", CASE, path, metric, cache]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={"LLEVAL_CACHE": place, "PATH": ""})
    return json.loads(done.stdout)


def questions(seed: int = 0) -> Iterator[str]:
    """Questions of 3,500 to 4,500 characters that hardly repeat themselves."""
    chance = random.Random(seed)
    words = ["".join(chance.choices("etaoinshrdlucmfw", k=chance.randint(2, 11))) for _ in range(20_000)]
    while True:
        yield " ".join(chance.choices(words, k=chance.randint(470, 600)))


def grow(folder: pathlib.Path, megabytes: int) -> list[str]:
    """Logs of lm-eval (so many megabytes) and Inspect (half as many in each of three forms); their paths."""
    found = [grown_lm_eval(folder / "samples_tiny_2026-01-01T00-00-00.jsonl", megabytes * 10**6)]
    samples, summaries, header = grown_samples(megabytes * 10**6 // 2)
    for name, has in (("with_summaries.eval", True), ("without_summaries.eval", False)):
        with zipfile.ZipFile(folder / name, "w") as archive:
            add(archive, "_journal/start.json", {name: header[name] for name in ("version", "eval", "plan")})
            for sample in samples:
                add(archive, f"samples/{sample['id']}_epoch_1.json", sample)
            if has:
                add(archive, "summaries.json", summaries)
            add(archive, "header.json", header)
        found.append(folder / name)
    found.append(folder / "indented.json")
    found[-1].write_text(json.dumps(header | {"samples": samples}, indent=2))
    return [str(path) for path in found]


def add(archive: zipfile.ZipFile, name: str, value: object) -> None:
    """A member in zstd, as Inspect writes it; Python's own zipfile writes it from 3.14 on."""
    content = json.dumps(value).encode()
    archive.writestr(name, zstandard.compress(content))
    info = archive.getinfo(name)  # the directory at the end is what readers go by
    info.compress_type, info.file_size, info.CRC = files.ZSTD, len(content), zlib.crc32(content)


def grown_lm_eval(path: pathlib.Path, size: int) -> pathlib.Path:
    """Lines of a samples log of lm-eval, each a document of its own."""
    (source,) = (FIXTURES / "lm_eval" / "i82qcls7").glob("samples_tiny_choice_*.jsonl")
    lines = [json.loads(line) for line in source.read_text().splitlines()]
    asked = enumerate(questions())
    with path.open("w") as stream:
        while stream.tell() <= size:
            number, question = next(asked)
            line = lines[number % len(lines)]
            line |= {"doc_id": number, "doc": line["doc"] | {"question": question}}
            line["doc_hash"] = hashlib.sha256(question.encode()).hexdigest()
            stream.write(json.dumps(line) + "\n")
    return path


def grown_samples(size: int) -> tuple[list[dict], list[dict], dict]:
    """(samples, summaries, header) of an Inspect log whose samples take so many bytes as JSON."""
    with files.Zip(FIXTURES / "inspect" / "tiny-sums.eval") as archive:
        header, (summary, *_) = (json.loads(archive.content(name)) for name in ("header.json", "summaries.json"))
        sample = json.loads(archive.content(f"samples/{summary['id']}_epoch_1.json"))
    samples: list[dict] = []
    summaries: list[dict] = []
    asked = enumerate(questions())
    while size >= 0:
        number, question = next(asked)
        name = {"id": f"sum-{number}", "epoch": 1}
        samples.append(sample | name | {"input": question})
        summaries.append(summary | name | {"input": question[:1000]})
        size -= len(question) + 6000
    return samples, summaries, header


def unpacked(path: pathlib.Path) -> int:
    """Bytes of a file's content once decompressed."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(info.file_size for info in archive.infolist())


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    paths: tuple[str, ...] = setting((), "files or folders; logs grown from the fixtures if none")
    megabytes: int = setting(1000, "of the grown log of lm-eval; Inspect's have half")
    metric: str = setting("", "that is read")
    wait: bool = setting(True, "until a file is old enough for its hash to be kept")


def study(settings: Settings, record: Record) -> None:
    """A row for each log."""
    with tempfile.TemporaryDirectory() as folder:
        paths, metric = settings.paths, settings.metric
        if not paths:
            paths, metric = grow(pathlib.Path(folder), settings.megabytes), "acc"
        rows = []
        for path in paths:
            rows.append(measured(path, metric, settings.wait))
            print(json.dumps(rows[-1]), flush=True)
            record.keep({"cases": rows})


def measured(path: str, metric: str, wait: bool) -> dict:
    """One log: without the cache, with an empty one, with a full one."""
    inside = [each for each in pathlib.Path(path).rglob("*") if each.is_file()] or [pathlib.Path(path)]
    size = sum(each.stat().st_size for each in inside) / 1e6
    for each in inside:
        each.read_bytes()  # into the page cache
    with tempfile.TemporaryDirectory() as place:
        time.sleep(3.5 if wait else 0)  # a file younger than this is hashed again
        used = metric if path.endswith("jsonl") or pathlib.Path(path).is_dir() else ""
        plain, first, second = (case(path, used, kind, place) for kind in ("plain", "cache", "cache"))
    less = first["processor_seconds"] / second["processor_seconds"]
    return {
        "path": pathlib.Path(path).name,
        "megabytes": round(size),
        "megabytes_inside": round(sum(map(unpacked, inside)) / 1e6),
        "plain": plain,
        "first": first,
        "second": second,
        "megabytes_a_core_second": round(size / plain["processor_seconds"]),
        "second_read_times_faster": round(first["seconds"] / second["seconds"], 1),
        "second_read_times_less_processor": round(less, 1),
    }
