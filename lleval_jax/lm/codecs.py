"""Text to token numbers and back through the `tokenizers` library, and what any such library must offer here."""

import importlib
import json
import pathlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

from tokenizers import Tokenizer

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.words import brief

Frame = tuple[tuple[int, ...], tuple[int, ...]]  # what is put before a text, and after it


class Codec(Protocol):
    """One vocabulary: encodes texts, decodes numbers. It adds nothing around a text."""

    size: int  # one more than the largest number
    controls: dict[str, int]  # control tokens, as `<|im_start|>`: text -> number

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Numbers of each text; control tokens written in it are read as such only if `special`."""
        ...

    def decode(self, tokens: Iterable[int], special: bool) -> str:
        """The text of these numbers; control tokens are left out unless `special`."""
        ...

    def number(self, token: str) -> int | None:
        """The number of one token as the vocabulary writes it, None if it has none."""
        ...

    def frame(self) -> Frame:
        """What the tokenizer's own file puts around a text."""
        ...

    def pair(self, first: str, second: str) -> tuple[list[int], list[int]]:
        """Two texts framed as an encoder reads them: numbers, and to which of the two each belongs."""
        ...


class FastCodec:
    """A `tokenizers.Tokenizer`, which a `tokenizer.json` holds whole; never cuts and never pads."""

    def __init__(self, made: Tokenizer, where: str = "the tokenizer") -> None:
        self._plain, self._where = _uncut(made), where
        self._plain.encode_special_tokens = True  # a control token in a text is text
        self.size = max(made.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        added = made.get_added_tokens_decoder().items()
        self.controls = {token.content: number for number, token in added if token.special}

    @classmethod
    def read(cls, path: pathlib.Path) -> "FastCodec":
        """From a `tokenizer.json`. `BadFile` if the library cannot read it."""
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BadFile(f"{path} is not text in UTF-8: {error}") from error
        return cls(_parsed(text, str(path)), str(path))

    @cached_property
    def _parsing(self) -> Tokenizer:
        """The same with control tokens read as such: a second one, for the switch is not safe between threads."""
        return _uncut(self.tokenizer())

    def tokenizer(self) -> Tokenizer:
        """A copy of it, as the library has it."""
        return _parsed(self._plain.to_str(), self._where)

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Numbers of each text; control tokens in it are read as such only if `special`."""
        made = self._parsing if special else self._plain
        return [each.ids for each in made.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, tokens: Iterable[int], special: bool) -> str:
        """The text of these numbers, without control tokens unless `special`."""
        return self._plain.decode([int(each) for each in tokens], skip_special_tokens=not special)

    def number(self, token: str) -> int | None:
        """The number of one token, None if it has none."""
        try:
            return self._plain.token_to_id(token)
        except UnicodeEncodeError:  # a half of a character is in no vocabulary
            return None

    def frame(self) -> Frame:
        """What the file puts before and after a text."""
        bare = self._plain.encode("a", add_special_tokens=False).ids
        whole = self._plain.encode("a").ids
        start = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
        return tuple(whole[:start]), tuple(whole[start + len(bare) :])

    def pair(self, first: str, second: str) -> tuple[list[int], list[int]]:
        """Two texts, framed, and to which of them each number belongs."""
        both = self._plain.encode(first, second)
        return both.ids, both.type_ids


def _parsed(text: str, where: str) -> Tokenizer:
    """A tokenizer from its JSON. `BadFile` if the library cannot read it."""
    try:
        return Tokenizer.from_str(text)
    except BaseException as error:  # the library raises bare Exception, and where it panics not even that
        if isinstance(error, KeyboardInterrupt):
            raise
        raise BadFile(f"{where} is not a tokenizer that can be read: {brief(error)}") from error


def _uncut(made: Tokenizer) -> Tokenizer:
    made.no_truncation()
    made.no_padding()
    return made


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object from a file, {} if there is no such file. `BadFile` if it holds something else."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadFile(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadFile(f"{path} holds a {type(found).__name__}; a JSON object is needed")
    return found


def from_transformers(folder: pathlib.Path) -> FastCodec:
    """From older files (`vocab.json` with `merges.txt`, `vocab.txt`), which transformers turns into a tokenizer."""
    # An extra, slow to load, and slower to check: its types take a checker minutes.
    auto: Any = importlib.import_module("transformers").AutoTokenizer

    try:
        found = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return FastCodec(Tokenizer.from_str(found.backend_tokenizer.to_str()))
    except (OSError, ValueError, KeyError, ImportError, AttributeError) as error:
        raise BadInput(f"{folder} holds no tokenizer that transformers can read: {error}") from error
