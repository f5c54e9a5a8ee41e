"""Texts to vectors: what is read from a folder, how texts are cut and batched, and what is written again."""

import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
from flax import nnx
from nn.tiny_encoders import config, loud, tokenizer

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm import safetensors_files, weights
from lleval_jax.lm.embed import batches, classify, embed, framed
from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.encoder_config import written_config
from lleval_jax.lm.encoder_files import tensors
from lleval_jax.lm.text_encoder import TextEncoder, load_encoder, save_encoder

TEXTS = ["the cat sat on a mat.", "a dog", "", "the dog ran on the mat. the cat sat.", "a dog"]
ROUNDING = 32 * 2 * np.finfo(np.float32).eps  # sums of 32 in two layers, in another order; vectors have length 1


def folder_of(place: pathlib.Path, family: str = "bert", labels: tuple[str, ...] = ("no", "yes")) -> pathlib.Path:
    """A folder as transformers writes it."""
    place.mkdir()
    tokenizer(family, place)
    made = loud(Encoder(config(family, labels)))
    (place / "config.json").write_text(json.dumps(written_config(made.config)))
    safetensors_files.write(place, weights.stored(made, tensors(made.config)))
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A tiny BERT with a head."""
    return folder_of(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def model(folder: pathlib.Path) -> TextEncoder:
    """The same, loaded."""
    return load_encoder(folder)


@pytest.fixture
def copy(folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder that a test may spoil."""
    return pathlib.Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_vector_does_not_depend_on_the_other_texts(model: TextEncoder) -> None:
    together = embed(model, TEXTS)
    assert together.shape == (5, 32)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=ROUNDING)
    np.testing.assert_array_equal(together[1], together[4])
    for batch in (1, 20):
        np.testing.assert_allclose(embed(model, TEXTS, batch=batch), together, atol=ROUNDING)
    assert embed(model, []).shape == (0, 32)


def test_poolings_and_the_head_are_those_of_the_encoder(model: TextEncoder) -> None:
    ids = np.array([framed(model.tokens, TEXTS[:1], 24)[0].ids])
    graph, state = nnx.split(model.encoder)
    hidden = np.asarray(jax.jit(lambda state: nnx.merge(graph, state).hidden(ids))(state))[0]

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return x @ np.asarray(state[name]["weight"][...]).T + np.asarray(state[name]["bias"][...])

    pooler = np.tanh(dense("pooler", hidden[0]))
    for pooling, wanted in {"mean": hidden.mean(0), "first": hidden[0], "pooler": pooler}.items():
        found = embed(model, TEXTS[:1], pooling=pooling, unit=False)
        np.testing.assert_allclose(found[0], wanted, atol=8 * ROUNDING)
    np.testing.assert_allclose(classify(model, TEXTS[:1])[0], dense("classifier", pooler), atol=8 * ROUNDING)
    assert model.config.labels == ("no", "yes")


def test_progress_is_told_in_texts(model: TextEncoder) -> None:
    told = []
    embed(model, TEXTS, batch=16, tell=told.append)
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert (told[-1].done, told[-1].total, str(told[-1])) == (5, 5, "embedding: 5 of 5 texts")


def test_texts_of_many_lengths_make_few_shapes(model: TextEncoder) -> None:
    texts = ["cat " * (at % 20) for at in range(100)]
    made = list(batches(model, texts, 128))
    assert {each.tokens.shape for each in made} == {(4, 24), (8, 16), (16, 8)}
    assert sorted(np.concatenate([each.texts for each in made])) == list(range(100))
    assert all(each.segments.any(1).all() for each in made)  # no row is empty


