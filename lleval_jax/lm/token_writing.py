"""A tokenizer written as Hugging Face publishes one, for transformers and for `Tokens.read`."""

import json
import pathlib
from typing import Any

from tokenizers import Tokenizer, processors

from lleval_jax.lm.codecs import Codec, FastCodec, Frame
from lleval_jax.lm.tokens import Tokens

FAST = "PreTrainedTokenizerFast"  # transformers: what a tokenizer.json says, and nothing else
PIECES = {"gemma3_text": "GemmaTokenizer"}  # family -> how transformers reads its tokenizer.model; else as Llama's


def write(tokens: Tokens, folder: pathlib.Path, family: str = "") -> None:
    """Write the vocabulary, what frames a text, control tokens, chat templates, and what ends a text.

    Args:
        tokens: the tokenizer.
        folder: one that is there.
        family: of the model, whose name transformers knows a SentencePiece vocabulary by.
    """
    frame = tokens.begin, tokens.end
    for name, content in _vocabulary(tokens.codec, frame).items():
        (folder / name).write_bytes(content)
    fast = isinstance(tokens.codec, FastCodec)
    config: dict[str, Any] = {
        "tokenizer_class": FAST if fast else PIECES.get(family, "LlamaTokenizer"),
        **tokens.marks,
        "clean_up_tokenization_spaces": False,
    }
    if not fast:
        config |= {"add_bos_token": bool(tokens.begin), "add_eos_token": bool(tokens.end), "legacy": False}
    if tokens.templates:
        named = [{"name": name, "template": text} for name, text in tokens.templates.items()]
        config["chat_template"] = tokens.templates["default"] if list(tokens.templates) == ["default"] else named
    _json(folder / "tokenizer_config.json", config)
    _json(folder / "generation_config.json", {"bos_token_id": tokens.bos, "eos_token_id": list(tokens.eos)})


def _vocabulary(codec: Codec, frame: Frame) -> dict[str, bytes]:
    """The files of a vocabulary."""
    if isinstance(codec, FastCodec):
        return {"tokenizer.json": _framed(codec, frame).to_str(pretty=True).encode()}
    from lleval_jax.lm.pieces import PieceCodec  # sentencepiece: few models still need it

    if not isinstance(codec, PieceCodec):
        raise TypeError(f"a {type(codec).__name__} has no files")
    return codec.files()


def _framed(codec: FastCodec, frame: Frame) -> Tokenizer:
    """The tokenizer, that puts its frame around a text by itself."""
    made = codec.tokenizer()
    if codec.frame() == frame:
        return made
    known = {number: str(made.id_to_token(number)) for side in frame for number in side}
    begin, end = ([known[number] for number in side] for side in frame)
    texts = [(text, number) for number, text in known.items()]
    made.post_processor = processors.TemplateProcessing(single=[*begin, "$A", *end], special_tokens=texts)
    return made


def _json(file: pathlib.Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
