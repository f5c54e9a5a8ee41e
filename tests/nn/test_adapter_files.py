"""Adapters in files: our own hold what a seed does not give, PEFT's are those of `peft` itself."""

import copy
import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from nn.test_lora import moved
from nn.tiny_encoders import config as encoder_config

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm import families
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.text_encoder import load_encoder
from lleval_jax.training.low_rank import adapter_files, lora
from lleval_jax.training.low_rank.lora import Lora

SHAPE = {"vocab": 37, "layers": 3, "width": 16, "heads": 4, "kv_heads": 2, "head_dim": 4, "hidden": 24, "context": 32}
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 37, (2, 9)))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(Config(**SHAPE), rngs=nnx.Rngs(1))


def adapted(decoder: Decoder, **settings) -> tuple[Decoder, Lora]:
    adapters = Lora(rank=2, targets=("query", "mlp.*"), **settings)
    return moved(lora.attach(decoder, adapters)), adapters


@pytest.mark.parametrize("unrolled", [False, True])
@pytest.mark.parametrize("settings", [{}, {"stabilised": True, "alpha": 3.0}], ids=str)
def test_a_peft_folder_gives_the_same_model_back(decoder: Decoder, settings: dict, unrolled: bool, tmp_path) -> None:
    base = decoder.unrolled() if unrolled else decoder
    model, adapters = adapted(base, **settings)
    adapter_files.save_peft(model, adapters, tmp_path / "a", base="toy")
    again, found = adapter_files.load_peft(base, tmp_path / "a")
    np.testing.assert_array_equal(again(TOKENS), model(TOKENS))
    assert found.scale == adapters.scale
    names = safetensors.numpy.load_file(tmp_path / "a" / "adapter_model.safetensors")
    assert names["base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight"].shape == (2, 16)
    assert len(names) == 3 * 4 * 2
    other, _ = adapter_files.load_peft(decoder if unrolled else decoder.unrolled(), tmp_path / "a")
    np.testing.assert_allclose(other(TOKENS), model(TOKENS), atol=1e-5)


def test_a_file_of_b_alone_draws_a_again(decoder: Decoder, tmp_path) -> None:
    adapters = Lora(rank=2, learn="B", seed=9)
    model = lora.attach(decoder, adapters)
    for _, each in lora.adapters(model):
        each.b[...] = jnp.ones_like(each.b[...])
    adapter_files.save(model, adapters, tmp_path / "a")
    again, found = adapter_files.load(decoder, tmp_path / "a")
    np.testing.assert_array_equal(again(TOKENS), model(TOKENS))
    assert found == adapters
    kept = safetensors.numpy.load_file(tmp_path / "a" / "adapter.safetensors")
    assert {name.rsplit(".", 1)[-1] for name in kept} == {"b"}


@pytest.mark.parametrize("settings", [{"learn": "both"}, {"learn": "B", "draw": "singular"}], ids=str)
def test_what_no_seed_gives_is_kept(decoder: Decoder, settings: dict, tmp_path) -> None:
    model, adapters = adapted(decoder, **settings)
    adapter_files.save(model, adapters, tmp_path / "a")
    again, _ = adapter_files.load(decoder, tmp_path / "a")
    np.testing.assert_array_equal(again(TOKENS), model(TOKENS))


OPTIONS = [
    ({"use_dora": True}, "use_dora is True; that option is not known here"),
    ({"bias": "all"}, "bias is 'all'; that option is not known here"),
    ({"rank_pattern": {"q_proj": 4}}, "rank_pattern is {'q_proj': 4}"),
    ({"modules_to_save": ["lm_head"]}, "modules_to_save is ['lm_head']"),
    ({"peft_type": "IA3"}, "peft_type is 'IA3'; only LORA is known"),
    ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa', which changes the base's weights"),
    ({"something_new": 3}, "something_new is 3; that option is not known here"),
]


@pytest.mark.parametrize(("change", "message"), OPTIONS, ids=[next(iter(change)) for change, _ in OPTIONS])
def test_options_that_change_what_is_computed_are_refused_by_name(decoder: Decoder, change, message, tmp_path) -> None:
    model, adapters = adapted(decoder)
    adapter_files.save_peft(model, adapters, tmp_path / "a")
    path = tmp_path / "a" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=re.escape(message)):
        adapter_files.load_peft(decoder, tmp_path / "a")