def test_a_long_text_is_cut_to_the_limit_and_keeps_its_frame(model: TextEncoder) -> None:
    (cut,) = framed(model.tokens, ["cat " * 50], 10)
    cls, sep, cat = model.tokens.begin[0], model.tokens.end[0], model.tokens.encode("cat")[0]
    assert cut.ids == [cls, *[cat] * 8, sep]


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [((3, 30), (3, 10)), ((30, 3), (10, 3)), ((30, 30), (6, 7)), ((7, 30), (6, 7)), ((4, 9), (4, 9))],
)
def test_the_longer_text_of_a_pair_is_cut_first(model: TextEncoder, lengths: tuple, kept: tuple) -> None:
    (cut,) = framed(model.tokens, [("cat " * lengths[0], "dog " * lengths[1])], 16)
    cat, dog = (model.tokens.encode(word)[0] for word in ("cat", "dog"))
    cls, sep = model.tokens.begin[0], model.tokens.end[0]
    assert cut.ids == [cls, *[cat] * kept[0], sep, *[dog] * kept[1], sep]
    assert cut.types == [0] * (kept[0] + 2) + [1] * (kept[1] + 1)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("one text", "texts is one text; give a list of texts"),
        (["a", None], "text 1 is None; it must be a text, or a pair of texts"),
        (["a", ("b",)], r"text 1 is \('b',\); it must be a text, or a pair"),
    ],
)
def test_what_is_no_text_is_named(model: TextEncoder, texts: list, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        embed(model, texts)


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("labels", [(), ("no", "yes", "maybe")], ids=["bare", "labels"])
def test_what_is_written_is_read_again_byte_for_byte(tmp_path: pathlib.Path, family: str, labels: tuple) -> None:
    first = folder_of(tmp_path / "first", family, labels)
    model = load_encoder(first)
    save_encoder(model, tmp_path / "second")
    assert (tmp_path / "second" / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()
    again = load_encoder(tmp_path / "second")
    assert (again.config, again.use) == (model.config, model.use)
    assert framed(again.tokens, [("a cat", "the dog")], 24) == framed(model.tokens, [("a cat", "the dog")], 24)


def test_older_names_and_heads_of_the_first_training_are_known(copy: pathlib.Path, model: TextEncoder) -> None:
    found = safetensors_files.read(copy)
    norms = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    older = {}
    for name, tensor in found.items():
        kind = next((new for new in norms if name.endswith(new)), None)
        older[name.replace(kind, norms[kind]) if kind else name] = tensor
    older["cls.predictions.bias"] = found["classifier.bias"]
    values = {name: tensor.read() for name, tensor in older.items()}
    made = {n: safetensors_files.Stored(copy, n, v.shape, v.dtype, lambda v=v: v) for n, v in values.items()}
    safetensors_files.write(copy, made)
    np.testing.assert_array_equal(classify(load_encoder(copy), TEXTS), classify(model, TEXTS))


def test_sentence_transformers_say_how_vectors_are_made(copy: pathlib.Path) -> None:
    kinds = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in USES]
    (copy / "modules.json").write_text(json.dumps(kinds))
    (copy / "sentence_bert_config.json").write_text('{"max_seq_length": 10}')
    (copy / "1_Pooling").mkdir()
    pooling = copy / "1_Pooling" / "config.json"
    pooling.write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_max_tokens": false}'
    )
    assert load_encoder(copy).use == ("first", False, 10)
    pooling.write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(
        BadInput, match="1_Pooling/config.json asks for pooling_mode_max_tokens; one of pooling_mode_mean"
    ):
        load_encoder(copy)
    (copy / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]')
    with pytest.raises(BadInput, match="modules.json: the part 'Dense' is not known; there are Transformer, Pooling"):
        load_encoder(copy)
    (copy / "modules.json").write_text("{}")
    with pytest.raises(BadFile, match="modules.json is not a list of parts"):
        load_encoder(copy)


USES = (("Transformer", ""), ("Pooling", "1_Pooling"))


def test_a_tensor_that_does_not_fit_is_named(copy: pathlib.Path) -> None:
    found = {name: tensor.read() for name, tensor in safetensors_files.read(copy).items()}

    def written(changed: dict[str, np.ndarray]) -> None:
        made = {n: safetensors_files.Stored(copy, n, v.shape, v.dtype, lambda v=v: v) for n, v in changed.items()}
        safetensors_files.write(copy, made)

    written({name: value for name, value in found.items() if name != "bert.pooler.dense.bias"})
    with pytest.raises(BadFile, match="tensor 'bert.pooler.dense.bias' is missing"):
        load_encoder(copy)
    written(found | {"bert.encoder.layer.9.output.dense.bias": found["bert.pooler.dense.bias"]})
    with pytest.raises(BadFile, match="'bert.encoder.layer.9.output.dense.bias' is not part of the model"):
        load_encoder(copy)
    written(found | {"classifier.bias": np.zeros(3, np.float32)})
    with pytest.raises(BadFile, match=r"'classifier.bias' has shape \(3,\); its configuration asks for \(2,\)"):
        load_encoder(copy)


def test_a_place_without_an_encoder_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadInput, match="there is no folder .*nowhere of an encoder, and no model of this name"):
        load_encoder(tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"holds no config\.json"):
        load_encoder(tmp_path)
