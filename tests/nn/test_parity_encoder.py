"""Encoders against transformers' in PyTorch, on tiny random checkpoints; and the other way round."""

import pathlib
from typing import Any

import numpy as np
import pytest
from nn.tiny_encoders import SIZES, tokenizer

from lleval_jax.lm.embed import classify, embed
from lleval_jax.lm.text_encoder import load_encoder, save_encoder

torch = pytest.importorskip("torch", reason="the extra `parity`: PyTorch")
transformers = pytest.importorskip("transformers", reason="the extra `parity`: transformers")
pytestmark = pytest.mark.parity

TEXTS = ["the cat sat on a mat.", "a dog", ("the dog ran on the mat.", "the cat sat."), "", "cat " * 40]
BAR = 1e-4
KINDS = {
    "bert": ("bert", "BertModel", {}),
    "bert, classifier": ("bert", "BertForSequenceClassification", {"num_labels": 3}),
    "bert, tanh gelu": ("bert", "BertModel", {"hidden_act": "gelu_new"}),
    "bert, relu": ("bert", "BertForSequenceClassification", {"hidden_act": "relu", "layer_norm_eps": 1e-5}),
    "bert, masked words": ("bert", "BertForMaskedLM", {}),  # no pooler, and a head that is left out
    "roberta": ("roberta", "RobertaModel", {}),
    "roberta, classifier": ("roberta", "RobertaForSequenceClassification", {"num_labels": 4}),
    "roberta, masked words": ("roberta", "RobertaForMaskedLM", {}),
}


def made(kind: str, folder: pathlib.Path) -> Any:
    """A random model of transformers in a folder; its weights are spread so that every part shows."""
    family, name, options = KINDS[kind]
    theirs = {"num_hidden_layers": "layers", "hidden_size": "width", "num_attention_heads": "heads"}
    sizes = {key: SIZES[ours] for key, ours in theirs.items()}
    own = {"pad_token_id": 1, "type_vocab_size": 1} if family == "roberta" else {"pad_token_id": 0}
    config = {"bert": transformers.BertConfig, "roberta": transformers.RobertaConfig}[family](
        vocab_size=tokenizer(family, folder),
        intermediate_size=SIZES["hidden"],
        max_position_embeddings=SIZES["positions"],
        **sizes,
        **own,
        **options,
    )
    torch.manual_seed(0)
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return model


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> tuple[Any, pathlib.Path]:
    """(a model in PyTorch, its folder)."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    return made(request.param, folder), folder


def read(folder: pathlib.Path, model: Any) -> dict[str, Any]:
    """The texts as transformers reads them, padded."""
    tokens = transformers.AutoTokenizer.from_pretrained(folder)
    limit = model.config.max_position_embeddings - (2 if model.config.model_type == "roberta" else 0)
    texts = [list(text) if isinstance(text, tuple) else [text] for text in TEXTS]
    rows = [tokens(*text, truncation="longest_first", max_length=limit, return_token_type_ids=True) for text in texts]
    return dict(tokens.pad(rows, return_tensors="pt"))


def expected(model: Any, given: dict[str, Any]) -> dict[str, np.ndarray]:
    """What transformers computes: vectors by pooling, and logits."""
    with torch.no_grad():
        out = model(**given, output_hidden_states=True)
    hidden, mask = out.hidden_states[-1], given["attention_mask"][..., None]
    found = {"mean": (hidden * mask).sum(1) / mask.sum(1), "first": hidden[:, 0]}
    if "pooler_output" in out:
        found["pooler"] = out.pooler_output
    if "Sequence" in type(model).__name__:
        found["logits"] = out.logits
    return {name: value.numpy() for name, value in found.items()}


def compared(folder: pathlib.Path, wanted: dict[str, np.ndarray]) -> None:
    model = load_encoder(folder)
    for name, values in wanted.items():
        found = classify(model, TEXTS) if name == "logits" else embed(model, TEXTS, pooling=name, unit=False)
        np.testing.assert_allclose(found, values, atol=BAR, rtol=0, err_msg=name)


def test_vectors_and_logits_are_those_of_transformers(pair: tuple[Any, pathlib.Path]) -> None:
    model, folder = pair
    compared(folder, expected(model, read(folder, model)))


def test_transformers_reads_what_is_written(pair: tuple[Any, pathlib.Path], tmp_path: pathlib.Path) -> None:
    model, folder = pair
    save_encoder(load_encoder(folder), tmp_path / "ours")
    kind = type(model) if "Sequence" in type(model).__name__ else transformers.AutoModel
    again = kind.from_pretrained(tmp_path / "ours").eval()
    given = read(folder, model)
    assert {name: value.tolist() for name, value in read(tmp_path / "ours", again).items()} == {
        name: value.tolist() for name, value in given.items()
    }
    for name, values in expected(again, given).items():
        if name != "pooler" or model.__class__.__name__.endswith("Model"):  # else transformers draws one at random
            np.testing.assert_allclose(values, expected(model, given)[name], atol=1e-6, rtol=0)
    if "MaskedLM" not in type(model).__name__:
        assert (tmp_path / "ours" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
