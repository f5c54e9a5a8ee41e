"""SentencePiece vocabularies: a `tokenizer.model`, or the pieces, scores and kinds that a GGUF file lists."""

import itertools
import json
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sentencepiece import SentencePieceProcessor

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm.codecs import Frame

UNKNOWN, CONTROL, DEFINED = 2, 3, 4  # kinds of pieces, alike in SentencePiece's ModelProto and in GGUF
BPE = 2  # TrainerSpec.model_type
SPACE = "\u2581"  # how pieces write a space


class PieceCodec:
    """A SentencePiece model. Each stretch of text between control tokens is encoded by itself.

    Args:
        model: a serialised ModelProto, as in a `tokenizer.model`.
        extra: control tokens that the model's folder adds to it: text -> number.
        where: what the model was read from, for messages.
    """

    def __init__(self, model: bytes, extra: Mapping[str, int] | None = None, *, where: str = "the model") -> None:
        try:
            self._model = SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise BadFile(f"{where} is not a SentencePiece model: {error}") from error
        self.where, self._pieces = where, self._model.get_piece_size()
        own = (i for i in range(self._pieces) if self._model.is_control(i) or self._model.is_unknown(i))
        self.controls = {self._model.id_to_piece(i): i for i in own} | dict(extra or {})
        self.size = max(self._pieces - 1, *self.controls.values()) + 1
        longest_first = sorted(self.controls, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)))
        self._texts = {number: text for text, number in self.controls.items()}

    def files(self) -> dict[str, bytes]:
        """The files that hold it: the model, and the control tokens that were added to it."""
        own = self._model.serialized_model_proto()
        added = {text: number for text, number in self.controls.items() if number >= self._pieces}
        return {"tokenizer.model": own} | ({"added_tokens.json": json.dumps(added).encode()} if added else {})

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Numbers of each text; control tokens in it are read as such only if `special`."""
        return [self._parsed(text) for text in texts] if special else self._model.encode(list(texts))

    def _parsed(self, text: str) -> list[int]:
        found, end = [], 0
        for control in self._control.finditer(text):
            found += [*self._stretch(text[end : control.start()]), self.controls[control.group()]]
            end = control.end()
        return found + self._stretch(text[end:])

    def _stretch(self, text: str) -> list[int]:
        return self._model.encode(text) if text else []

    def decode(self, tokens: Iterable[int], special: bool) -> str:
        """The text of these numbers, without control tokens unless `special`."""
        groups = itertools.groupby(map(int, tokens), self._texts.__contains__)
        return "".join(part for control, group in groups for part in self._decoded(control, group, special))

    def _decoded(self, control: bool, group: Iterable[int], special: bool) -> Iterator[str]:
        if not control:
            yield self._model.decode([each for each in group if each < self._pieces])
        elif special:
            yield from (self._texts[each] for each in group)

    def number(self, token: str) -> int | None:
        """The number of one token, None if it has none."""
        if token in self.controls:
            return self.controls[token]
        found = self._model.piece_to_id(token)
        return found if self._model.id_to_piece(found) == token else None

    def frame(self) -> Frame:
        """BOS, where the model has one."""
        bos = self._model.bos_id()
        return ((bos,) if bos >= 0 else ()), ()

    def pair(self, first: str, second: str) -> tuple[list[int], list[int]]:
        """Refused: there is no form for it."""
        raise BadInput(f"{self.where} has no form for two texts; an encoder's tokenizer.json has")


def model_proto(
    pieces: Sequence[str], scores: Sequence[float], kinds: Sequence[int], *, unknown: int, prefix: bool, collapse: bool
) -> bytes:
    """A BPE model with byte fallback as SentencePiece stores it (a ModelProto).

    Args:
        pieces: the texts, in order of their numbers.
        scores: one a piece; merges with a higher score come first.
        kinds: one a piece, as GGUF and ModelProto number them.
        unknown: the number of the unknown piece.
        prefix: whether a space is put before each text.
        collapse: whether runs of spaces become one.
    """
    kinds = [UNKNOWN if i == unknown else kind for i, kind in enumerate(kinds)]
    trainer = _number(3, BPE) + _number(35, 1)  # model_type, byte_fallback
    normalizer = _text(1, b"identity") + _number(3, prefix) + _number(4, collapse) + _number(5, 1)
    listed = (_text(1, _piece(*each)) for each in zip(pieces, scores, kinds, strict=True))
    return b"".join((*listed, _text(2, trainer), _text(3, normalizer)))


def _piece(text: str, score: float, kind: int) -> bytes:
    shown = text.replace(" ", SPACE) if kind == DEFINED else text
    return _text(1, shown.encode("utf-8", "surrogateescape")) + b"\x15" + struct.pack("<f", score) + _number(3, kind)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
