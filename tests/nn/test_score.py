"""Answers scored by a decoder: the full softmax's numbers, however rows are packed, shared, cut and batched."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lleval_jax.errors import BadInput
from lleval_jax.lm.choices import choices
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.logprobs import Chunks, answer_logprobs
from lleval_jax.lm.mesh import mesh, place
from lleval_jax.lm.score import perplexity, score

CONFIG = Config(vocab=61, layers=2, width=16, heads=4, kv_heads=2, head_dim=4, hidden=32, context=48, final_cap=3.0)
CLOSE = {"atol": 3e-5, "rtol": 1e-5}
WORDS = ["", "<s>", *"abcdefgh \n", " a", " b", " ab", "ab", "cde"]


@dataclasses.dataclass
class Words:
    """A tokenizer of a few words, the longest first."""

    begin: tuple[int, ...] = ()
    bos: int | None = None

    def encode(self, text):
        found = []
        while text:
            token = max(range(2, len(WORDS)), key=lambda i: text.startswith(WORDS[i]) * len(WORDS[i]))
            found.append(token)
            text = text[len(WORDS[token]) :]
        return found

    def encode_all(self, texts):
        return list(map(self.encode, texts))

    def prompt(self, text):
        return [*self.begin, *self.encode(text)]

    def chat_tokens(self, text):
        return [1, *self.encode(text), 1]


def made(tokens=None, **changes):
    """A model with random weights, far enough from uniform."""
    config = dataclasses.replace(CONFIG, **changes)
    decoder = Decoder(config, rngs=nnx.Rngs(0))
    nnx.update(decoder, jax.tree.map(lambda weight: 3 * weight, nnx.state(decoder)))
    return SimpleNamespace(name="toy", decoder=decoder, tokens=tokens or Words(), config=config, mesh=None)


@pytest.fixture(scope="module")
def model():
    return made()


def full(model, tokens):
    """Log-probability of each token but the first, from all logits of one row, by NumPy in float64.

    The row is filled up, so that one program does for all lengths: what comes later is not seen.
    """
    filled = jnp.asarray([[*tokens, *[0] * (50 - len(tokens))]], jnp.int32)
    logits = np.asarray(model.decoder(filled), np.float64)[0, : len(tokens) - 1]
    most = logits.max(1)
    return logits[np.arange(len(tokens) - 1), tokens[1:]] - most - np.log(np.exp(logits - most[:, None]).sum(1))


@pytest.fixture(scope="module")
def asked(model):
    """Token ids of prompts and answers, some prompts with a common beginning; and what each answer token scores."""
    rng = np.random.default_rng(1)
    start = rng.integers(2, 61, 14).tolist()
    prompts = [rng.integers(2, 61, n).tolist() for n in (1, 5, 12, 30, 3)]
    prompts += [start[:k] + rng.integers(2, 61, n).tolist() for k, n in ((14, 1), (14, 9), (14, 2), (8, 3), (14, 1))]
    answers = [rng.integers(2, 61, n).tolist() for n in (3, 1, 8, 18, 2, 4, 2, 1, 7, 3)]
    truth = [full(model, p + a)[len(p) - 1 :] for p, a in zip(prompts, answers, strict=True)]
    return prompts, answers, truth


WAYS = {
    "packed": {"share": 0},
    "shared": {"share": 4},
    "shared, small batches and chunks": {"share": 4, "batch": 32, "chunks": Chunks(7, 5)},
}


@pytest.mark.parametrize("way", WAYS)
def test_scores_are_those_of_the_full_softmax(model, asked, way):
    prompts, answers, truth = asked
    found = score(model, prompts, answers, **WAYS[way])
    assert found.lengths.tolist() == list(map(len, answers))
    for i, (answer, each) in enumerate(zip(answers, truth, strict=True)):
        np.testing.assert_allclose(found.logprobs[i, found.seen[i]], each, **CLOSE)
        assert found.tokens[i, found.seen[i]].tolist() == answer
    np.testing.assert_allclose(found.sums, [each.sum() for each in truth], atol=1e-4)
    np.testing.assert_allclose(found.means, [each.mean() for each in truth], **CLOSE)
    assert not found.logprobs[~found.seen].any()


def test_layers_with_windows_and_learned_positions_are_packed_alike():
    """What a layer sees is counted in positions, not in places of a packed row."""
    model = made(windows=(4, 0), rotary=None, learned_positions=True, final_cap=None)
    rng = np.random.default_rng(2)
    start = rng.integers(2, 61, 10).tolist()
    prompts = [start + rng.integers(2, 61, n).tolist() for n in (2, 5, 3)] + [[4], [5, 6, 7]]
    answers = [[7, 8, 9, 10, 11, 12]] * 5
    found = score(model, prompts, answers, share=4)
    for i, prompt in enumerate(prompts):
        np.testing.assert_allclose(found.logprobs[i], full(model, prompt + answers[i])[len(prompt) - 1 :], **CLOSE)


def test_the_same_call_gives_the_same_bits(model, asked):
    prompts, answers, _ = asked
    one, other = (score(model, prompts, answers, share=4) for _ in range(2))
    assert one == other


def test_order_does_not_matter(model, asked):
    prompts, answers, _ = asked
    whole = score(model, prompts, answers, share=4)
    turned = score(model, prompts[::-1], answers[::-1], share=4)
    np.testing.assert_allclose(turned.sums[::-1], whole.sums, atol=1e-4)


def test_an_unrolled_decoder_scores_alike(model, asked):
    prompts, answers, truth = asked
    unrolled = SimpleNamespace(**{**vars(model), "decoder": model.decoder.unrolled()})
    found = score(unrolled, prompts, answers, share=4)
    np.testing.assert_allclose(found.sums, [each.sum() for each in truth], atol=1e-4)


@pytest.mark.slow
def test_a_mesh_of_devices_scores_alike(asked):
    """Rows over four devices, heads and vocabulary over two, each of which takes its part of every chunk."""
    model = made(vocab=64)
    prompts, answers, _ = asked
    alone = score(model, prompts, answers, share=4)
    place(model.decoder, mesh(data=2, fsdp=2, tensor=2))
    found = score(model, prompts, answers, share=4, chunks=Chunks(8, 16))
    np.testing.assert_allclose(found.logprobs, alone.logprobs, **CLOSE)


def test_prompt_and_answer_are_cut_where_the_prompt_ends(model):
    """Encoded in one piece; blanks at the prompt's end count to the answer."""
    ends = score(model, ["cd", "cd ", "ab\n"], [" ab", "ab", "cde"])
    ids = [WORDS.index(word) for word in (" ab", "\n", "cde")]
    assert [row[row > 0].tolist() for row in ends.tokens] == [ids[:1], ids[:1], ids[1:]]
    assert ends.sums[0] == ends.sums[1]
    by_ids = score(model, [[WORDS.index("c"), WORDS.index("d")]], [ids[:1]])
    np.testing.assert_allclose(by_ids.sums, ends.sums[:1], **CLOSE)


