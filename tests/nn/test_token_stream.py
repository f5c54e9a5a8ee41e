"""Text as it is written: the parts join to the whole, no half character is shown, nothing after a stop string."""

import random

import pytest
from nn import tiny_tokens

from lleval_jax.lm.codecs import FastCodec
from lleval_jax.lm.tokens import Tokens


def tokens_of(made):
    codec = FastCodec(made)
    return Tokens(codec, "tiny", bos=None, eos=(codec.controls.get("<|im_end|>", 2),), pad=0)


@pytest.fixture(scope="module", params=["byte-level", "pieces"])
def tokens(request):
    made = {"byte-level": tiny_tokens.byte_level, "pieces": tiny_tokens.llama_like}
    return tokens_of(made[request.param]())


def written(stream, numbers):
    return [*(stream.push(each) for each in numbers), stream.finish()]


def test_the_parts_join_to_the_whole(tokens):
    for text in tiny_tokens.random_texts(300, seed=2):
        stream = tokens.stream()
        assert "".join(written(stream, tokens.encode(text))) == stream.text == text


def test_bytes_that_are_no_text_read_as_decode_reads_them():
    tokens, rng = tokens_of(tiny_tokens.byte_level()), random.Random(3)
    for _ in range(300):
        numbers = [rng.randrange(tokens.vocab) for _ in range(20)]
        assert "".join(written(tokens.stream(), numbers)) == tokens.decode(numbers)


def test_no_half_character_is_shown(tokens):
    parts = written(tokens.stream(), tokens.encode("a🎉b"))
    assert [part for part in parts if part] == ["a", "🎉", "b"]


def test_a_character_that_never_ends_is_shown_at_the_end(tokens):
    numbers = tokens.encode("a🎉")[:-1]
    parts = written(tokens.stream(), numbers)
    assert "".join(parts[:-1]) == "a"
    assert set(parts[-1]) == {"\ufffd"}


def test_the_space_after_the_prompt_is_kept(tokens):
    whole, prompt = tokens.encode("It is Paris."), tokens.encode("It is")
    assert whole[: len(prompt)] == prompt
    assert "".join(written(tokens.stream(prompt), whole[len(prompt) :])) == " Paris."


@pytest.mark.parametrize(
    ("stop", "left", "by"),
    [
        (["\n\n"], "one.", "\n\n"),
        (["tw", "\n\nt"], "one.", "\n\nt"),
        (["three", "two"], "one.\n\n", "two"),
        (["o", ""], "", "o"),
        (["four", "three?"], "one.\n\ntwo three", None),
    ],
)
def test_a_stop_string_ends_the_text(tokens, stop, left, by):
    stream = tokens.stream(stop=stop)
    parts = written(stream, tokens.encode("one.\n\ntwo three"))
    assert ("".join(parts), stream.text, stream.stopped) == (left, left, by)


def test_what_may_be_a_stop_string_waits(tokens):
    stream = tokens.stream(stop=["ab!"])
    parts = [stream.push(*tokens.encode("x", special=False)), stream.push(*tokens.encode("ab")), stream.finish()]
    assert "".join(parts) == stream.text
    assert parts[1].strip() == ""
    assert parts[2] == "ab"
