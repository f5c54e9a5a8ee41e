"""The tokenizer in a folder as Hugging Face publishes it: vocabulary, control tokens, chat templates."""

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from lleval_jax.errors import BadFile, BadInput, require
from lleval_jax.lm.codecs import Codec, FastCodec, Frame, from_transformers, read_json

MARKS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
OLDER = ("vocab.json", "vocab.txt")  # which transformers turns into a tokenizer


def fields(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The fields of `Tokens` from a folder; see `Tokens.read`."""
    place = pathlib.Path(folder)
    require(place.is_dir(), f"there is no folder {place} to read a tokenizer from")
    config = read_json(place / "special_tokens_map.json") | read_json(place / "tokenizer_config.json")
    codec, marks = _codec(place, config), _marks(config)
    numbers = {name: codec.number(text) for name, text in marks.items()}
    bos, ends = numbers.get("bos_token"), _ends(place, numbers.get("eos_token"))
    begin, end = _frame(codec, config, numbers)
    return {
        "codec": codec,
        "name": os.fspath(place),
        "bos": bos,
        "eos": ends,
        "pad": next((one for one in (numbers.get("pad_token"), *ends) if one is not None), 0),
        "begin": begin,
        "end": end,
        "templates": _templates(place, config),
        "marks": marks,
    }


def _codec(place: pathlib.Path, config: Mapping[str, Any]) -> Codec:
    fast, pieces = place / "tokenizer.json", place / "tokenizer.model"
    if fast.is_file():
        return FastCodec.read(fast)
    if pieces.is_file():
        from lleval_jax.lm.pieces import PieceCodec  # sentencepiece: few models still need it

        return PieceCodec(pieces.read_bytes(), _added(place, config), where=os.fspath(pieces))
    if any((place / name).is_file() for name in OLDER):
        return from_transformers(place)
    raise BadInput(f"{place} holds no tokenizer: none of {', '.join((fast.name, pieces.name, *OLDER))}")


def _added(place: pathlib.Path, config: Mapping[str, Any]) -> dict[str, int]:
    listed = config.get("added_tokens_decoder") or {}
    return read_json(place / "added_tokens.json") | {one["content"]: int(number) for number, one in listed.items()}


def _marks(config: Mapping[str, Any]) -> dict[str, str]:
    """Control tokens by name; written as a text, or as an object with its `content`."""
    found = ((name, config.get(name)) for name in MARKS)
    texts = ((name, one.get("content") if isinstance(one, dict) else one) for name, one in found)
    return {name: text for name, text in texts if isinstance(text, str)}


def _ends(place: pathlib.Path, own: int | None) -> tuple[int, ...]:
    """The numbers that end a text: those of generation_config.json, else of config.json, and the tokenizer's."""
    said = (read_json(place / name).get("eos_token_id") for name in ("generation_config.json", "config.json"))
    first = next((one for one in said if one is not None), None)
    listed: Iterable[Any] = first if isinstance(first, list) else [first]
    return tuple(dict.fromkeys(one for one in (*listed, own) if isinstance(one, int)))


def _frame(codec: Codec, config: Mapping[str, Any], numbers: Mapping[str, int | None]) -> Frame:
    """What a tokenizer.json says, for it is whole (transformers too passes over `add_bos_token` then); of other files
    what the configuration says, else what the vocabulary does.
    """
    asked = [config.get(f"add_{name}_token") for name in ("bos", "eos")]
    if isinstance(codec, FastCodec) or all(one is None for one in asked):
        return codec.frame()
    sides = zip(asked, (numbers.get("bos_token"), numbers.get("eos_token")), strict=True)
    begin, end = (() if not ask or number is None else (number,) for ask, number in sides)
    return begin, end


def _templates(place: pathlib.Path, config: Mapping[str, Any]) -> dict[str, str]:
    said = config.get("chat_template") or read_json(place / "chat_template.json").get("chat_template")
    found = {"default": said} if isinstance(said, str) else _named(place, said or [])
    file, more = place / "chat_template.jinja", place / "additional_chat_templates"
    found |= {each.stem: _text(each) for each in sorted(more.glob("*.jinja"))}
    return found | ({"default": _text(file)} if file.is_file() else {})


def _text(file: pathlib.Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"{file} is not text in UTF-8: {error}") from error


def _named(place: pathlib.Path, listed: Any) -> dict[str, str]:
    try:
        return {each["name"]: each["template"] for each in listed}
    except (TypeError, KeyError) as error:
        raise BadFile(f"{place / 'tokenizer_config.json'}: chat_template is neither a text nor named texts") from error