def test_texts_and_ids_mix(model):
    """A text with ids is encoded alone."""
    c, ab = WORDS.index("c"), WORDS.index("ab")
    found = score(model, ["c", [c], np.array([c]), "c"], ["ab", "ab", np.array([ab]), [ab]])
    assert found.tokens.tolist() == [[ab]] * 4
    np.testing.assert_allclose(found.sums, found.sums[0], **CLOSE)


def test_what_begins_a_text_comes_first(model):
    """Before prompts that are texts, and alone where a prompt is empty."""
    c, ab = WORDS.index("c"), WORDS.index("ab")
    bos = SimpleNamespace(**{**vars(model), "tokens": Words(begin=(1,), bos=1)})
    only = SimpleNamespace(**{**vars(model), "tokens": Words(bos=1)})
    found = score(bos, ["c", "", [c]], ["ab", "ab", "ab"])
    ids = score(model, [[1, c], [1], [c]], [[ab]] * 3)
    np.testing.assert_allclose(found.sums, ids.sums, **CLOSE)
    np.testing.assert_allclose(score(only, ["", "c"], ["ab"] * 2).sums, ids.sums[1:], **CLOSE)


def test_chats_are_put_into_the_template(model):
    found = score(model, ["c"], ["ab"], chat=True)
    c, ab = WORDS.index("c"), WORDS.index("ab")
    np.testing.assert_allclose(found.sums, score(model, [[1, c, 1]], [[ab]]).sums, **CLOSE)


