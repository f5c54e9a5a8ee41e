"""SmolLM2 writes: what it is known to say, and what transformers writes with the same weights."""

import gc
import pathlib

import pytest

from lleval_jax import lm
from lleval_jax.lm import registry

pytestmark = pytest.mark.realmodel
PROMPTS = ["The capital of France is", "Once upon a time", "def add(a, b):\n    return"]
LIMIT = 16


@pytest.fixture(scope="module")
def smollm2() -> lm.LanguageModel:
    if registry.find("smollm2") is None:
        pytest.skip("needs the model: lleval models fetch smollm2, and LLEVAL_MODELS where it is not in the cache")
    return lm.load("smollm2")


def test_a_chat(smollm2: lm.LanguageModel) -> None:
    """The model ends its turn by itself."""
    (found,) = lm.generate(smollm2, ["What is the capital of France?"], chat=True, limit=LIMIT)
    assert found.text == "The capital of France is Paris."
    assert found.ended == "eos"


@pytest.mark.parity
def test_greedy_as_transformers(smollm2: lm.LanguageModel, tmp_path: pathlib.Path) -> None:
    """Token for token, three prompts together here and one by one there, on the files that `lm.save` writes."""
    torch = pytest.importorskip("torch", reason="parity: pip install 'lleval-jax[train,parity]'")
    transformers = pytest.importorskip("transformers", reason="parity: pip install 'lleval-jax[train,parity]'")
    found = lm.generate(smollm2, PROMPTS, limit=LIMIT)
    lm.save(smollm2, tmp_path)
    gc.collect()
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    for prompt, each in zip(PROMPTS, found, strict=True):
        tokens = torch.tensor([smollm2.tokens.prompt(prompt)])
        with torch.inference_mode():
            out = other.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                do_sample=False,
                max_new_tokens=LIMIT,
                eos_token_id=list(smollm2.tokens.eos),
                pad_token_id=0,
            )
        whole = out[0, tokens.shape[1] :].tolist()
        assert list(each.tokens) == [token for token in whole if token not in smollm2.tokens.eos]
