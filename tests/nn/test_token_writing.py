"""A tokenizer that is written and read again gives the same numbers, frames and chats."""

import json

import pytest
from nn import tiny_tokens

from lleval_jax.lm import token_writing
from lleval_jax.lm.tokens import Tokens

BYTES = tiny_tokens.gguf_facts(tiny_tokens.byte_level(), "gpt-2") | {"tokenizer.ggml.bos_token_id": 1}
CHAT = {"tokenizer.chat_template": tiny_tokens.CHAT}
KINDS = {
    "byte level": BYTES | CHAT,
    "framed": BYTES | {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True},
}


def pieces(folder) -> Tokens:
    """A SentencePiece model and control tokens that its folder adds."""
    (folder / "tokenizer.model").write_bytes(tiny_tokens.sentencepiece_model())
    (folder / "added_tokens.json").write_text('{"<turn>": 400}')
    marks = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(marks))
    return Tokens.read(folder)


@pytest.mark.parametrize("kind", [*KINDS, "pieces"])
def test_what_is_written_gives_the_same_numbers(tmp_path, kind):
    (tmp_path / "again").mkdir()
    first = pieces(tmp_path) if kind == "pieces" else Tokens.from_gguf(KINDS[kind])
    token_writing.write(first, tmp_path / "again")
    again = Tokens.read(tmp_path / "again")
    texts = tiny_tokens.random_texts(200, seed=7)
    for special in (False, True):
        assert again.encode_all(texts, special=special) == first.encode_all(texts, special=special)
    for name in ("bos", "eos", "pad", "begin", "end", "templates", "marks", "vocab"):
        assert getattr(again, name) == getattr(first, name), name
    assert again.encode("a", framed=True) == first.encode("a", framed=True)
