"""Classifiers of texts: they learn, only what learns moves, and files give the same one back."""

import dataclasses
import json
import re

import jax
import numpy as np
import pytest
from flax import nnx
from nn.tiny_encoders import config, loud, tokenizer

from lleval_jax.errors import BadFile, BadInput, NotConverged
from lleval_jax.lm.embed import classify as logits_of
from lleval_jax.lm.embed import framed
from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.text_encoder import TextEncoder, Use, load_encoder, save_encoder
from lleval_jax.lm.tokens import Tokens
from lleval_jax.training.classes import classifier_files, classify
from lleval_jax.training.classes.classifier import Classifier, Network
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import FactorA, FactorB, Lora
from lleval_jax.training.run.schedule import Schedule

QUICK = Schedule(steps=25, batch=12, tokens=10_000, rate=3e-2, warmup=0.0)
SMALL = Lora(rank=2, learn="B")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer("bert", folder)
    made = loud(Encoder(config("bert", layers=1)))
    return TextEncoder("tiny", made, Tokens.read(folder), made.config, Use("mean", True, 24), None, None)  # type: ignore[arg-type]


def toy(count: int = 48, seed: int = 0) -> tuple[list[str], list[str]]:
    """A text's label is the animal, or thing, that it names most often."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(["cat", "dog", "mat"], count)
    words = rng.choice(["cat", "dog", "mat", "the", "sat"], (count, 8))
    words[:, :4] = labels[:, None]
    return [" ".join(each) for each in rng.permuted(words, axis=1)], labels.tolist()


@pytest.fixture(scope="module")
def judge(encoder: TextEncoder) -> Classifier:
    return classify.fit(encoder, *toy(), lora=SMALL, schedule=QUICK, held_out=toy(200, seed=1))


def test_what_can_be_told_is_learned(judge: Classifier) -> None:
    texts, labels = toy(200, seed=1)
    found = judge.predict(texts)
    assert (found.shape, found.dtype) == ((200, 3), np.float32)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert judge.classes == ("cat", "dog", "mat")
    right = np.mean([judge.classes[k] == label for k, label in zip(found.argmax(1), labels, strict=True)])
    assert right > 0.9  # the commonest class is .35 of them
    held = judge.held_out
    assert held is not None
    assert held.value[0] == right
    assert held.low[0] < right < held.high[0]
    assert held.group == ("all", "cat", "dog", "mat")
    np.testing.assert_allclose(held.n_seen[1:] @ held.value[1:] / 200, right)
    assert judge.history[-1]["loss"] < judge.history[0]["loss"]
    assert judge.history[-1]["held_out_accuracy"] == right
    assert held.caveats == ()


@pytest.mark.parametrize("learn", ["B", *(pytest.param(each, marks=pytest.mark.slow) for each in ("both", "A"))])
def test_only_what_learns_moves_and_the_optimiser_holds_no_more(encoder: TextEncoder, learn: str) -> None:
    adapters = Lora(rank=2, learn=learn, zero="A" if learn == "A" else "B")  # type: ignore[arg-type]
    schedule = dataclasses.replace(QUICK, steps=2)
    course = classify.Course(encoder, *toy(), adapters, schedule, None, None, 0.0)
    kinds = {"both": (FactorA, FactorB), "A": (FactorA,), "B": (FactorB,)}[learn]
    size = sum(leaf.size for leaf in jax.tree.leaves(course.start.learned))
    held = sum(leaf.size for leaf in jax.tree.leaves(course.optimizer.init(course.start.learned)) if leaf.ndim)
    assert held == 2 * size  # both moments of what learns
    before = nnx.to_flat_state(nnx.state(course.start.model()))
    made = classify.fit(encoder, *toy(), lora=adapters, schedule=schedule)
    whole = Network(made.encoder.encoder, 3, nnx.Rngs(0))
    whole.head = made.head
    for (path, was), (_, now) in zip(before, nnx.to_flat_state(nnx.state(whole)), strict=True):
        moved = not np.array_equal(was[...], now[...])
        assert moved == ("head" in path or isinstance(was, kinds)), path
    assert not list(lora.adapters(encoder.encoder))


@pytest.mark.slow
def test_without_adapters_all_weights_learn(encoder: TextEncoder) -> None:
    made = classify.fit(encoder, *toy(), lora=None, schedule=dataclasses.replace(QUICK, steps=2, rate=1e-3))
    for part in ("blocks.mlp.up", "words"):
        old, new = (each.encoder for each in (encoder, made.encoder))
        for name in part.split("."):
            old, new = getattr(old, name), getattr(new, name)
        assert not np.array_equal(old.weight[...], new.weight[...])


@pytest.mark.parametrize(
    "pooling", ["mean", *(pytest.param(each, marks=pytest.mark.slow) for each in ("first", "pooler"))]
)
def test_the_loss_of_packed_micro_batches_is_that_of_single_texts(encoder: TextEncoder, pooling: str) -> None:
    """Pairs too; the gradient by all micro-batches is that of one."""
    texts, labels = toy()
    texts = [(text, "the dog") if i % 3 else text for i, text in enumerate(texts)]
    slopes = []
    for tokens in (10_000, 128):
        schedule = dataclasses.replace(QUICK, batch=48, tokens=tokens)
        course = classify.Course(encoder, texts, labels, Lora(rank=2), schedule, None, pooling, 0.0)
        slopes.append(course.slope(course.start, range(48), 0))
    assert len(course.packed(course.rows)) > 2
    made = course._made(course.start.learned, (), "")
    each = -np.log(made.predict(texts)[np.arange(48), course.labels])
    np.testing.assert_allclose([slope[0] for slope in slopes], each.mean(), rtol=1e-5)
    for one, other in zip(*(jax.tree.leaves(slope) for _, slope in slopes), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_dropout_is_of_training_steps_and_of_their_seed(encoder: TextEncoder) -> None:
    def loss(dropout: float, adapters: Lora, number: int = 0) -> float:
        course = classify.Course(encoder, *toy(), adapters, QUICK, None, None, dropout)
        return float(course.slope(course.start, range(12), number)[0])

    quiet, noisy = loss(0.0, SMALL), loss(0.3, SMALL)
    assert noisy != quiet
    assert (loss(0.3, SMALL), loss(0.0, SMALL, 1)) == (noisy, quiet)
    assert loss(0.3, SMALL, 1) != noisy
    drawn = dataclasses.replace(SMALL, learn="both", zero="A", dropout=0.5)
    assert loss(0.0, drawn) == quiet_start(encoder, drawn)  # A is zero: what it reads does not matter yet


def quiet_start(encoder: TextEncoder, adapters: Lora) -> float:
    texts, labels = toy()
    course = classify.Course(encoder, texts[:12], labels[:12], adapters, QUICK, None, None, 0.0)
    return float(course.slope(course.start, range(12), 0)[0])


FILED = {"B": SMALL, "singular": Lora(rank=2, draw="singular", targets=("mlp.*",)), "all weights": None}


@pytest.mark.parametrize(
    "adapters",
    [pytest.param(each, id=name, marks=[] if name == "B" else pytest.mark.slow) for name, each in FILED.items()],
)
def test_files_give_the_same_classifier_back(encoder: TextEncoder, adapters: Lora | None, tmp_path) -> None:
    schedule = dataclasses.replace(QUICK, steps=2, rate=1e-2)
    texts, labels = toy()
    made = classify.fit(encoder, texts, [label == "cat" for label in labels], lora=adapters, schedule=schedule)
    classifier_files.save(made, tmp_path / "c")
    again = classifier_files.load(encoder, tmp_path / "c")
    np.testing.assert_array_equal(again.predict(texts), made.predict(texts))
    assert again.classes == (False, True)
    assert (again.pooling, again.lora) == (made.pooling, adapters)
    if adapters == SMALL:
        other = dataclasses.replace(encoder, encoder=loud(Encoder(config("bert", layers=1), rngs=nnx.Rngs(3))))
        with pytest.raises(BadInput, match="the weights of tiny are others"):
            classifier_files.load(other, tmp_path / "c")


def test_files_that_do_not_fit_are_refused(encoder: TextEncoder, judge: Classifier, tmp_path) -> None:
    with pytest.raises(BadInput, match="holds no classifier: it has no classifier.json"):
        classifier_files.load(encoder, tmp_path)
    classifier_files.save(judge, tmp_path / "c")
    path = tmp_path / "c" / "classifier.json"
    settings = path.read_text()
    for key, value, message in (
        ("schema", "x/1", "has the schema 'x/1'; it must be 'lleval/classifier/1'"),
        ("pooling", "max", "pooling is 'max'; it is one of mean, first, pooler"),
        ("classes", ["a"], "names 1 classes"),
        ("extra", 1, "cannot be read as the settings of a classifier"),
        ("shape", {}, "is of an encoder of another shape, tiny"),
    ):
        path.write_text(json.dumps(json.loads(settings) | {key: value}))
        with pytest.raises(BadInput, match=re.escape(message)):
            classifier_files.load(encoder, tmp_path / "c")
    path.write_text(json.dumps(json.loads(settings) | {"classes": ["a", "b"]}))
    with pytest.raises(BadFile, match=r"tensor 'head.bias' has the shape \(3,\); the model needs \(2,\)"):
        classifier_files.load(encoder, tmp_path / "c")
    (tmp_path / "c" / "classifier.safetensors").unlink()
    with pytest.raises(BadFile, match="has no classifier.safetensors"):
        classifier_files.load(encoder, tmp_path / "c")


def test_a_head_on_the_pooler_is_one_of_transformers(encoder: TextEncoder, judge: Classifier, tmp_path) -> None:
    schedule = dataclasses.replace(QUICK, steps=2)
    made = classify.fit(encoder, *toy(), lora=Lora(rank=2, targets=("*",)), schedule=schedule, pooling="pooler")
    texts = toy()[0]
    save_encoder(made.merged(), tmp_path / "e")
    again = load_encoder(tmp_path / "e")
    assert again.config.labels == made.classes
    np.testing.assert_allclose(logits_of(again, texts), made.logits(texts), atol=1e-4)
    assert encoder.encoder.classifier is None
    with pytest.raises(BadInput, match="the head reads the 'mean' vector of a text"):
        judge.merged()


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(encoder: TextEncoder, tmp_path) -> None:
    settings = {"lora": dataclasses.replace(SMALL, dropout=0.2), "dropout": 0.1, "held_out": toy(20, 2)}
    schedule = dataclasses.replace(QUICK, steps=6, keep=2, evaluate=2)
    whole = classify.fit(encoder, *toy(), schedule=schedule, **settings)

    def stop(progress) -> None:
        if progress.word == "training" and progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify.fit(encoder, *toy(), schedule=schedule, out=tmp_path / "run", tell=stop, **settings)
    again = classify.fit(encoder, *toy(), schedule=schedule, out=tmp_path / "run", **settings)
    np.testing.assert_array_equal(again.head.weight[...], whole.head.weight[...])
    np.testing.assert_array_equal(again.predict(toy()[0]), whole.predict(toy()[0]))
    with pytest.raises(BadInput, match="holds another run: data is .* there and .* here"):
        classify.fit(encoder, *toy(seed=3), schedule=schedule, out=tmp_path / "run", **settings)


@pytest.mark.slow
def test_patience_goes_back_to_the_best_step_and_says_so(encoder: TextEncoder) -> None:
    wild = Schedule(steps=40, batch=6, rate=0.3, warmup=0.0, evaluate=1, patience=3, tokens=10_000)
    texts, labels = toy(24, seed=5)
    made = classify.fit(encoder, texts, labels, lora=SMALL, schedule=wild, held_out=toy(40, 6))
    losses = [record["held_out_loss"] for record in made.history]
    assert made.ended == "patience"
    assert len(losses) == int(np.argmin(losses)) + 1 + 3
    assert made.held_out is not None
    assert made.held_out.value[0] == made.history[int(np.argmin(losses))]["held_out_accuracy"]
    assert "chosen by these texts" in made.held_out.caveats[0]


def test_a_loss_that_is_not_finite_stops_with_step_and_texts(encoder: TextEncoder) -> None:
    wild = Schedule(steps=30, batch=6, rate=1e38, warmup=0, clip=0, tokens=10_000)
    with pytest.raises(NotConverged, match=r"step \d+: the loss is .*its texts are \[.*no checkpoint was kept"):
        classify.fit(encoder, *toy(), lora=SMALL, schedule=wild)


TWO = ["a cat", "a dog"]
WRONG = [
    ((TWO, [1, 2, 3]), {}, "there are 2 texts and 3 labels; each text needs one"),
    ((TWO, [1, 1]), {}, "all 2 labels are 1; a classifier needs two classes at least"),
    ((["a cat", " "], [0, 1]), {}, "text 1 is empty; leave it out"),
    (([("a", "b"), ("a", "")], [0, 1]), {}, "text 1 is empty; leave it out"),
    ((TWO, [0.5, 1]), {}, "text 0 has the label 0.5; a label is text, a whole number, or true or false"),
    ((TWO, [1, "a"]), {}, "labels are of several kinds, int and str; make them all text"),
    (([], []), {}, "there is no text"),
    (("a cat", "ab"), {}, "texts is one text; give a list of texts"),
    ((TWO, [0, 1]), {"lora": Lora(targets=("q_proj",))}, "no linear layer is called 'q_proj'; there are blocks.att"),
    ((TWO, [0, 1]), {"pooling": "max"}, "pooling 'max' is not known"),
    ((TWO, [0, 1]), {"dropout": 1.0}, "dropout is 1.0; it is from 0 to below 1"),
    ((TWO, [0, 1]), {"held_out": (["x"], [2])}, "held-out text 0 has the label 2; the classes are 0, 1"),
    ((TWO, [0, 1]), {"held_out": (["x"], [True])}, "held-out text 0 has the label True; the classes are 0, 1"),
    ((TWO, [0, 1]), {}, "a step takes 32 rows and there are 2"),
]


@pytest.mark.parametrize(("given", "settings", "message"), WRONG, ids=[message[:30] for *_, message in WRONG])
def test_what_cannot_be_learned_is_refused_in_one_line(encoder: TextEncoder, given, settings, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        classify.fit(encoder, *given, **settings)


def test_types_of_a_pair_lie_where_its_tokens_do(encoder: TextEncoder) -> None:
    texts = [("a cat", "the dog"), "the mat", ("the dog sat on a mat", "a cat ran")]
    course = classify.Course(encoder, texts, [0, 1, 1], SMALL, dataclasses.replace(QUICK, batch=3), None, None, 0.0)
    ((batch, types),) = course.packed(course.rows)
    for i, row in enumerate(framed(encoder.tokens, texts, 24)):
        here = batch.places[batch.answer == i]
        assert batch.tokens.reshape(-1)[here].tolist() == row.ids
        assert types.reshape(-1)[here].tolist() == row.types
    assert types.sum() == sum(sum(row.types) for row in course.rows) > 0
