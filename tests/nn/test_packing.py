"""Rows into batches: every token once, nothing split or mixed, beginnings read once."""

import itertools

import numpy as np
import pytest

from lleval_jax.lm.packing import Group, Row, ladder, pack, plan, shared


def made(lengths, seed=0, start=None, vocab=50):
    """Rows of random tokens; scored from their middle on."""
    rng = np.random.default_rng(seed)
    return [Row(rng.integers(1, vocab, n).astype(np.int32), start or max(1, n // 2)) for n in lengths]


def read_back(stages, rows):
    """(scored token -> text that stands before it) as the batches hold them; by the place of its result."""
    found = {}
    for stage in stages:
        for batch in stage.batches:
            size = batch.tokens.shape[1]
            asked = batch.places[batch.places >= 0]
            assert len(asked) == len(batch.into)
            for place, into in zip(asked.tolist(), batch.into.tolist(), strict=True):
                row, at = divmod(place, size)
                own = batch.segments[row] == batch.segments[row, at]
                first = int(own.argmax())
                text = batch.tokens[row, first : at + 1]
                begin = int(batch.positions[row, first])
                np.testing.assert_array_equal(batch.positions[row, first : at + 1], begin + np.arange(len(text)))
                before = stage.tokens[batch.owners[row], :begin] if begin else np.zeros(0, np.int32)
                if begin:
                    assert stage.segments[batch.owners[row]].sum() == begin
                assert into not in found
                found[into] = np.concatenate([before, text])
    return found


def require_whole(stages, rows):
    """Each scored token has its result, in order, and stands after all that comes before it in its row."""
    found = read_back(stages, rows)
    wanted = [row.tokens[: k + 1] for row in rows for k in range(row.start, len(row.tokens))]
    assert sorted(found) == list(range(len(wanted)))
    for i, text in enumerate(wanted):
        np.testing.assert_array_equal(found[i], text)


@pytest.mark.parametrize("share", [0, 4])
@pytest.mark.parametrize("batch", [8, 64, 4096])
def test_every_token_is_scored_after_its_own_text(share, batch):
    rows = made([2, 3, 40, 7, 150, 9, 9, 2, 31, 70, 1000][: 11 if batch > 8 else 8], seed=1)
    start = made([20])[0].tokens
    rows += [
        Row(np.concatenate([start[:n], row.tokens]), n + row.start) for n in (20, 12, 20) for row in made([5, 9], n)
    ]
    require_whole(plan(rows, batch=batch, share=share), rows)


def test_an_answer_of_one_token_needs_one_token_before_it():
    rows = [Row(np.array([3, 4], np.int32), 1)] * 3
    require_whole(plan(rows, batch=64, share=1), rows)


def test_packing_is_first_fit_decreasing():
    bins = pack([60, 30, 100, 70, 20], room=128)
    assert [inside for _, inside in bins] == [[2, 4], [3, 1], [0]]


def test_rows_are_as_long_as_needed():
    """No longer than what is left to be packed, and as long as the longest piece."""
    assert pack([5]) == [(8, [0])]
    assert pack([5, 20, 9]) == [(64, [1, 2, 0])]
    assert pack([700, 60, 8], room=128)[0] == (768, [0, 1, 2])


def test_packed_rows_are_nearly_full():
    """First-fit decreasing needs at most 11/9 of the fewest rows, and one."""
    lengths = np.random.default_rng(0).integers(5, 100, 2000).tolist()
    size = sum(size for size, _ in pack(lengths, room=128))
    assert sum(lengths) / size > 0.97


def test_few_shapes():
    """A thousand lengths make a handful of programs."""
    rows = made(np.random.default_rng(0).integers(2, 900, 1000).tolist())
    shapes = {
        (*batch.tokens.shape, len(batch.places)) for stage in plan(rows, batch=2048, share=0) for batch in stage.batches
    }
    assert len(shapes) < 60
    assert [ladder(n) for n in (1, 9, 33, 65, 97, 129, 700)] == [8, 16, 64, 96, 128, 192, 768]


def test_rows_are_a_multiple_of_the_devices():
    rows = made([5, 9, 300, 40])
    stages = plan(rows, batch=64, share=0, multiple=8)
    assert all(len(batch.tokens) % 8 == 0 for stage in stages for batch in stage.batches)
    require_whole(stages, rows)


def brute(rows, least):
    """Most tokens that can be saved, by trying every way of grouping neighbours of equal beginnings."""
    if len(rows) < 2:
        return 0
    best = 0
    for parts in partitions(list(range(len(rows)))):
        saved = 0
        for part in parts:
            if len(part) > 1:
                most = min(rows[i].start - 1 for i in part)
                same = 0
                while same < most and len({int(rows[i].tokens[same]) for i in part}) == 1:
                    same += 1
                saved += (len(part) - 1) * same if same >= least else 0
        best = max(best, saved)
    return best


def partitions(items):
    """All ways to put items into sets."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for size in range(len(rest) + 1):
        for others in itertools.combinations(rest, size):
            left = [one for one in rest if one not in others]
            for more in partitions(left):
                yield [[first, *others], *more]


@pytest.mark.parametrize("seed", range(12))
def test_shared_beginnings_save_the_most(seed):
    """Compared with every partition of six rows over two tokens, which share a lot."""
    rng = np.random.default_rng(seed)
    rows = [Row(rng.integers(1, 3, n).astype(np.int32), int(rng.integers(1, n))) for n in rng.integers(2, 9, 6)]
    groups = shared(rows, 2)
    members = [i for group in groups for i in group.rows]
    assert len(members) == len(set(members))
    for group in groups:
        assert len({rows[i].tokens[: group.length].tobytes() for i in group.rows}) == 1
        assert all(2 <= group.length < rows[i].start for i in group.rows)
    assert sum(group.length * (len(group.rows) - 1) for group in groups) == brute(rows, 2)


def test_options_of_a_question_share_it():
    """Up to the token that predicts their first."""
    question, other = (row.tokens for row in made([40, 50], seed=3))
    rows = [Row(np.append(text, k).astype(np.int32), len(text)) for text in (question, other) for k in (1, 2, 3, 4)]
    assert sorted(shared(rows, 32)) == [Group(39, (0, 1, 2, 3)), Group(49, (4, 5, 6, 7))]


def test_a_beginning_is_read_once():
    """However many batches go on from it."""
    start = made([64])[0].tokens
    rows = [Row(np.concatenate([start, row.tokens]), 66) for row in made([30] * 200, seed=5)]
    stages = plan(rows, batch=256, share=32)
    assert len(stages) == 1
    assert stages[0].beginnings == 64
    assert stages[0].count == 64 + 200 * 30
    require_whole(stages, rows)


def test_beginnings_that_save_little_are_not_split_off():
    rows = made([400] * 5) + [Row(row.tokens, 200) for row in made([400] * 1)]
    rows.append(Row(np.concatenate([rows[0].tokens[:40], rows[1].tokens[40:]]), 200))
    assert all(stage.beginnings == 0 for stage in plan(rows, batch=2048, share=32))


def test_growing_prompts_do_not_recurse():
    """A thousand rows, each the beginning of the next."""
    text = made([3000])[0].tokens
    rows = [Row(text[: n + 2], n + 1) for n in range(40, 2040)]
    groups = shared(rows, 32)
    assert sum(group.length * (len(group.rows) - 1) for group in groups) > 0
