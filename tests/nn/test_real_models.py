"""Real models out of their packages: perplexity on a fixed text, time and memory of loading, parity with transformers.

They are found where `lleval models fetch` puts them (LLEVAL_MODELS); what is not there is skipped with the command that
fetches it. The texts are the opening of Pride and Prejudice: 76 tokens of SmolLM2, and 78 of Gemma 3 with its BOS in
the older reading, "considered as the rightful property". The bars are those of GGUF's own rotation and norms; read
otherwise (`wrong`) a model still writes fluently.
"""

import json
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.lm import gguf_families, gguf_file, registry
from lleval_jax.lm.gguf_families import Architecture
from lleval_jax.lm.load import LanguageModel, load, save

pytestmark = pytest.mark.realmodel
OPENING = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a "
    "wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, this "
    "truth is so well fixed in the minds of the surrounding families, that he is considered the rightful property of "
    "some one or other of their daughters."
)
OLDER = OPENING.replace("considered the rightful", "considered as the rightful")
# text, tokens, perplexity; seconds of a processor and gigabytes that loading may take. What the clock on the wall says
# depends on what else the machine does.
KNOWN = {"smollm2": (OPENING, 76, 29.9, 6, 1.5), "gemma3-270m": (OLDER, 78, 17.5, 12, 3.0)}
MEASURED = """
import json, pathlib, sys, time
from lleval_jax import lm
import jax
load = lm.load
jax.devices()
start = time.process_time()
model = load(sys.argv[1])
seconds = time.process_time() - start
peak = next(line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "peak": int(peak.split()[1]) * 1024 / 1e9}))
"""


def there(name: str) -> str:
    """The name, of a model that is on this machine."""
    if registry.find(name) is None:
        terms = registry.MODELS[name].terms
        pytest.skip(f"needs {name}: lleval models fetch {name}{terms and f' --accept {terms}'}")
    return name


@pytest.fixture(scope="module", params=KNOWN)
def model(request) -> LanguageModel:
    return load(there(request.param))


def perplexity(model: LanguageModel, text: str) -> tuple[int, float]:
    """(tokens, perplexity) of a text; of all tokens but the first."""
    tokens = jnp.array([model.tokens.prompt(text)])
    logs = jax.nn.log_softmax(model.decoder(tokens)[0, :-1])
    return tokens.shape[1], float(jnp.exp(-jnp.take_along_axis(logs, tokens[0, 1:, None], 1).mean()))


def test_perplexity_is_the_known_one(model):
    text, tokens, expected, *_ = KNOWN[model.name]
    found = perplexity(model, text)
    assert found[0] == tokens
    assert abs(found[1] - expected) < 0.3


def test_rows_left_in_pairs_are_noticed(monkeypatch):
    """The pitfall of llama's files: rows in pairs under a rotation of halves make perplexity four times as high."""
    plain = gguf_families.ARCHITECTURES["llama"]
    monkeypatch.setitem(gguf_families.ARCHITECTURES, "llama", Architecture(plain.names, plain.config))
    _, found = perplexity(load(there("smollm2")), OPENING)
    assert abs(found - 116.6) < 0.5


@pytest.mark.parametrize("name", KNOWN)
def test_a_header_takes_a_fraction_of_a_second(name):
    path, seconds = registry.located(there(name)), []
    for _ in range(3):
        start = time.process_time()
        found = gguf_file.read(path)
        seconds.append(time.process_time() - start)
    held = len(found.meta["tokenizer.ggml.tokens"]), len(found.tensors)
    assert held == {"smollm2": (49_152, 272), "gemma3-270m": (262_144, 236)}[name]
    assert min(seconds) < 0.3


@pytest.mark.parametrize("name", KNOWN)
def test_loading_is_quick_and_small(name):
    *_, seconds, gigabytes = KNOWN[there(name)]
    done = subprocess.run([sys.executable, "-c", MEASURED, name], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["peak"] < gigabytes
    assert found["seconds"] < seconds


@pytest.mark.parity
def test_transformers_reads_what_is_saved_and_gives_the_same_logits(model, tmp_path):
    torch = pytest.importorskip("torch", reason="compares with transformers' PyTorch models: extra `parity`")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = KNOWN[model.name][0]
    numbers = model.tokens.prompt(text)
    folder = save(model, tmp_path / "saved", shard=200_000_000)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        expected = theirs(torch.tensor([numbers])).logits[0].numpy()
    found = np.asarray(model.decoder(jnp.array([numbers]))[0])
    assert np.abs(found - expected).max() < 1e-3
    assert np.array_equal(found.argmax(-1), expected.argmax(-1))
    assert AutoTokenizer.from_pretrained(folder)(text)["input_ids"] == numbers