def test_files_that_do_not_fit_are_refused(decoder: Decoder, tmp_path) -> None:
    model, adapters = adapted(decoder)
    adapter_files.save_peft(model, adapters, tmp_path / "a")
    smaller = Decoder(Config(**SHAPE | {"layers": 4}))
    with pytest.raises(
        BadFile, match=r"tensor 'base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight' is missing"
    ):
        adapter_files.load_peft(smaller, tmp_path / "a")
    wider = Decoder(Config(**SHAPE | {"width": 20}))
    with pytest.raises(BadFile, match=r"has the shape \(2, 16\); the model needs \(2, 20\)"):
        adapter_files.load_peft(wider, tmp_path / "a")
    weights = tmp_path / "a" / "adapter_model.safetensors"
    tensors = safetensors.numpy.load_file(weights)
    weights.write_bytes(safetensors.numpy.save(tensors | {"base_model.model.visual.fc.lora_A.weight": np.ones((2, 3))}))
    with pytest.raises(BadFile, match="is of no linear layer of the model; its base is another one"):
        adapter_files.load_peft(decoder, tmp_path / "a")
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    weights.write_bytes(safetensors.numpy.save(tensors | {name: np.full((2, 16), np.nan, np.float32)}))
    with pytest.raises(BadInput, match="holds numbers that are not finite"):
        adapter_files.load_peft(decoder, tmp_path / "a")
    weights.unlink()
    with pytest.raises(BadFile, match="has no adapter_model.safetensors"):
        adapter_files.load_peft(decoder, tmp_path / "a")
    with pytest.raises(BadInput, match="is no PEFT folder: it has no adapter_config.json"):
        adapter_files.load_peft(decoder, tmp_path / "b")
    with pytest.raises(BadInput, match="the model has no adapters to write"):
        adapter_files.save_peft(decoder, adapters, tmp_path / "c")


def test_weights_that_files_keep_in_one_piece_are_refused(tmp_path) -> None:
    shape = {"norm": "layer", "gated": False, "learned_positions": True, "rotary": None, "tied": True, "kv_heads": 4}
    gpt2 = Decoder(Config(**SHAPE | shape, family="gpt2", qkv_bias=True, output_bias=True, mlp_bias=True))
    adapters = Lora(rank=2)
    with pytest.raises(
        BadInput, match="blocks.attention.(query|key): files of gpt2 keep it in one piece with other weights"
    ):
        adapter_files.save_peft(lora.attach(gpt2, adapters), adapters, tmp_path / "a")


def trained(torch, model, tokens):
    """A model of peft's after some steps of Adam, ready to use."""
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], 0.05)
    for _ in range(5):
        found = model(tokens)
        values = found.logits if hasattr(found, "logits") else found.last_hidden_state
        optimizer.zero_grad()
        torch.square(values - 1).mean().backward()
        optimizer.step()
    return model.eval()


TARGETS = [
    (Decoder, ("query", "mlp.*"), ["down_proj", "gate_proj", "q_proj", "up_proj"]),
    (Encoder, ("query", "value"), ["query", "value"]),
    (Encoder, ("attention.output",), ["attention.output.dense"]),
    (Encoder, ("mlp.down",), ["encoder.layer.0.output.dense", "encoder.layer.1.output.dense"]),
    (Encoder, ("attention.output", "mlp.*"), ["intermediate.dense", "output.dense"]),
    (Encoder, ("*",), ["dense", "key", "query", "value"]),
]


