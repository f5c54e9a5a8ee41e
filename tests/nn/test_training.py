"""The training loop: exact for any micro-batches, and a run that was stopped is one that never was."""

import json
import pathlib
import signal
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from flax import nnx
from nn import tiny_model

from lleval_jax.errors import BadInput, NotConverged
from lleval_jax.lm.mesh import mesh, place
from lleval_jax.training import losses
from lleval_jax.training.losses import AOT, DPO, IPO, KTO
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import batches, loop, pace, step
from lleval_jax.training.run.batches import Order
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.values.preferences import Preferences

QUICK = Schedule(steps=6, batch=8, rate=1e-2, warmup=0.0, tokens=10_000)


def preferences(count: int = 24, seed: int = 0) -> Preferences:
    """Sums, right and wrong."""
    rng = np.random.default_rng(seed)
    rows = []
    for a, b in rng.integers(0, 50, (count, 2)):
        wrong = a + b + rng.integers(1, 9)
        rows.append({"prompt": f"{a}+{b}=", "chosen": f"{a + b}", "rejected": f"{wrong}"})
    return Preferences.from_frame(pd.DataFrame(rows))


@pytest.fixture(scope="module")
def model() -> tiny_model.Model:
    return tiny_model.model()


def weights(trained: loop.Trained) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(trained.model.decoder))]


@pytest.mark.parametrize("loss", [AOT(beta=0.1), DPO(), IPO(), KTO()], ids=lambda loss: type(loss).__name__)
def test_the_loss_falls(model: tiny_model.Model, loss: losses.Loss) -> None:
    trained = loop.fit(model, preferences(), loss=loss, lora=Lora(rank=4, targets=("*",)), schedule=QUICK)
    values = [record["loss"] for record in trained.history]
    assert values[-1] < values[0]
    assert trained.ended == "steps"
    assert not list(lora.adapters(model.decoder))


@pytest.mark.parametrize("adapters", [Lora(rank=2), None], ids=["adapters", "all weights"])
@pytest.mark.parametrize("loss", [AOT(beta=0.1), AOT(beta=0.1, sort="soft"), KTO()], ids=str)
def test_micro_batches_change_nothing_but_rounding(model: tiny_model.Model, adapters: Lora | None, loss) -> None:
    rows = batches.rows_of(model, preferences())
    chosen = [*rows.chosen[:8], *rows.rejected[:8]]
    reference = losses.Sides(jnp.full(8, -9.0), jnp.linspace(-12, -7, 8))
    slopes, counts = [], []
    for tokens in (10_000, 40):
        course = loop.Course(model, rows, None, loss, adapters, Schedule(steps=6, batch=8, tokens=tokens))
        slopes.append(course._slope(course.start, chosen, reference, 0))
        counts.append(len(course.packed(chosen)))
    assert counts[0] == 1
    assert counts[1] > 2
    np.testing.assert_allclose(slopes[0][0], slopes[1][0], rtol=1e-6)
    size = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slopes[0][1]))
    for one, other in zip(*(jax.tree.leaves(slope) for _, slope in slopes), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6 * max(size, 1))


@pytest.mark.parametrize(
    ("sizes", "adapters"),
    [({"data": 8}, Lora(rank=2)), ({"data": 2, "fsdp": 2, "tensor": 2}, None)],
    ids=["LoRA", "all weights"],
)
def test_a_mesh_of_eight_devices_learns_the_same(sizes: dict[str, int], adapters: Lora | None) -> None:
    """AOT sorts over the answers of all devices."""
    alone, on = tiny_model.model(), mesh(**sizes)
    shared = tiny_model.model(mesh=on)
    place(shared.decoder, on)
    schedule = Schedule(steps=3, batch=8, rate=1e-2, tokens=160)
    told, found = (
        loop.fit(each, preferences(), loss=AOT(beta=0.1), lora=adapters, schedule=schedule) for each in (alone, shared)
    )
    values = [[record["loss"] for record in trained.history] for trained in (told, found)]
    np.testing.assert_allclose(values[0], values[1], rtol=2e-5)
    course = loop.Course(shared, batches.rows_of(shared, preferences()), None, AOT(beta=0.1), adapters, schedule)
    zeros = losses.Sides(jnp.zeros(8), jnp.zeros(8))
    slope = course._slope(course.start, course.rows_at(0), zeros, 0)[1]
    for one, other in zip(*map(jax.tree.leaves, (slope, course.start.learned)), strict=True):
        lies = one.sharding.is_equivalent_to(other.sharding, one.ndim) or not other.committed  # adapters go anywhere
        assert lies, "a gradient lies as what it is of"


