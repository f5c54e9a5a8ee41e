"""Question, answer and correction as tokens: separated by ids, whatever the texts hold; what is learned of them."""

import dataclasses
import random

import numpy as np
import pytest
from nn import tiny_chat
from nn.tiny_tokens import CONTROLS, random_texts

from lleval_jax.errors import BadInput
from lleval_jax.lm.load import LanguageModel
from lleval_jax.training.aligners import train
from lleval_jax.training.aligners.fitting import cut_middle, fitted, room_of
from lleval_jax.training.aligners.marks import Marked, flat, marked, rows_of, turns, with_rows
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import batches
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.values.corrections import Corrections, Example

WRITTEN = [" [INIT] ", " [ALIGNED] ", " [DONE] ", "INIT", "[SEP]", *CONTROLS]  # marks, as a text can write them


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return tiny_chat.model(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def chatting(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return tiny_chat.model(tmp_path_factory.mktemp("chat"), chat=True)


def texts(count: int, seed: int) -> list[str]:
    """Random Unicode with what would be marks, were they text."""
    rng = random.Random(seed)
    return [rng.choice([*WRITTEN, ""]) + text + rng.choice([*WRITTEN, ""]) for text in random_texts(count, seed)]


def corrections(rows: int, seed: int = 0) -> Corrections:
    each = zip(texts(rows, seed), texts(rows, seed + 1), texts(rows, seed + 2), strict=True)
    return Corrections("any", tuple(Example(str(i), f"{i} {q}", y, f"good {z}") for i, (q, y, z) in enumerate(each)))


@pytest.mark.parametrize("count", [100, pytest.param(3334, marks=pytest.mark.slow)])
def test_parts_come_back_by_ids(count: int, base: LanguageModel) -> None:
    """10,000 strings of random Unicode, many of which write the marks out."""
    tokens = marked(base, "added")[0].tokens
    assert isinstance(tokens, Marked)
    given = [texts(count, seed) for seed in range(3)]
    for parts in zip(*given, strict=True):
        found = tokens.parse(tokens.form(*parts))
        assert tuple(tokens.decode(ids, special=True) for ids in found) == parts
    with pytest.raises(BadInput, match="the mark ALIGNED 0 times"):
        tokens.parse([tokens.first, tokens.first + 2])


@pytest.mark.parametrize("kind", ["added", "chat"])
def test_weight_is_on_the_correction_and_its_end_alone(kind: str, base: LanguageModel, chatting: LanguageModel) -> None:
    """Property over texts that write marks and control tokens out; padding belongs to no answer."""
    model, _ = marked(chatting if kind == "chat" else base, kind)  # type: ignore[arg-type]
    given = corrections(200)
    learned, dropped, _ = train.preferences(model, given, 256)
    assert not dropped
    rows = batches.rows_of(model, learned, longest=256)
    for row, example in zip(rows.chosen, given.rows, strict=True):
        before, scored = row.tokens[: row.start].tolist(), row.tokens[row.start :].tolist()
        assert scored == [*model.tokens.encode(example.correction), model.tokens.eos[0]]
        if isinstance(model.tokens, Marked):
            assert before[-1] == model.tokens.first + 1
            assert sum(token >= model.tokens.first for token in before) == 2
        else:  # as many control tokens as the template writes, however many the texts spell out
            control = {base.tokens.codec.number(text) for text in CONTROLS}
            assert sum(token in control for token in before) == 7
    packed = batches.packed(rows.chosen[:20], batch=100_000)
    for batch in packed:
        at = batch.places[batch.places >= 0]
        assert (batch.segments.reshape(-1)[at] > 0).all()
    scored = sum(int((batch.places >= 0).sum()) for batch in packed)
    assert scored == sum(len(row.tokens) - row.start for row in rows.chosen[:20])


def test_a_row_of_the_marks_is_the_mean_of_all_and_changes_nothing_else(base: LanguageModel) -> None:
    grown, kind = marked(base)
    assert kind == "added"
    assert grown.config.vocab == base.config.vocab + 3
    means = {name: np.asarray(getattr(base.decoder, name).weight[...]).mean(0) for name in rows_of(grown)}
    for name, rows in rows_of(grown).items():
        np.testing.assert_allclose(rows, np.broadcast_to(means[name], (3, 16)), atol=1e-6)
    ids = np.array([base.tokens.encode("The capital of France")])
    for model in (grown, flat(grown)):
        np.testing.assert_allclose(model.decoder(ids)[..., :-3], base.decoder(ids), atol=1e-5)
    again = with_rows(base, {name: rows + 1 for name, rows in rows_of(grown).items()})
    for name, rows in rows_of(again).items():
        np.testing.assert_allclose(rows, np.broadcast_to(means[name] + 1, (3, 16)), atol=1e-6)


@pytest.mark.slow
def test_rows_of_marks_learn_with_adapters_and_the_vocabulary_does_not(base: LanguageModel) -> None:
    adapters = Lora(rank=2, targets=("query",))
    schedule = Schedule(steps=2, batch=4, rate=1e-2, warmup=0.0)
    found = train.fit_aligner(base, corrections(8), lora=adapters, schedule=schedule)
    before, after = rows_of(marked(base)[0]), rows_of(found.trained.model)
    for name, rows in after.items():
        assert np.abs(np.asarray(rows - before[name])).max() > 1e-4
        own = np.asarray(getattr(base.decoder, name).weight[...])
        np.testing.assert_array_equal(getattr(found.trained.model.decoder, name).base.weight[...], own)
    model = found.aligner.model
    assert not list(lora.adapters(model.decoder))
    assert type(model.decoder.embedding) is type(base.decoder.embedding)


@pytest.mark.parametrize("kind", ["added", "chat"])
def test_an_answer_of_5000_tokens_is_cut_in_its_middle(kind: str, base: LanguageModel, chatting: LanguageModel) -> None:
    model, _ = marked(chatting if kind == "chat" else base, kind)  # type: ignore[arg-type]
    answer = "First words. " + "naïve 東京 😀 " * 1500 + "Last words."
    assert len(model.tokens.encode(answer)) > 5000
    room = room_of(model, 64)
    found = fitted(model.tokens, "Why?", answer, room)
    ids = model.tokens.chat_tokens([turn._asdict() for turn in found.turns])
    assert found.cut
    assert len(ids) <= 256 - 64
    shown = found.turns[1].content
    assert shown.startswith("First words.")
    assert shown.endswith("Last words.")
    if isinstance(model.tokens, Marked):
        assert [ids.count(model.tokens.first + mark) for mark in range(3)] == [1, 1, 0]
    aligner = train.taught(_untrained(model), "any", limit=64)
    (row,) = aligner.align(["Why?"], [answer]).rows
    assert row.cut
    assert row.text or row.reason


def _untrained(model: LanguageModel):
    @dataclasses.dataclass
    class Trained:
        model: LanguageModel
        lora: None = None

    return Trained(model)


def test_long_questions_are_cut_too_and_long_corrections_dropped(base: LanguageModel) -> None:
    model, _ = marked(base)
    long = "word " * 400
    found = fitted(model.tokens, long, long, 100)
    assert all(len(turn.content) > 20 for turn in found.turns[:2])
    rows = (Example("a", "Why?", "So.", long), Example("b", "Why not?", long, "So."))
    learned, dropped, cut = train.preferences(model, Corrections("any", rows), 128)
    assert [(each.id, each.reason) for each in dropped] == [("a", "the correction is too long")]
    assert (learned.chosen.rows, cut) == (("b",), 1)
    with pytest.raises(BadInput, match="no correction fits into rows of 128 tokens"):
        train.preferences(model, Corrections("any", rows[:1]), 128)
    assert cut_middle(model.tokens, "short", 100) == "short"


def test_what_cannot_be_learned_is_one_line(base: LanguageModel) -> None:
    given = corrections(4)
    with pytest.raises(BadInput, match="there are no corrections to learn from"):
        train.fit_aligner(base, Corrections("any", ()))
    with pytest.raises(BadInput, match="among those that are learned and those that are held out"):
        train.fit_aligner(base, given, held_out=given)
    with pytest.raises(BadInput, match="tiny has no chat template; use marks='added'"):
        marked(base, "chat")
    with pytest.raises(BadInput, match="it is 'added' or 'chat'"):
        marked(base, "text")  # type: ignore[arg-type]


def test_turns_are_what_is_read() -> None:
    assert [turn.role for turn in turns("a", "b")] == ["user", "assistant", "user"]
