"""Writing: against a loop without a cache, alone and in company, its ends, its groups, and what it refuses."""

import types
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from nn.test_decoder import CONFIGS, LLAMA

from lleval_jax.errors import BadInput
from lleval_jax.lm import decoding, groups
from lleval_jax.lm.cache import Cache
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.generate import Written, generate
from lleval_jax.lm.sampling import Sampling
from lleval_jax.lm.tokens import Tokens
from lleval_jax.values.progress import Progress

LETTERS = "<|abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS"  # a token each; the first two are control tokens
PROMPTS = ("hello there", "x", "the quick brown fox", "hello")


class Letters:
    """A vocabulary of single letters."""

    size = len(LETTERS)
    controls = ("<", "|")

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        return [[LETTERS.index(letter) for letter in text] for text in texts]

    def decode(self, tokens: Iterable[int], special: bool) -> str:
        return "".join(LETTERS[token] for token in tokens if special or token > 1)


def model_of(config: Config = LLAMA, **tokens: object) -> types.SimpleNamespace:
    """What `lm.load` gives, with random weights large enough that texts differ."""
    decoder = Decoder(config, rngs=nnx.Rngs(1))
    for path, weight in nnx.to_flat_state(nnx.state(decoder)):
        if "norm" not in str(path):
            weight[...] = 6 * weight[...]
    kinds = {"codec": Letters(), "name": "tiny", "bos": None, "eos": (), "pad": 0} | tokens
    return types.SimpleNamespace(decoder=decoder, tokens=Tokens(**kinds), config=config, name="tiny")


@pytest.fixture(autouse=True)
def few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One width of prompts and one length of caches, so that few programs are compiled."""
    monkeypatch.setattr(decoding, "LEAST", 32)
    monkeypatch.setattr(groups, "LEAST", 64)


@pytest.fixture(scope="module")
def model() -> types.SimpleNamespace:
    return model_of()


def slowly(model: types.SimpleNamespace, prompt: str, limit: int, penalty: float = 1.0) -> tuple[int, ...]:
    """Token by token, each from the whole text, by definition."""
    tokens = list(model.tokens.encode(prompt))
    begun = len(tokens)
    for _ in range(limit):
        row = np.zeros((1, 64), np.int32)  # one shape; what follows a token does not change it
        row[0, : len(tokens)] = tokens
        logits = np.asarray(model.decoder(jnp.asarray(row))[0, len(tokens) - 1], np.float64)
        for token in set(tokens):
            logits[token] = logits[token] / penalty if logits[token] > 0 else logits[token] * penalty
        tokens.append(int(logits.argmax()))
    return tuple(tokens[begun:])


@pytest.mark.parametrize(
    "name", ["llama", "gemma", *(pytest.param(n, marks=pytest.mark.slow) for n in ("neox", "gpt2"))]
)
def test_greedy_is_the_most_probable_token_of_the_whole_text(name: str) -> None:
    """Of every family: the cache equals no cache, and unequal prompts together equal each alone."""
    model = model_of(CONFIGS[name])
    found = generate(model, PROMPTS, limit=18)
    assert [each.tokens for each in found] == [slowly(model, prompt, 18) for prompt in PROMPTS]
    assert len({each.tokens for each in found}) == len(PROMPTS)
    assert {each.ended for each in found} == {"limit"}


def test_scanned_and_unrolled_write_the_same(model: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU weights are unrolled; on other devices one scan runs over the layers."""
    found = generate(model, PROMPTS, limit=18)
    monkeypatch.setattr(decoding, "unrolled", lambda decoder: decoder)
    assert generate(model, PROMPTS, limit=18) == found


def test_the_penalty_counts_prompt_and_text(model: types.SimpleNamespace) -> None:
    found = generate(model, PROMPTS, limit=12, penalty=1.7)
    assert [each.tokens for each in found] == [slowly(model, prompt, 12, 1.7) for prompt in PROMPTS]
    assert found != generate(model, PROMPTS, limit=12)