def test_packed_answers_have_the_probabilities_of_single_ones(model: tiny_model.Model) -> None:
    rows = batches.rows_of(model, preferences())
    parts = step.Parts.of(model.decoder, nnx.Param)
    together = [step.answers(parts, each, 24) for each in batches.packed(rows.chosen, batch=128)]
    alone = [step.answers(parts, batches.packed([row], batch=64)[0], 1)[0] for row in rows.chosen[:5]]
    np.testing.assert_allclose(np.sum(together, axis=0)[:5], alone, atol=1e-5)
    row = rows.chosen[0]
    each = jax.nn.log_softmax(model.decoder(row.tokens[None]))[0]
    told = sum(each[i - 1, row.tokens[i]] for i in range(row.start, len(row.tokens)))
    np.testing.assert_allclose(alone[0], told, atol=1e-5)


def test_an_answer_ends_with_eos_and_begins_after_its_prompt(model: tiny_model.Model) -> None:
    row = batches.rows_of(model, preferences()).chosen[0]
    said = preferences().chosen
    assert list(row.tokens) == [1, *model.tokens.encode(said.prompts[0] + said.answers[0]), 0]
    assert row.start == 1 + len(said.prompts[0])


def test_each_pass_takes_each_row_once_in_another_order() -> None:
    order = Order(12, 4, seed=3)
    passes = [[row for number in range(3 * k, 3 * k + 3) for row in order.rows(number)] for k in range(3)]
    assert all(sorted(each) == list(range(12)) for each in passes)
    assert passes[0] != passes[1] != passes[2]
    assert order.rows(7) == Order(12, 4, seed=3).rows(7)


def test_unpaired_sides_of_unequal_sizes_are_taken_in_proportion(model: tiny_model.Model) -> None:
    pairs = preferences()
    data = Preferences(pairs.chosen, pairs.take(range(12)).rejected, False)
    trained = loop.fit(model, data, loss=AOT(), lora=Lora(rank=2), schedule=QUICK)
    assert len(trained.history) == 6
    with pytest.raises(BadInput, match="pairs need as many chosen as rejected answers; there are 8 and 4"):
        loop.fit(model, data, loss=DPO(), lora=Lora(rank=2), schedule=QUICK)


def test_a_run_that_was_stopped_is_one_that_never_was(model: tiny_model.Model, tmp_path) -> None:
    settings = {"loss": AOT(beta=0.1), "lora": Lora(rank=2, dropout=0.1)}
    schedule = Schedule(steps=8, batch=8, rate=1e-2, keep=2, evaluate=3)
    held_out = preferences(8, seed=1)
    whole = loop.fit(model, preferences(), held_out=held_out, schedule=schedule, out=tmp_path / "whole", **settings)

    def stop(progress) -> None:
        if progress.word == "training" and progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.fit(
            model, preferences(), held_out=held_out, schedule=schedule, out=tmp_path / "cut", tell=stop, **settings
        )
    again = loop.fit(model, preferences(), held_out=held_out, schedule=schedule, out=tmp_path / "cut", **settings)
    for one, other in zip(weights(whole), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)
    timeless, other = ([{k: v for k, v in r.items() if k not in pace.TIMED} for r in t.history] for t in (whole, again))
    assert timeless == other
    assert whole.best == again.best
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 8), (4, 1)])
def test_a_run_goes_on_on_other_devices(tmp_path, before: int, after: int) -> None:
    """Sums over devices are added in another order, and nothing else differs."""
    schedule = Schedule(steps=6, batch=8, rate=1e-2, keep=1, tokens=160)

    def on(devices: int) -> tiny_model.Model:
        if devices == 1:
            return tiny_model.model()
        model = tiny_model.model(mesh=mesh(data=devices))
        place(model.decoder, model.mesh)
        return model

    def stop(progress) -> None:
        if progress.word == "training" and progress.done == 3:
            raise KeyboardInterrupt

    words = {"loss": AOT(beta=0.1), "lora": Lora(rank=2), "schedule": schedule}
    told = loop.fit(on(1), preferences(), **words)
    with pytest.raises(KeyboardInterrupt):
        loop.fit(on(before), preferences(), out=tmp_path, tell=stop, **words)
    found = loop.fit(on(after), preferences(), out=tmp_path, **words)
    values = [[record["loss"] for record in trained.history] for trained in (told, found)]
    np.testing.assert_allclose(values[1], values[0], rtol=2e-5)


