"""What a classifier learns of weak labels: the original's formulas, and whole batches whatever is computed at once."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nn.test_classify import encoder, toy  # noqa: F401  (a fixture)
from scipy.special import log_softmax, softmax

from lleval_jax.errors import BadInput
from lleval_jax.lm.text_encoder import TextEncoder
from lleval_jax.training.classes import classify
from lleval_jax.training.classes.targets import (
    Confidence,
    CrossEntropy,
    Product,
    Smoothing,
    Targets,
    doubled,
    soft_labels,
)
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run.schedule import Schedule

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(64, 2)).astype(np.float32)
LABELS = softmax(RNG.normal(size=(64, 2)) * 2, axis=1).astype(np.float32)
STEPS = (0.05, 0.1, 0.1001, 1.0)


def entropy(loss: Targets, logits: np.ndarray, labels: np.ndarray, done: float) -> tuple[float, np.ndarray]:
    """The loss and its gradient by the logits, targets held."""
    wanted = loss.targets(jnp.asarray(logits), jnp.asarray(labels), done)
    value, slope = jax.value_and_grad(lambda x: -jnp.mean(jnp.sum(wanted * jax.nn.log_softmax(x), 1)))(
        jnp.asarray(logits)
    )
    return float(value), np.asarray(slope)


def original_confidence(logits: np.ndarray, labels: np.ndarray, done: float, coef: float = 0.5) -> float:
    """As the formulas of openai/weak-to-strong have it, in float64."""
    share = (1.0 if done > 0.1 else done) * coef
    first = softmax(logits.astype(float), axis=1)[:, 0]
    threshold = np.quantile(first, labels.astype(float).mean(0)[1])
    strong = np.stack([first >= threshold, first < threshold], 1)
    target = labels * (1 - share) + strong * share
    return float(-np.mean(np.sum(target * log_softmax(logits.astype(float), axis=1), 1)))


@pytest.mark.parametrize("done", STEPS)
def test_the_confidence_loss_with_its_jump_is_the_original(done: float) -> None:
    found, _ = entropy(Confidence(jump=True), LOGITS, LABELS, done)
    assert found == pytest.approx(original_confidence(LOGITS, LABELS, done), abs=2e-6)


def test_the_warm_up_jumps_only_on_request() -> None:
    jump, line = (Confidence(jump=which) for which in (True, False))
    assert [float(jump.share(done)) for done in STEPS] == pytest.approx([0.025, 0.05, 0.5, 0.5])
    assert [float(line.share(done)) for done in STEPS] == pytest.approx([0.25, 0.5, 0.5, 0.5])
    assert float(Confidence(warm_up=0).share(0.0)) == 0.5


@pytest.mark.parametrize("done", STEPS)
@pytest.mark.parametrize("loss", [Confidence(coef=0.0), Smoothing(0.0), Product(beta=0.0)], ids=str)
def test_without_their_share_all_are_cross_entropy(loss: Targets, done: float) -> None:
    for one, other in zip(
        entropy(loss, LOGITS, LABELS, done), entropy(CrossEntropy(), LOGITS, LABELS, done), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_the_product_without_predictions_learns_normalised_labels() -> None:
    for alpha in (0.5, 1.0, 2.0):
        target = LABELS**alpha / np.sum(LABELS**alpha, 1, keepdims=True)
        wanted = Product(alpha, 0.0).targets(jnp.asarray(LOGITS), jnp.asarray(LABELS), 0.5)
        np.testing.assert_allclose(wanted, target, atol=1e-6)
    both = softmax(LOGITS, axis=1) ** 0.7 * LABELS**1.3
    wanted = Product(1.3, 0.7).targets(jnp.asarray(LOGITS), jnp.asarray(LABELS), 0.5)
    np.testing.assert_allclose(wanted, both / both.sum(1, keepdims=True), atol=1e-6)
    hard = jnp.eye(2)[jnp.array([0, 1] * 32)]
    np.testing.assert_array_equal(Product().targets(jnp.asarray(LOGITS), hard, 0.5), hard)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_hardened_predictions_have_the_class_balance_of_the_labels(share: float) -> None:
    logits = RNG.normal(size=(1000, 2)) + 3
    labels = np.tile([share, 1 - share], (1000, 1))
    hard = Confidence(coef=1.0).targets(jnp.asarray(logits, jnp.float32), jnp.asarray(labels, jnp.float32), 1.0)
    assert abs(float(hard[:, 0].mean()) - share) <= 0.002


def test_smoothing_spreads_its_share() -> None:
    found = Smoothing(0.3).targets(jnp.zeros((1, 3)), jnp.eye(3)[:1], 0.0)
    np.testing.assert_allclose(found, [[0.8, 0.1, 0.1]], atol=1e-7)


QUICK = Schedule(steps=4, batch=12, tokens=10_000, rate=3e-2, warmup=0.0)
MICRO = dataclasses.replace(QUICK, tokens=60)


def history(encoder: TextEncoder, loss: Targets, schedule: Schedule, **more) -> list[float]:  # noqa: F811
    texts, labels = toy()
    two = [("cat" if label == "cat" else "other") for label in labels]
    found = classify.fit(encoder, texts, two, lora=Lora(rank=2, learn="B"), schedule=schedule, loss=loss, **more)
    return [record["loss"] for record in found.history]


def test_a_run_without_confidence_is_one_with_cross_entropy(encoder) -> None:  # noqa: F811
    plain = history(encoder, CrossEntropy(), QUICK)
    np.testing.assert_allclose(history(encoder, Confidence(coef=0.0), QUICK), plain, rtol=1e-6)
    hard = soft_labels(np.array([int(label != "cat") for label in toy()[1]]), 2, None)
    np.testing.assert_array_equal(history(encoder, CrossEntropy(), QUICK, soft=hard), plain)
    assert history(encoder, Confidence(coef=0.9, warm_up=0.0), QUICK)[1:] != plain[1:]


@pytest.mark.slow
def test_targets_are_of_the_whole_batch_whatever_is_computed_at_once(encoder) -> None:  # noqa: F811
    for loss in (Confidence(coef=0.9, warm_up=0.0), Product()):
        np.testing.assert_allclose(history(encoder, loss, MICRO), history(encoder, loss, QUICK), rtol=2e-5)


def test_doubling_keeps_both_labels() -> None:
    assert doubled(["a", "b"], [0, 1], [1, 1]) == (["a", "b", "a", "b"], [0, 1, 1, 1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Confidence(coef=2), "coef is 2"),
        (lambda: Confidence(warm_up=-1), "warm_up is -1"),
        (lambda: Confidence().targets(jnp.zeros((2, 3)), jnp.eye(3)[:2], 0.5), "balances two classes; there are 3"),
        (lambda: Smoothing(1.0), "share is 1"),
        (lambda: Product(alpha=0), "alpha is 0"),
        (lambda: doubled(["a"], [1], []), "1 texts, 1 weak and 0 own labels"),
        (lambda: soft_labels(np.array([0, 1]), 2, np.ones((2, 3))), "have the shape"),
        (lambda: soft_labels(np.array([0, 1]), 2, np.ones((2, 2))), "are no probabilities"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        wrong()
