"""Any bytes in a model's files give a model or one clear line: `lm.load` of folders and GGUF files that are damaged.

A small model is written as a folder (two files of weights with an index, configuration, tokenizer) and as GGUF. In each
case one file is damaged: cut, bits turned, a piece lost, doubled, overwritten or moved, or in a text one value replaced
by an odd one. Half of the damage lies in the first 4 kB, where headers are. The model is then loaded and its tokenizer
used. Counted are cases that were refused as they should be, that loaded (a damaged weight is a weight), and

    escaped   another error than BadInput or OSError came out
    unclear   the message is more than a line, longer than 600 characters or does not name the place
    slow      it took more than `SECONDS`
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator

from bench.kit.results import Record
from bench.kit.settings import setting

TESTS = pathlib.Path(__file__).parents[2] / "tests"
HEAD, SECONDS, LONGEST, KEPT = 4096, 20, 600, 20
GGUF = "tiny.gguf"
VALUE = re.compile(rb'"(?:[^"\\\n]|\\.){0,200}"|-?\d[\d.eE+-]*|true|false|null')
ODD = (
    b'null NaN Infinity 1e999 -1 0 1 2 0.5 true false "" "x" [] {} [[]] [null] [1,"a"] {"a":{}} 9999999999999999999 '
    b'99999999999 1000000 "\\ud800" "1" "BF16" "F8_E4M3" -0.0 "llama" "gpt2" "relu" "../x" [0,1] 1e-320 32 64'
).split()


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    cases: int = setting(1000, "damages of each file")
    seed: int = setting(0, "of the damage")
    only: str = setting("", "one file; all if empty")


def study(settings: Settings, record: Record) -> None:
    """File by file."""
    with tempfile.TemporaryDirectory() as place, _quiet():
        model = made(pathlib.Path(place))
        names = [settings.only] if settings.only else files(model)
        found = {name: tried(model, name, settings.cases, settings.seed) for name in names}
    record.keep({"files": found, "cases": settings.cases, "seed": settings.seed})
    print(json.dumps({name: {k: v for k, v in each.items() if v} for name, each in found.items()}, indent=1))


def made(place: pathlib.Path) -> pathlib.Path:
    """A folder with the small model in it, in both forms."""
    sys.path.insert(0, str(TESTS))
    from flax import nnx
    from nn import test_load

    from lleval_jax.lm.decoder import Decoder
    from lleval_jax.lm.load import LanguageModel, Source, save

    decoder = Decoder(test_load.CONFIG, rngs=nnx.Rngs(3))
    source = Source(pathlib.Path(), ())
    model = LanguageModel("tiny", decoder, test_load.tokens(), test_load.CONFIG, None, source)
    folder = save(model, place / "whole", shard=90_000)
    test_load.in_gguf(folder / GGUF, model)
    return folder


def files(folder: pathlib.Path) -> list[str]:
    """The files of the model that are read."""
    return sorted(each.name for each in folder.iterdir())


def tried(folder: pathlib.Path, name: str, cases: int, seed: int) -> dict:
    """What came of damages to one file: how many of each kind, and the first cases that are no good."""
    content, counts, bad = (folder / name).read_bytes(), collections.Counter(), []
    for case in range(cases):
        damaged = damage(content, random.Random(f"{seed} {name} {case}"), name.endswith(".json"))
        kind, said = outcome(folder, name, damaged)
        counts[kind] += 1
        if kind not in ("loaded", "refused"):
            bad.append({"case": case, "kind": kind, "said": said})
    kinds = ("loaded", "refused", "escaped", "unclear", "slow")
    return {kind: counts[kind] for kind in kinds} | {"bad": bad[:KEPT]}


def damage(content: bytes, rng: random.Random, text: bool) -> bytes:
    """The content with one damage."""
    if text and rng.random() < 0.6:
        found = rng.choice(list(VALUE.finditer(content)))
        return content[: found.start()] + rng.choice(ODD) + content[found.end() :]
    return rng.choice(DAMAGES)(content, rng)


def _at(content: bytes, rng: random.Random) -> int:
    return rng.randrange(min(HEAD, len(content)) if rng.random() < 0.5 else len(content))


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: _at(content, rng)]


def _turned(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        found[_at(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(found)


def _lost(content: bytes, rng: random.Random) -> bytes:
    at = _at(content, rng)
    return content[:at] + content[at + rng.choice((1, 2, 4, 8, 64, 1000)) :]


def _doubled(content: bytes, rng: random.Random) -> bytes:
    at = _at(content, rng)
    return content[: at + rng.choice((1, 2, 4, 8, 64, 1000))] + content[at:]


def _overwritten(content: bytes, rng: random.Random) -> bytes:
    at, size = _at(content, rng), rng.choice((1, 4, 8, 64))
    new = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    return content[:at] + new + content[at + size :]


def _moved(content: bytes, rng: random.Random) -> bytes:
    one, two, three = sorted(_at(content, rng) for _ in range(3))
    return content[:one] + content[two:three] + content[one:two] + content[three:]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_cut, _turned, _lost, _doubled, _overwritten, _moved)


def outcome(whole: pathlib.Path, name: str, content: bytes) -> tuple[str, str]:
    """(what came of a model with this file in place of its own, what was said)."""
    from lleval_jax.errors import BadInput

    place = whole.parent / "damaged"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    (place / name).write_bytes(content)
    try:
        with _limited():
            _used(place / name if name == GGUF else place)
        return "loaded", ""
    except (BadInput, OSError) as error:
        said = str(error)
        return ("refused" if _is_clear(said, place) else "unclear"), said
    except TimeoutError:
        return "slow", traceback.format_exc(limit=-2)
    except BaseException as error:  # a panic of a library is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return "escaped", "".join(traceback.format_exception(error, limit=-4))[-1500:]


def _used(place: pathlib.Path) -> None:
    """Load the model and pass a text and a chat through its tokenizer."""
    from lleval_jax import lm

    tokens = lm.load(place).tokens
    tokens.decode(tokens.encode("She sold 48/2 = 24 clips. <|im_end|> naïve ☃", special=True))
    if tokens.templates:
        tokens.chat("Hello")


def _is_clear(said: str, place: pathlib.Path) -> bool:
    return "\n" not in said and len(said) <= LONGEST and str(place) in said


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """TimeoutError after `SECONDS`."""

    def late(*_: object) -> None:
        raise TimeoutError

    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
