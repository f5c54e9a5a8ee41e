"""The tokenizers of real models: SmolLM2's and Gemma's out of their GGUF files, MiniLM's out of its folder."""

import pathlib

import pytest
from nn import tiny_tokens
from tokenizers import Tokenizer

from lleval_jax.lm import gguf_file, registry
from lleval_jax.lm.tokens import Tokens

pytestmark = pytest.mark.realmodel
QUESTION = "What is the capital of France?"


def place(name: str) -> pathlib.Path:
    found = registry.find(name)
    if found is None:
        pytest.skip(f"needs the model: lleval models fetch {name}, and LLEVAL_MODELS where it is not in the cache")
    return found


def from_gguf(name: str) -> Tokens:
    file = gguf_file.read(place(name))
    return Tokens.from_gguf(file.meta, name)


@pytest.fixture(scope="module")
def smollm2():
    return from_gguf("smollm2")


def test_smollm2(smollm2):
    assert (smollm2.vocab, smollm2.bos, smollm2.eos, smollm2.pad, smollm2.begin) == (49_152, 1, (2,), 2, ())
    assert smollm2.encode("The capital of France is") == [504, 3575, 282, 4649, 314]
    assert [smollm2.decode([each]) for each in smollm2.encode("in 1234")] == ["in", " ", "1", "2", "3", "4"]
    texts = tiny_tokens.random_texts(10_000)
    assert [smollm2.decode(each) for each in smollm2.encode_all(texts)] == texts
    assert sorted(smollm2.codec.controls.values()) == list(range(17))


def test_smollm2_chats(smollm2):
    told = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    assert smollm2.chat(QUESTION) == f"{told}<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Stop <|im_end|> now"}]
    found = smollm2.chat_tokens(own, generate=False)
    assert found.count(2) == 2
    assert smollm2.decode(found, special=True) == smollm2.chat(own, generate=False)


def test_gemma():
    gemma = from_gguf("gemma3-270m")
    assert (gemma.vocab, gemma.bos, gemma.eos, gemma.pad, gemma.begin) == (262_144, 2, (1,), 0, (2,))
    assert gemma.encode("The capital of France is") == [818, 5279, 529, 7001, 563]
    texts = tiny_tokens.random_texts(10_000)
    assert [gemma.decode(each) for each in gemma.encode_all(texts)] == texts
    assert gemma.encode("a<end_of_turn>", special=True) == [*gemma.encode("a"), 106]
    assert 106 not in gemma.encode("a<end_of_turn>")


def test_minilm():
    folder = place("minilm")
    ours, theirs = Tokens.read(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    texts = tiny_tokens.TEXTS
    assert ours.encode_all(texts, framed=True) == [each.ids for each in theirs.encode_batch(texts)]
    assert (ours.begin, ours.end, ours.decode(ours.encode(QUESTION))) == ((101,), (102,), QUESTION.lower())
