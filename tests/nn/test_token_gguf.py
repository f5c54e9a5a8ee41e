"""Tokenizers from GGUF metadata: the numbers of the tokenizer that the file was made from."""

import pytest
from nn import tiny_tokens
from sentencepiece import SentencePieceProcessor
from tokenizers import pre_tokenizers

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm.tokens import Tokens

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def smollm():
    made = tiny_tokens.byte_level()
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), bytes_])
    return made


def llama3():
    made = tiny_tokens.byte_level(WORDS % r"\p{N}{1,3}")
    made.model.ignore_merges = True
    return made


ORIGINALS = {
    "gpt-2": tiny_tokens.byte_level,
    "smollm": smollm,
    "qwen2": lambda: tiny_tokens.byte_level(WORDS % r"\p{N}", nfc=True),
    "llama-bpe": llama3,
}


@pytest.mark.parametrize("pre", ORIGINALS)
def test_byte_level_files_give_the_numbers_of_their_original(pre):
    made = ORIGINALS[pre]()
    ours = Tokens.from_gguf(tiny_tokens.gguf_facts(made, pre))
    texts = tiny_tokens.random_texts(500, seed=4) + tiny_tokens.TEXTS
    assert ours.encode_all(texts, special=True) == [made.encode(text).ids for text in texts]
    if pre != "qwen2":  # which normalises
        assert [ours.decode(each) for each in ours.encode_all(texts)] == texts
    assert (ours.bos, ours.eos, ours.pad, ours.begin) == (None, (2,), 0, ())


def test_digits_are_single_in_smollm():
    ours = Tokens.from_gguf(tiny_tokens.gguf_facts(smollm(), "smollm"))
    assert [ours.decode([each]) for each in ours.encode("48")] == ["4", "8"]


def _written(piece, number):
    """GGUF files write the spaces of user-defined pieces (here 3 and 4) as they are."""
    return piece.replace("▁", " ") if number in (3, 4) else piece


def pieces(**options):
    spm = SentencePieceProcessor(model_proto=tiny_tokens.sentencepiece_model(**options))
    numbers = range(spm.get_piece_size())
    kinds = (3 if spm.is_control(i) else 6 if spm.is_byte(i) else 4 if i in (3, 4) else 1 for i in numbers)
    facts = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [_written(spm.id_to_piece(i), i) for i in numbers],
        "tokenizer.ggml.scores": [spm.get_score(i) for i in numbers],
        "tokenizer.ggml.token_type": list(kinds),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_space_prefix": options.get("add_dummy_prefix", True),
    }
    return spm, facts


@pytest.mark.parametrize("prefix", [True, False], ids=["prefix", "bare"])
def test_sentencepiece_files_give_the_numbers_of_their_original(prefix):
    spm, facts = pieces(add_dummy_prefix=prefix, user_defined_symbols=["[INST]", "▁▁"])
    ours = Tokens.from_gguf(facts)
    texts = tiny_tokens.random_texts(500, seed=5) + tiny_tokens.TEXTS
    assert ours.encode_all(texts) == spm.encode(texts)
    assert [ours.decode(each) for each in ours.encode_all(texts)] == texts
    assert (ours.bos, ours.eos, ours.begin, ours.end, ours.pad) == (1, (2,), (1,), (), 2)
    assert ours.prompt("Hi") == [1, *spm.encode("Hi")]


def test_the_end_of_a_turn_ends_the_text_too():
    facts = tiny_tokens.gguf_facts(tiny_tokens.byte_level(), "gpt-2")
    facts |= {"tokenizer.ggml.eos_token_id": 0, "tokenizer.chat_template": tiny_tokens.CHAT}
    found = Tokens.from_gguf(facts)
    assert found.eos == (0, 2)
    assert found.chat("Hi") == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"pre": "viking"}, "gguf: the pre-tokenizer 'viking' is not known; there are gpt-2, llama-bpe, qwen2, smollm"),
        ({"pre": None}, "gguf has no tokenizer.ggml.pre; it carries no tokenizer that can be used"),
        ({"model": "rwkv"}, "gguf: the tokenizer 'rwkv' is not known; there are gpt2, llama"),
        ({"model": None}, "gguf has no tokenizer.ggml.model"),
        ({"tokens": ["a", "a", "b"]}, "gguf: tokenizer.ggml.tokens lists 1 tokens twice"),
        ({"token_type": [3, 1]}, "gguf: 2 kinds of tokens for 400 tokens"),
        ({"merges": ["nowhere there"]}, "gguf: tokenizer.ggml.merges does not fit its tokens"),
        ({"eos_token_id": 999}, r"gguf: \[\('eos_token', 999\)\] is outside of the 400 tokens"),
    ],
)
def test_metadata_that_cannot_be_used(change, what):
    facts = tiny_tokens.gguf_facts(tiny_tokens.byte_level(), "gpt-2")
    facts |= {f"tokenizer.ggml.{key}": value for key, value in change.items()}
    kept = {key: value for key, value in facts.items() if value is not None}
    with pytest.raises(BadInput, match=what):
        Tokens.from_gguf(kept, "gguf")


def test_lists_of_unequal_length():
    _, facts = pieces()
    facts["tokenizer.ggml.scores"] = facts["tokenizer.ggml.scores"][:-1]
    with pytest.raises(BadInput, match="lists of unequal length: {'tokens': 400, 'scores': 399, 'token_type': 400}"):
        Tokens.from_gguf(facts, "gguf")
    del facts["tokenizer.ggml.scores"]
    with pytest.raises(BadFile, match="has no tokenizer.ggml.scores"):
        Tokens.from_gguf(facts, "gguf")
