"""Writing against transformers' `generate` on the same random weights: greedy, token for token, in every family."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nn.test_parity_decoder import CASES, filled, torch_model

from lleval_jax.lm import groups
from lleval_jax.lm.families import read_config
from lleval_jax.lm.generate import generate
from lleval_jax.lm.sampling import Sampling, pick
from lleval_jax.lm.stream import Stream

torch = pytest.importorskip("torch", reason="parity: pip install 'lleval-jax[train,parity]'")
transformers = pytest.importorskip("transformers", reason="parity: pip install 'lleval-jax[train,parity]'")

pytestmark = pytest.mark.parity

LIMIT = 24
PROMPTS = [" ".join(map(str, np.random.default_rng(n).integers(3, 96, n))) for n in (5, 12, 30)]
LLAMAS = ("llama", "llama-3.1", "llama-biases", "mistral-window-shorter")
FAMILIES = (*LLAMAS, "qwen2", "qwen3", "gemma2", "gemma3", "neox", "gpt2")


class Numbers:
    """Texts that are numbers of tokens."""

    eos, bos, begin = (), None, ()

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        return [[int(word) for word in text.split()] for text in texts]

    def decode(self, tokens, *, special: bool = False) -> str:
        return "".join(f" {token}" for token in tokens)

    def stream(self, prompt, stop) -> Stream:
        return Stream(self, prompt, stop)


def both(case: str) -> tuple["torch.nn.Module", types.SimpleNamespace]:
    """Torch's model, and ours with its weights."""
    kind, options = CASES[case]
    hf = transformers.AutoConfig.for_model(kind, **options)
    model = torch_model(hf)
    config = read_config({**hf.to_dict(), "architectures": None})
    decoder = filled(config, {name: tensor.numpy() for name, tensor in model.state_dict().items()})
    return model, types.SimpleNamespace(decoder=decoder, tokens=Numbers(), config=config, name=case)


def theirs(model: "torch.nn.Module", prompt: str, **how) -> tuple[int, ...]:
    """What `generate` of transformers writes, prompt by prompt: no padding, no neighbours."""
    tokens = torch.tensor([[int(word) for word in prompt.split()]])
    settings = {"do_sample": False, "max_new_tokens": LIMIT, "eos_token_id": None, "pad_token_id": 0} | how
    with torch.inference_mode():
        out = model.generate(tokens, attention_mask=torch.ones_like(tokens), **settings)
    return tuple(out[0, tokens.shape[1] :].tolist())


@pytest.fixture(autouse=True)
def one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "LEAST", 64)


@pytest.mark.parametrize("case", FAMILIES)
def test_greedy_token_for_token(case: str) -> None:
    """Three prompts of unequal length, together here and one by one there."""
    model, own = both(case)
    found = generate(own, PROMPTS, limit=LIMIT)
    assert [each.tokens for each in found] == [theirs(model, prompt) for prompt in PROMPTS]


def test_the_same_penalty_and_the_same_ends() -> None:
    model, own = both("llama")
    expected = [theirs(model, prompt, repetition_penalty=1.4) for prompt in PROMPTS]
    assert [each.tokens for each in generate(own, PROMPTS, limit=LIMIT, penalty=1.4)] == expected
    ends = [expected[0][7], expected[1][3]]
    expected = [theirs(model, prompt, repetition_penalty=1.4, eos_token_id=ends) for prompt in PROMPTS]
    found = generate(own, PROMPTS, limit=LIMIT, penalty=1.4, eos=ends)
    for each, whole in zip(found, expected, strict=True):
        ended = whole[-1] in ends
        assert each.tokens == (whole[:-1] if ended else whole)
        assert each.ended == ("eos" if ended else "limit")
    assert "eos" in {each.ended for each in found}


@pytest.mark.parametrize(
    "how", [{"top_k": 7}, {"top_p": 0.6}, {"temperature": 0.5, "top_k": 20, "top_p": 0.8}], ids=str
)
def test_what_may_be_drawn_is_what_transformers_leaves(how: dict) -> None:
    """Its own chain of logits processors, on logits of a real size."""
    logits = torch.tensor(3 * np.random.default_rng(1).standard_normal((1, 96)).astype(np.float32))
    warpers = [transformers.TemperatureLogitsWarper(how.get("temperature", 1.0))]
    warpers += [transformers.TopKLogitsWarper(how["top_k"])] if "top_k" in how else []
    warpers += [transformers.TopPLogitsWarper(how["top_p"])] if "top_p" in how else []
    expected = transformers.LogitsProcessorList(warpers)(None, logits)[0]
    own = Sampling(**{"temperature": 1.0} | how)
    keys = jax.random.split(jax.random.key(0), 4000)
    own_logits = jnp.asarray(logits[0].numpy())
    draw = jax.jit(jax.vmap(lambda key: pick(own_logits, jnp.zeros(0, bool), key, own.numbers, own.steps)))
    counts = np.bincount(draw(keys), minlength=96)
    likely = torch.softmax(expected, -1).numpy()
    assert not counts[likely == 0].any()
    assert (counts[likely > 0.01] > 0).all()  # missed with a chance below exp(-40)