@pytest.mark.parametrize(("kind", "targets", "told"), TARGETS, ids=[f"{k.__name__}, {t}" for k, t, _ in TARGETS])
def test_peft_is_told_names_that_fit_no_other_layer(decoder: Decoder, kind: type, targets, told, tmp_path) -> None:
    """PEFT adapts every layer whose name ends so."""
    base = decoder if kind is Decoder else Encoder(encoder_config("bert"))
    adapters = Lora(rank=2, targets=targets)
    model = moved(lora.attach(base, adapters))
    adapter_files.save_peft(model, adapters, tmp_path / "a")
    about = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert about["target_modules"] == told
    again, _ = adapter_files.load_peft(base, tmp_path / "a")
    for (_, one), (_, other) in zip(lora.adapters(model), lora.adapters(again), strict=True):
        np.testing.assert_array_equal(one.a[...], other.a[...])
        np.testing.assert_array_equal(one.b[...], other.b[...])


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft's, of transformers
@pytest.mark.parametrize("rslora", [False, True])
def test_adapters_of_peft_and_ours_give_the_same_logits(tmp_path, rslora: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is in the extra `parity`")
    peft = pytest.importorskip("peft", reason="peft is in the extra `parity`")
    transformers = pytest.importorskip("transformers")
    from nn.test_parity_decoder import filled  # skips where there is no PyTorch

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=37, num_hidden_layers=3, hidden_size=16, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=24, max_position_embeddings=32, tie_word_embeddings=False,
    )  # fmt: skip
    theirs = transformers.LlamaForCausalLM(config).eval()
    state = {name: value.detach().numpy() for name, value in theirs.state_dict().items()}
    ours = filled(families.read_config(config.to_dict()), state)
    tokens = torch.tensor(np.asarray(TOKENS))

    pattern = r".*\.(q_proj|down_proj)" if rslora else ["q_proj", "down_proj"]
    lora_config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=pattern, use_rslora=rslora, lora_dropout=0.1)
    taught = trained(torch, peft.get_peft_model(theirs, lora_config), tokens)
    taught.save_pretrained(tmp_path / "theirs")
    found, _ = adapter_files.load_peft(ours, tmp_path / "theirs")
    with torch.no_grad():
        told = taught(tokens).logits.numpy()
        assert np.abs(told - ours(TOKENS)).max() > 0.01  # it has learned
        np.testing.assert_allclose(found(TOKENS), told, atol=1e-4)
        merged = copy.deepcopy(taught).merge_and_unload()(tokens).logits.numpy()
        np.testing.assert_allclose(lora.merge(found)(TOKENS), merged, atol=1e-4)
        base = taught.unload()
        adapters = Lora(rank=3, targets=("attention.*", "mlp.up"), stabilised=rslora)
        model = moved(lora.attach(ours, adapters))
        adapter_files.save_peft(model, adapters, tmp_path / "ours")
        opened = peft.PeftModel.from_pretrained(base, tmp_path / "ours").eval()
        np.testing.assert_allclose(opened(tokens).logits.numpy(), model(TOKENS), atol=1e-4)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_adapters_of_an_encoder_are_those_of_peft(tmp_path, family: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is in the extra `parity`")
    peft = pytest.importorskip("peft", reason="peft is in the extra `parity`")
    from nn.test_parity_encoder import made

    (tmp_path / "base").mkdir()
    theirs = made(family, tmp_path / "base")
    ours = load_encoder(tmp_path / "base").encoder
    tokens = np.random.default_rng(0).integers(4, 13, (2, 9))
    asked = torch.tensor(tokens)
    lora_config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=["query", "dense"])  # the pooler's among them
    taught = trained(torch, peft.get_peft_model(theirs, lora_config), asked)
    taught.save_pretrained(tmp_path / "theirs")
    found, _ = adapter_files.load_peft(ours, tmp_path / "theirs")
    with torch.no_grad():
        told = taught(asked)
        np.testing.assert_allclose(found.hidden(jnp.asarray(tokens)), told.last_hidden_state.numpy(), atol=1e-4)
        pooled = found.pooled(jnp.asarray(tokens), pooling="pooler")
        np.testing.assert_allclose(pooled, told.pooler_output.numpy(), atol=1e-4)
        adapters = Lora(rank=3, targets=("key", "mlp.down"), stabilised=True)
        model = moved(lora.attach(ours, adapters))
        adapter_files.save_peft(model, adapters, tmp_path / "ours")
        opened = peft.PeftModel.from_pretrained(taught.unload(), tmp_path / "ours").eval()
        hidden = opened(asked).last_hidden_state.numpy()
    np.testing.assert_allclose(hidden, model.hidden(jnp.asarray(tokens)), atol=1e-4)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(hidden, ours.hidden(jnp.asarray(tokens)), atol=1e-2)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_dora": True}, "use_dora is True; that option is not known here"),
        ({"rank_pattern": {"query": 4}}, "rank_pattern is {'query': 4}; that option is not known here"),
        ({"alpha_pattern": {"query": 4}}, "alpha_pattern is {'query': 4}; that option is not known here"),
        ({"layers_to_transform": [0]}, "layers_to_transform is [0]; that option is not known here"),
        ({"bias": "lora_only"}, "bias is 'lora_only'; that option is not known here"),
        ({"modules_to_save": ["pooler"]}, "modules_to_save is ['pooler']; that option is not known here"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_folders_of_peft_with_options_not_known_are_refused(tmp_path, options: dict, message: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is in the extra `parity`")
    peft = pytest.importorskip("peft", reason="peft is in the extra `parity`")
    from nn.test_parity_encoder import made

    (tmp_path / "base").mkdir()
    taught = peft.get_peft_model(made("bert", tmp_path / "base"), peft.LoraConfig(target_modules=["query"], **options))
    taught.save_pretrained(tmp_path / "theirs")
    with pytest.raises(BadInput, match=re.escape(message)):
        adapter_files.load_peft(load_encoder(tmp_path / "base").encoder, tmp_path / "theirs")