WRONG = {
    "row 1: the answer is empty": (["c", "c"], ["ab", ""]),
    r"row 1: the answer is empty; there": ([[1], [1]], [[2], []]),
    r"row 1: the prompt is empty, and toy has no token that begins a text \(bos\)": (["c", ""], ["ab", "ab"]),
    "row 0: the prompt is empty, and toy": ([" "], ["ab"]),
    "row 0: the prompt has no token": ([[]], ["ab"]),
    "row 1: prompt and answer have 49 tokens; toy reads 48 at most": ([[2], [2] * 48], [[2], [2]]),
    "row 0: there is no token 61; toy has tokens 0 to 60": ([[2]], [[61]]),
    "row 0: there is no token -1; toy has tokens 0 to 60": ([[-1]], [[6]]),
    "row 0: the answer has no token of its own": (["cd"], ["e"]),
    "there are 2 prompts and 1 answers": (["c", "c"], ["ab"]),
    "prompts is one text; give a list of texts": ("c", ["ab"]),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_scored_is_one_clear_line(model, message):
    with pytest.raises(BadInput, match=message):
        score(model, *WRONG[message])


def test_nothing_to_score_is_nothing(model):
    found = score(model, [], [])
    assert found.sums.shape == (0,)
    assert found.logprobs.shape == (0, 0)


def test_progress_counts_tokens_and_how_fast(model, asked):
    prompts, answers, _ = asked
    told = []
    score(model, prompts, answers, share=4, batch=32, chunks=Chunks(7, 5), tell=told.append)
    total = told[-1].total
    assert 120 < total < sum(map(len, prompts)) + sum(map(len, answers))
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert (told[0].done, told[-1].done, told[-1].total, told[-1].unit) == (0, total, total, "tokens")
    assert len(told) > 3
    assert told[-1].rate > 0


def test_gradients_go_through_the_chunks():
    """Of every parameter: those of the full softmax; and one slope by finite differences."""
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 61, (2, 9)), jnp.int32)
    places = jnp.asarray([3, 4, 5, 12, 17, -1], jnp.int32)
    shape, weights = nnx.split(made(layers=1).decoder)

    def ours(weights):
        return answer_logprobs(nnx.merge(shape, weights), tokens, places, chunks=Chunks(7, 2)).sum()

    def theirs(weights):
        decoder = nnx.merge(shape, weights)
        logprobs = jax.nn.log_softmax(decoder.logits(decoder.hidden(tokens))).reshape(18, -1)
        return logprobs[places[:5] - 1, tokens.reshape(-1)[places[:5]]].sum()

    one, other = (jax.jit(jax.value_and_grad(way))(weights) for way in (ours, theirs))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5)
    for mine, plain in zip(jax.tree.leaves(one[1]), jax.tree.leaves(other[1]), strict=True):
        np.testing.assert_allclose(mine, plain, atol=2e-5 * float(jnp.abs(plain).max()) + 1e-6)
    slopes = jax.tree.map(np.asarray, one[1])
    step = jax.tree.map(lambda slope: 2e-4 * slope / np.abs(slope).max(), slopes)
    value = jax.jit(ours)
    up, down = (value(jax.tree.map(lambda w, s: np.asarray(w) + s, weights, way)) for way in (step, _minus(step)))
    along = sum(float((g * s).sum()) for g, s in zip(jax.tree.leaves(slopes), jax.tree.leaves(step), strict=True))
    np.testing.assert_allclose((up - down) / 2, along, rtol=5e-3)


def _minus(step):
    return jax.tree.map(np.negative, step)


def test_perplexity_is_of_all_tokens_but_the_first(model):
    tokens = np.random.default_rng(0).integers(2, 61, 40).tolist()
    np.testing.assert_allclose(perplexity(model, tokens), np.exp(-full(model, tokens).mean()), rtol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(16, None), (10, 1)])
def test_windows_of_a_long_text_score_each_token_once(model, window, stride):
    tokens = np.random.default_rng(3).integers(2, 61, 50).tolist()
    each, first, step = [], 0, stride or window // 2
    while not each or first + window - step < len(tokens):
        part = full(model, tokens[first : first + window])
        each += part.tolist() if first == 0 else part[window - step - 1 :].tolist()
        first += step
    assert len(each) == 49
    np.testing.assert_allclose(
        perplexity(model, tokens, window=window, stride=stride), np.exp(-np.mean(each)), rtol=1e-5
    )


def test_a_text_too_short_or_a_window_too_wide(model):
    with pytest.raises(BadInput, match="the text has 1 tokens; perplexity needs two"):
        perplexity(model, "a")
    with pytest.raises(BadInput, match="window is 49; it must be from 2 to 48"):
        perplexity(model, "ab cde", window=49)
    with pytest.raises(BadInput, match="stride is 8; it must be from 1 to 7"):
        perplexity(model, "ab cde", window=8, stride=8)


def test_choices_are_the_most_probable(model):
    options = [["a", " b", "cdecde"], ["cde", "f"]]
    by_sum = choices(model, ["ab", "cd"], options)
    sums = [score(model, [prompt] * len(own), own).sums for prompt, own in zip(["ab", "cd"], options, strict=True)]
    np.testing.assert_allclose(by_sum.sums[0], sums[0], **CLOSE)
    np.testing.assert_allclose(by_sum.sums[1, :2], sums[1], **CLOSE)
    assert by_sum.sums[1, 2] == -np.inf
    assert by_sum.best.tolist() == [one.argmax() for one in sums]
    np.testing.assert_allclose(by_sum.probability.sum(1), 1)
    per_character = choices(model, ["ab", "cd"], options, by="character").scores
    np.testing.assert_allclose(per_character[0], sums[0] / [1, 1, 6], **CLOSE)
    per_token = choices(model, ["ab", "cd"], options, by="token").scores
    np.testing.assert_allclose(per_token[0], sums[0] / [1, 1, 2], **CLOSE)


def test_the_same_options_for_all(model):
    one = choices(model, ["ab", "cd"], ["a", "f"])
    assert one == choices(model, ["ab", "cd"], [["a", "f"]] * 2)
    assert one.sums.shape == (2, 2)


def test_options_that_cannot_be_compared(model):
    with pytest.raises(BadInput, match="prompt 1 has no options"):
        choices(model, ["ab", "cd"], [["a"], []])
    with pytest.raises(BadInput, match="there are 2 prompts and options for 1"):
        choices(model, ["ab", "cd"], [["a", "b"]])
    with pytest.raises(BadInput, match="prompt 0: options without characters"):
        choices(model, ["ab"], [[[3], [4]]], by="character")
    with pytest.raises(BadInput, match="by 'mean' is not known"):
        choices(model, ["ab"], [["a"]], by="mean")