def test_a_text_does_not_depend_on_its_neighbours(model: types.SimpleNamespace) -> None:
    """Alone, in another order, with others, in smaller groups: the same draws."""
    how = {"limit": 20, "temperature": 1.0, "seed": 3, "top_k": 20, "top_p": 0.95, "penalty": 1.2}
    texts = {prompt: generate(model, [prompt], **how)[0] for prompt in PROMPTS}
    assert dict(zip(PROMPTS, generate(model, PROMPTS, **how), strict=True)) == texts
    assert dict(zip(PROMPTS[::-1], generate(model, PROMPTS[::-1], **how), strict=True)) == texts
    assert generate(model, ["a", "zz", "b", PROMPTS[3], "c"], batch=4, **how)[3] == texts[PROMPTS[3]]
    assert generate(model, PROMPTS[:1], **how | {"seed": 4})[0] != texts[PROMPTS[0]]


def test_equal_prompts_are_drawn_differently_and_in_order(model: types.SimpleNamespace) -> None:
    how = {"limit": 20, "temperature": 1.0, "top_k": 20, "top_p": 0.95, "penalty": 1.2}
    first, second, third, _ = generate(model, [*["again"] * 3, "other"], **how)
    assert len({first.text, second.text, third.text}) == 3
    assert generate(model, ["other", "again", "more", "again"], **how)[1::2] == (first, second)


