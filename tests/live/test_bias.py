"""A model's gain on what its own family made: against a closed form, and its interval against planted gains."""

import dataclasses

import numpy as np
import pytest
from live.made import version_of_tables

from lleval_jax.errors import BadInput
from lleval_jax.live import bias
from lleval_jax.live.filters.answers import Answer
from lleval_jax.live.statistics import Known

FAMILIES = {"mine": "g", "writer": "g"}


@pytest.fixture(scope="module")
def version():
    return version_of_tables()


def written(version, own):
    """The version, some of its questions by a writer."""
    made = [dataclasses.replace(q, made_by="writer" if q.id in own else "exact") for q in version.questions]
    return dataclasses.replace(version, questions=tuple(made))


def test_the_gain_is_the_difference_of_differences(version):
    ids = [each.id for each in version.questions]
    own = set(ids[::3])
    hard = {id: 0.2 if id in own else 0.6 for id in ids}  # for all models
    answers = {"a": hard, "b": hard, "mine": {id: p + (0.3 if id in own else 0.1) for id, p in hard.items()}}
    known = Known.of(written(version, own))
    (found,) = bias.biases(known, answers, FAMILIES)
    assert (found.model, found.family, found.role, found.own, found.peers) == ("mine", "g", "made", 16, 2)
    assert found.gain.value == pytest.approx(0.2)
    assert found.gain.high - found.gain.low == pytest.approx(0)  # nothing varies
    assert bias.facts(known, answers, FAMILIES)[0]["gain"]["papers"] == 3
    assert not bias.biases(known, {"a": hard}, FAMILIES)  # of no family at work
    assert not bias.biases(known, {"mine": hard}, FAMILIES)  # nobody to compare with
    with pytest.raises(BadInput, match="level is 2"):
        bias.biases(known, answers, FAMILIES, level=2)


def test_filters_count_too(version):
    ids = [each.id for each in version.questions]
    words = {"role": "judge", "order": 1, "pick": 0}
    tested = dataclasses.replace(version, answers=tuple(Answer(question=q, model="writer", **words) for q in ids[:9]))
    answers = {"a": dict.fromkeys(ids, 0.5), "mine": dict.fromkeys(ids, 0.5)}
    (found,) = bias.biases(Known.of(tested), answers, FAMILIES)
    assert (found.role, found.own, found.others) == ("filtered", 9, len(ids) - 9)


@pytest.mark.parametrize("gain", [0.0, 0.15])
def test_intervals_contain_a_planted_gain(gain):
    """Forty papers whose questions are alike for each model; binomial limits of 150 seeds at 95%: 0.0005 each side."""
    n, papers = 400, [f"p{i % 40}" for i in range(400)]
    ids = [str(i) for i in range(n)]
    inside = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        own = rng.random(n) < 0.5
        of_paper = rng.normal(0, 0.1, (3, 40))
        p = np.clip(0.5 + of_paper[:, np.arange(n) % 40] + np.where(own, gain, 0) * np.array([[1], [0], [0]]), 0, 1)
        scores = (rng.random((3, n)) < p).astype(float)
        one, *peers = (dict(zip(ids, line, strict=True)) for line in scores)
        mine = {id for id, hit in zip(ids, own, strict=True) if hit}
        found, _, _ = bias._gain(one, peers, mine, set(ids), dict(zip(ids, papers, strict=True)), 0.95)
        inside += found.low <= gain <= found.high
    assert 133 <= inside <= 150