KILLED = """
    import sys; sys.path[:0] = {paths!r}
    from nn import tiny_model, test_training as t
    t.loop.fit(tiny_model.model(), t.preferences(), lora=t.Lora(rank=2), schedule=t.Schedule(steps=40, batch=8, keep=1),
               out={out!r}, tell=lambda p: print(p, flush=True))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(model: tiny_model.Model, tmp_path) -> None:
    """SIGKILL at random moments, in a step or a checkpoint; the end is that of a run that was never killed."""
    schedule = Schedule(steps=40, batch=8, keep=1)
    told = loop.fit(model, preferences(), lora=Lora(rank=2), schedule=schedule, out=tmp_path / "whole")
    tests, top = pathlib.Path(__file__).parents[1], str(tmp_path / "killed")
    code = textwrap.dedent(KILLED.format(paths=[str(tests), str(tests.parent)], out=top))
    rng, kills = np.random.default_rng(0), 0
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
            for line in child.stdout:  # type: ignore[union-attr]
                if line.startswith("training") and rng.random() < 0.15:
                    child.send_signal(signal.SIGKILL)
                    kills += 1
                    break
    assert kills
    found = loop.fit(model, preferences(), lora=Lora(rank=2), schedule=schedule, out=top)
    for one, other in zip(weights(told), weights(found), strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_stops_when_held_out_loss_no_longer_falls(model: tiny_model.Model) -> None:
    schedule = Schedule(steps=60, batch=8, rate=0.3, evaluate=1, patience=3)
    trained = loop.fit(
        model, preferences(8), held_out=preferences(8, 1), loss=DPO(), lora=Lora(rank=2), schedule=schedule
    )
    assert trained.ended == "patience"
    assert len(trained.history) == trained.best + 3


def test_a_loss_that_is_not_finite_stops_with_step_and_rows(model: tiny_model.Model, tmp_path) -> None:
    wild = Schedule(steps=30, batch=8, rate=1e30, warmup=0, clip=0, keep=1)
    with pytest.raises(
        NotConverged,
        match=r"step \d+: the loss is .*; the step's pairs are row \d+, .* of the table; the last checkpoint is of",
    ):
        loop.fit(model, preferences(), loss=IPO(), lora=Lora(rank=2), schedule=wild, out=tmp_path / "run")


def test_another_run_in_the_folder_is_refused(model: tiny_model.Model, tmp_path) -> None:
    out = tmp_path / "run"
    loop.fit(model, preferences(), lora=Lora(rank=2), schedule=QUICK, out=out)
    with pytest.raises(BadInput, match="holds another run: data is [0-9a-f]{12}... there and .* here; name another"):
        loop.fit(model, preferences(seed=1), lora=Lora(rank=2), schedule=QUICK, out=out)
    with pytest.raises(BadInput, match="holds another run: lora.rank is 2 there and 3 here; name another folder"):
        loop.fit(model, preferences(), lora=Lora(rank=3), schedule=QUICK, out=out)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.txt").write_text("precious")
    with pytest.raises(BadInput, match="holds something else than a run"):
        loop.fit(model, preferences(), lora=Lora(rank=2), schedule=QUICK, out=tmp_path / "else")


def test_a_damaged_checkpoint_is_named(model: tiny_model.Model, tmp_path) -> None:
    out = tmp_path / "run"
    loop.fit(model, preferences(), lora=Lora(rank=2), schedule=QUICK, out=out)
    for path in (out / "last").rglob("*"):
        if path.is_file() and path.stat().st_size > 200:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match="the checkpoint of step 6 in .*last is damaged"):
        loop.fit(model, preferences(), lora=Lora(rank=2), schedule=QUICK, out=out)


def test_long_rows_are_refused_counted_dropped_or_cut(model: tiny_model.Model) -> None:
    far = {"prompt": "what is the sum of 12 and 30 and 4?", "chosen": "46", "rejected": "47"}
    data = Preferences.from_frame(pd.DataFrame([far, {"prompt": "1+1=", "chosen": "2", "rejected": "3"}]))
    with pytest.raises(BadInput, match="2 of 4 answers have more than 20 tokens with their prompt, the first row 0"):
        batches.rows_of(model, data, longest=20)
    dropped = batches.rows_of(model, data, longest=20, long="drop")
    assert (len(dropped.chosen), len(dropped.rejected), dropped.dropped) == (1, 1, 1)
    cut = batches.rows_of(model, data, longest=20, long="cut")
    assert [len(row.tokens) for row in cut.chosen] == [20, 7]
    assert cut.cut == 2
    assert list(cut.chosen[0].tokens[-3:]) == [*model.tokens.encode("46"), 0]
    with pytest.raises(BadInput, match="the answer alone has 3 tokens, no fewer than the 3 of a row"):
        batches.rows_of(model, data, longest=3, long="cut")
