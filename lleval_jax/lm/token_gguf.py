"""The tokenizer that a GGUF file carries in its metadata: byte-level BPE, or SentencePiece with scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from lleval_jax.errors import BadFile, chosen, require, require_known
from lleval_jax.lm.codecs import Codec, FastCodec

CONTROL, DEFINED = 3, 4  # tokenizer.ggml.token_type
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>")  # they end a turn where the chat template has them
NUMBERS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def _pattern(digits: str) -> str:
    """How Llama 3 and Qwen 2 split a text into words; they differ in the longest run of digits."""
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        + digits
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def _gpt2(made: Tokenizer) -> None:
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)


def _smollm(made: Tokenizer) -> None:
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), bytes_])


def _split(made: Tokenizer, pattern: str) -> None:
    words = pre_tokenizers.Split(Regex(pattern), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([words, bytes_])


def _llama3(made: Tokenizer) -> None:
    _split(made, _pattern(r"\p{N}{1,3}"))
    made.model.ignore_merges = True


def _qwen2(made: Tokenizer) -> None:
    made.normalizer = normalizers.NFC()
    _split(made, _pattern(r"\p{N}"))


# tokenizer.ggml.pre -> what splits a text into words before merges apply
SPLITS: dict[str, Callable[[Tokenizer], None]] = {
    "gpt-2": _gpt2,
    "llama-bpe": _llama3,
    "qwen2": _qwen2,
    "smollm": _smollm,
}


def fields(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The fields of `Tokens` from GGUF metadata; see `Tokens.from_gguf`."""
    kind = _needed(facts, "model", name)
    require_known(kind, CODECS, f"{name}: the tokenizer")
    codec, texts = CODECS[kind](facts, name), _needed(facts, "tokens", name)
    said = {mark: facts.get(f"tokenizer.ggml.{one}_token_id") for mark, one in NUMBERS.items()}
    numbers = {mark: None if one is None else int(one) for mark, one in said.items()}
    wrong = [(mark, one) for mark, one in numbers.items() if one is not None and not 0 <= one < len(texts)]
    require(not wrong, f"{name}: {wrong} is outside of the {len(texts):,} tokens")
    template = facts.get("tokenizer.chat_template")
    ends = _ends(facts, codec, template or "")
    begin, end = _frame(facts, kind, numbers)
    return {
        "codec": codec,
        "name": name,
        "bos": numbers["bos_token"],
        "eos": ends,
        "pad": next((one for one in (numbers["pad_token"], *ends) if one is not None), 0),
        "begin": begin,
        "end": end,
        "templates": {"default": template} if template else {},
        "marks": {mark: texts[one] for mark, one in numbers.items() if one is not None},
    }


def _needed(facts: Mapping[str, Any], key: str, name: str) -> Any:
    whole = f"tokenizer.ggml.{key}"
    if whole not in facts:
        raise BadFile(f"{name} has no {whole}; it carries no tokenizer that can be used")
    return facts[whole]


def _ends(facts: Mapping[str, Any], codec: Codec, template: str) -> tuple[int, ...]:
    said = (facts.get(f"tokenizer.ggml.{one}_token_id") for one in ("eos", "eot", "eom"))
    turns = (codec.controls.get(one) for one in TURN_ENDS if one in template)
    return tuple(dict.fromkeys(int(one) for one in (*said, *turns) if one is not None))


def _frame(facts: Mapping[str, Any], kind: str, numbers: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """BOS and EOS where the file says so; unsaid, SentencePiece models begin with BOS."""
    begin = numbers["bos_token"] if facts.get("tokenizer.ggml.add_bos_token", kind == "llama") else None
    end = numbers["eos_token"] if facts.get("tokenizer.ggml.add_eos_token", False) else None
    return (() if begin is None else (begin,)), (() if end is None else (end,))


def _byte_level(facts: Mapping[str, Any], name: str) -> FastCodec:
    texts, merges = _needed(facts, "tokens", name), _needed(facts, "merges", name)
    split = chosen(SPLITS, _needed(facts, "pre", name), f"{name}: the pre-tokenizer")
    made = Tokenizer(_bpe(texts, merges, name))
    split(made)
    made.decoder = decoders.ByteLevel()
    kinds = facts.get("tokenizer.ggml.token_type", ())
    require(len(kinds) in (0, len(texts)), f"{name}: {len(kinds):,} kinds of tokens for {len(texts):,} tokens")
    for wanted in (CONTROL, DEFINED):
        listed = [text for text, kind in zip(texts, kinds, strict=False) if kind == wanted]
        made.add_tokens([AddedToken(text, special=wanted == CONTROL, normalized=False) for text in listed])
    return FastCodec(made, "the tokenizer in the metadata")


def _bpe(texts: Sequence[str], merges: Sequence[str], name: str) -> models.BPE:
    vocab = {text: number for number, text in enumerate(texts)}
    require(len(vocab) == len(texts), f"{name}: tokenizer.ggml.tokens lists {len(texts) - len(vocab)} tokens twice")
    pairs = [(one[: (cut := one.find(" ", 1))], one[cut + 1 :]) for one in merges]
    try:
        return models.BPE(vocab=vocab, merges=pairs)
    except Exception as error:  # the library raises bare Exception
        raise BadFile(f"{name}: tokenizer.ggml.merges does not fit its tokens: {error}") from error


def _sentencepiece(facts: Mapping[str, Any], name: str) -> Codec:
    from lleval_jax.lm.pieces import PieceCodec, model_proto  # sentencepiece: only some files need it

    texts, scores, kinds = (_needed(facts, key, name) for key in ("tokens", "scores", "token_type"))
    listed = texts, [float(one) for one in scores], [int(one) for one in kinds]
    sizes = {key: len(one) for key, one in zip(("tokens", "scores", "token_type"), listed, strict=True)}
    require(len(set(sizes.values())) == 1, f"{name}: tokenizer.ggml has lists of unequal length: {sizes}")
    model = model_proto(
        *listed,
        unknown=_needed(facts, "unknown_token_id", name),
        prefix=bool(facts.get("tokenizer.ggml.add_space_prefix", True)),
        collapse=bool(facts.get("tokenizer.ggml.remove_extra_whitespaces", False)),
    )
    return PieceCodec(model, where=name)


# tokenizer.ggml.model -> what makes the vocabulary
CODECS: dict[str, Callable[[Mapping[str, Any], str], Codec]] = {"gpt2": _byte_level, "llama": _sentencepiece}