def test_a_common_beginning_is_read_once(model: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given or found, also longer than a piece; texts stay the same."""
    beginning = "a beginning that all have "
    whole = [f"{beginning}{prompt}" for prompt in ("one", "two", "o", "three")]
    alone = tuple(generate(model, [prompt], limit=9)[0] for prompt in whole)
    asked = []
    monkeypatch.setattr(decoding, "PIECE", 16)
    monkeypatch.setattr(decoding, "LEAST", 8)
    read = decoding.read
    monkeypatch.setattr(decoding, "read", lambda *a: asked.append(a[3].shape) or read(*a))
    assert generate(model, whole, limit=9) == alone
    assert asked == [(1, 16), (1, 16)]
    assert generate(model, ["one", "two", "o", "three"], prefix=beginning, limit=9) == alone
    assert generate(model, whole, limit=9, batch=1) == alone
    asked.clear()
    assert generate(model, [beginning], limit=1)
    assert asked == [(1, 16)]


def test_long_prompts_are_read_in_pieces_and_caches_grow(
    model: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = generate(model, PROMPTS, limit=40)
    monkeypatch.setattr(decoding, "PIECE", 8)
    monkeypatch.setattr(decoding, "LEAST", 8)
    monkeypatch.setattr(groups, "AT_ONCE", 8)
    monkeypatch.setattr(groups, "LEAST", 8)
    grown = []
    longer = Cache.longer
    monkeypatch.setattr(Cache, "longer", lambda cache, n: grown.append((cache.length, n)) or longer(cache, n))
    assert generate(model, PROMPTS, limit=40) == found
    assert grown == [(48, 64)]


def test_stop_strings_end_the_text_before_them(model: types.SimpleNamespace) -> None:
    """Wherever they stand; the first to be complete, and of those the first to begin; chunks do not matter."""
    full = generate(model, PROMPTS, limit=40)
    for prompt, each in zip(PROMPTS, full, strict=True):
        for place in (0, 14, 15, 16, 30):
            stop = each.text[place : place + 2]
            first = each.text.index(stop)
            found = generate(model, [prompt], limit=40, stop=stop)[0]
            assert found == Written(each.text[:first], each.tokens[: first + 2], "stop")
    text = full[0].text
    found = generate(model, PROMPTS[:1], limit=40, stop=[text[20:24], text[19:24], text[5:30]])[0]
    assert found.text == text[: min(text.index(text[20:24]), text.index(text[19:24]))]


def test_tokens_that_end_a_text(model: types.SimpleNamespace) -> None:
    """One row ends, the others go on; the token itself is in neither text nor tokens."""
    full = generate(model, PROMPTS, limit=30)
    end = full[0].tokens[7]
    found = generate(model, PROMPTS, limit=30, eos=[end, 4000])
    for short, long in zip(found, full, strict=True):
        size = long.tokens.index(end) if end in long.tokens else 30
        assert short == Written(long.text[:size], long.tokens[:size], "eos" if size < 30 else "limit")
    assert found[0].ended == "eos"
    own = model_of(eos=(end,))
    assert generate(own, PROMPTS, limit=30) == found


def test_rows_that_have_ended_are_left_behind(model: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where half of many rows have ended the others go on alone, with their own keys and penalties."""
    how = {"limit": 40, "temperature": 1.0, "top_k": 20, "top_p": 0.95, "penalty": 1.2}
    full = generate(model, PROMPTS, **how)
    ends = [full[0].tokens[2], full[1].tokens[3], full[3].tokens[4]]
    found = generate(model, PROMPTS, **how, eos=ends)
    monkeypatch.setattr(groups, "FEWEST", 1)
    rows = []
    write = decoding.write
    monkeypatch.setattr(decoding, "write", lambda *a, **k: rows.append(a[2].token.shape[0]) or write(*a, **k))
    assert generate(model, PROMPTS, **how, eos=ends) == found
    assert rows[0] == 4
    assert rows[-1] == 1


def test_once_all_have_ended_nothing_more_is_computed(
    model: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    write = decoding.write
    monkeypatch.setattr(decoding, "write", lambda *a, **k: calls.append(1) or write(*a, **k))
    first = generate(model, PROMPTS[:1], limit=1)[0].tokens[0]
    assert generate(model, PROMPTS[:1], limit=40, eos=[first])[0] == Written("", (), "eos")
    assert not calls
    stop = generate(model, PROMPTS[:1], limit=40)[0].text[3:5]
    calls.clear()
    generate(model, PROMPTS[:1], limit=40, stop=stop)
    assert len(calls) == 1


def test_steps_on_the_device_stop_when_all_rows_have_ended(model: types.SimpleNamespace) -> None:
    """The loop itself ends early: the cache holds no more than was written."""
    program = decoding.program(model.decoder)
    tokens = np.array(model.tokens.encode("hello there"), np.int32)
    (last,) = decoding.pieces([tokens], 4)
    end = generate(model, ["hello there"], limit=6)[0].tokens[4]
    how = Sampling()
    key = jax.random.wrap_key_data(np.zeros((4, 2), np.uint32), impl="threefry2x32")
    ended = np.array([False, True, True, True])
    nothing = np.zeros(4, np.int32), np.zeros((4, 0), bool)
    state = decoding.State(program.cache(4, 64), *nothing, key, np.int32(0), ended)
    choice = decoding.Choice.of(how, [end])
    state = decoding.begin(*program.model, state, *last, choice, steps=how.steps)
    state, found = decoding.write(*program.model, state, choice, np.int32(decoding.CHUNK), steps=how.steps)
    assert int(state.count) == 5
    assert state.cache.filled.tolist() == [11 + 4, 0, 0, 0]
    assert (np.asarray(found)[1:] == decoding.NONE).all()


def test_groups_give_the_same_in_the_order_of_the_prompts(model: types.SimpleNamespace) -> None:
    assert generate(model, PROMPTS, limit=9, batch=1) == generate(model, PROMPTS, limit=9)
    assert generate(model, [], limit=9) == ()


def test_as_many_rows_as_fit(model: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of 64 places holds 2 x 2 layers x 2 heads x 8 numbers of 4 bytes a place, and 5 bytes of where it is."""
    row = decoding.program(model.decoder).bytes_of_row(64)
    assert row == 64 * (2 * 2 * 2 * 8 * 4 + 5) + 4
    monkeypatch.setattr(groups, "free_memory", lambda device: 9 * row)
    assert groups.rows_at_once(row, jax.devices()[0]) == 2
    monkeypatch.setattr(groups, "free_memory", lambda device: 0)
    assert groups.rows_at_once(row, jax.devices()[0]) == 1
    assert len(generate(model, PROMPTS, limit=3)) == len(PROMPTS)


def test_what_is_told(model: types.SimpleNamespace) -> None:
    """From none to all, in tokens; a row that ends early asks for no more."""
    full = generate(model, PROMPTS, limit=30)
    said: list[Progress] = []
    found = generate(model, PROMPTS, limit=30, eos=[full[0].tokens[7]], batch=1, tell=said.append)
    assert (said[0].done, said[0].total, said[0].rate) == (0, 120, None)
    written = sum(len(each.tokens) for each in found)
    assert (said[-1].done, said[-1].total, said[-1].unit) == (written, written, "tokens")
    assert [each.done for each in said] == sorted(each.done for each in said)
    assert all(each.rate and each.rate > 0 for each in said[1:])


def test_who_watches_can_end_it(model: types.SimpleNamespace) -> None:
    def tell(progress: Progress) -> None:
        if progress.done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="^$"):
        generate(model, PROMPTS, limit=40, tell=tell)


def test_new_weights_are_seen(model: types.SimpleNamespace) -> None:
    """The unrolled form is made once for the same weights, and again for others."""
    own = model_of()
    first = generate(own, PROMPTS, limit=9)
    assert decoding.unrolled(own.decoder) is decoding.unrolled(own.decoder)
    own.decoder.embedding.weight[...] = own.decoder.embedding.weight[...][::-1]
    found = generate(own, PROMPTS, limit=9)
    assert [each.tokens for each in found] == [slowly(own, prompt, 9) for prompt in PROMPTS]
    assert found != first


def test_chats_are_put_into_the_template() -> None:
    """A user's text alone, or messages."""
    turns = "{% for m in messages %}{{ m.role[0] }} {{ m.content }}{% endfor %}"
    template = turns + "{% if add_generation_prompt %}<{% endif %}"
    model = model_of(templates={"default": template})
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
    found = generate(model, ["hello", messages], chat=True, limit=9, batch=1)
    assert found == generate(model, ["u hello<", "s be briefu hello<"], limit=9, batch=1)
    with pytest.raises(BadInput, match="prefix is for plain text; in a chat give its messages"):
        generate(model, ["hello"], chat=True, prefix="x")
    with pytest.raises(BadInput, match="prompt 1 is a list; give a text, or messages with chat=True"):
        generate(model, ["hello", messages])


def test_an_empty_prompt_begins_a_text_where_a_token_does_that(model: types.SimpleNamespace) -> None:
    with pytest.raises(BadInput, match=r"prompt 1 is empty, and tiny has no token that begins a text \(bos\); give it"):
        generate(model, ["a", ""])
    begins = model_of(bos=0)
    assert generate(begins, [""], limit=5)[0].tokens == slowly(begins, "<", 5)
    framed = model_of(bos=0, begin=(0,))
    assert generate(framed, ["", "ab"], limit=5, batch=1) == generate(begins, ["<", "<ab"], limit=5, batch=1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"prompts": "text"}, "prompts is one text; give a list of texts"),
        ({"prompts": ["a", 3]}, "prompt 1 is a int; give a text"),
        ({"prompts": ["a", "a" * 64], "limit": 1}, "prompt 1 has 64 tokens; tiny reads and writes 64 at most; short"),
        (
            {"prompts": ["a", "a" * 60], "limit": 5},
            "prompt 1 has 60 tokens; .* and with limit=5 that is 65; shorten it, or ask for 4 or fewer",
        ),
        ({"limit": 0}, "limit is 0; it must be a whole number of tokens above 0"),
        ({"batch": 0}, "batch is 0; it must be a number of rows above 0"),
        ({"stop": ["a", ""]}, "stop string 1 is ''; give texts of one character"),
        ({"temperature": -1}, "temperature is -1"),
    ],
)
def test_what_cannot_be_is_refused(model: types.SimpleNamespace, asked: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        generate(model, **{"prompts": ["a"]} | asked)


def test_a_text_fills_the_context_to_its_last_place(model: types.SimpleNamespace) -> None:
    assert generate(model, ["abcdefgh"], limit=56)[0].tokens == slowly(model, "abcdefgh", 56)
