"""Tokens learned a second by AOT, ours and TRL's on the CPU with the same weights, tokens, order and optimiser.

Each side runs in a process of its own and takes turns with the others; a step is timed as its trainer runs it, with
what the host does between steps. TRL is given several ways; the fastest counts. TRL needs PyTorch:
`pip install "lleval-jax[train,parity]" trl accelerate datasets`, and a C++ compiler for torch.compile. Where that is
another environment than this one, LLEVAL_PARITY names its Python.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import statistics
import sys
import tempfile
from typing import Any

from bench.kit.machine import versions
from bench.kit.measure import run_script
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.training import contest

HERE = pathlib.Path(__file__).resolve().parent
OURS, THEIRS = "speed_ours.py", "rivals/trl_aot.py"
CONTESTANTS = {  # name -> script, variant, threads
    "lleval_jax": (OURS, "float32", 2),
    "TRL": (THEIRS, "precomputed", 2),
    "TRL, one thread": (THEIRS, "precomputed", 1),
    "TRL, torch.compile": (THEIRS, "compiled", 2),
    "TRL, reference in each step": (THEIRS, "each step", 2),
    "lleval_jax, bfloat16": (OURS, "bfloat16", 2),
    "TRL, bfloat16": (THEIRS, "bfloat16", 2),
}
KNOWN = ("TRL", "TRL, one thread", "TRL, torch.compile")  # ways in float32 that know the reference beforehand


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    model: tuple[str, ...] = setting(("tiny-lm", "5M"), "tiny-lm, or sizes of random Llamas")
    adapter: tuple[str, ...] = setting(contest.ADAPTERS, "what learns")
    contestant: tuple[str, ...] = setting(tuple(CONTESTANTS), "sides")
    loss: tuple[str, ...] = setting(("aot",), "aot (pairs) or aot_unpaired, as TRL calls them")
    batch: int = setting(16, "pairs a step")
    steps: int = setting(6, "steps a turn; all but the first are timed, after as many that warm up")
    turns: int = setting(2, "of each side")
    timeout: float = setting(900.0, "seconds a side, compilation included")


def study(settings: Settings, record: Record) -> None:
    """A part for each model, adapter and loss; the sides take turns, so that what else runs meets all of them."""
    for name in settings.model:
        with tempfile.TemporaryDirectory() as place:
            folder = pathlib.Path(place)
            task = write(name, folder, settings)
            for loss in settings.loss:
                for adapter in settings.adapter:
                    begin(folder, adapter)
                    asked = {key: getattr(settings, key) for key in ("batch", "steps", "turns")}
                    about = task | asked | {"model": name, "adapter": adapter, "loss": loss}
                    _turns(folder, about, settings, record)


def _turns(folder: pathlib.Path, about: dict, settings: Settings, record: Record) -> None:
    part = ", ".join(about[key] for key in ("model", "adapter", "loss"))
    sides = dict(record.content.get(part, {}).get("sides", {}))
    samples: dict[str, list[dict]] = {who: [] for who in settings.contestant}
    for turn in range(settings.turns):
        for who, found in samples.items():
            if not any(one["status"] != "ok" for one in found):
                found.append(side(who, folder, about, settings.timeout))
            sides[who] = pooled(found, about["tokens_a_step"])
            print(f"{part}, turn {turn + 1}, {who}: {said(sides[who])}", flush=True)
            record.part(part, about | compared(sides) | {"versions": versions("flax", "optax"), "sides": sides})


def write(name: str, folder: pathlib.Path, settings: Settings) -> dict[str, Any]:
    """The model, the pairs and the tokens of all steps in order, in files; what the task is."""
    from bench.lm import models
    from lleval_jax import lm
    from lleval_jax.data.preferences import read_preferences
    from lleval_jax.lm import token_writing
    from lleval_jax.training.run import batches, recipe
    from lleval_jax.training.run.batches import Order

    tiny = lm.load("tiny-lm")
    if name == "tiny-lm":
        lm.save(tiny, folder / "model")
        for file in (folder / "model").iterdir():
            file.rename(folder / file.name)
    else:
        models.write(name, folder)
        token_writing.write(tiny.tokens, folder, "llama")
    (folder / contest.DATA).write_bytes((recipe.SHIPPED / "demo.jsonl").read_bytes())
    model = contest.model(folder)
    rows = batches.rows_of(model, read_preferences(folder / contest.DATA))
    order = Order(len(rows.chosen), settings.batch, contest.schedule(settings.steps, settings.batch).seed)
    taken = [i for step in range(settings.steps) for i in order.rows(step)]
    pairs = [(rows.chosen[i], rows.rejected[i]) for i in taken]
    (folder / contest.ROWS).write_text(json.dumps([_ids(*pair) for pair in pairs]))
    sizes = [sum(len(row.tokens) for row in pair) for pair in pairs]
    return {
        "parameters": parameters(model),
        "tokens_a_step": [sum(sizes[k : k + settings.batch]) for k in range(0, len(sizes), settings.batch)],
        "rows": 2 * settings.batch,
        "longest": max(len(row.tokens) for pair in pairs for row in pair),
    }


def _ids(chosen: Any, rejected: Any) -> dict[str, list[int]]:
    return {
        "prompt_ids": chosen.tokens[: chosen.start].tolist(),
        "chosen_ids": chosen.tokens[chosen.start :].tolist(),
        "rejected_ids": rejected.tokens[rejected.start :].tolist(),
    }


def parameters(model: Any) -> int:
    """How many a model has."""
    from flax import nnx

    from lleval_jax.training.cost.cost import parameters as counted

    return counted(nnx.state(model.decoder, nnx.Param))


def begin(folder: pathlib.Path, adapter: str) -> None:
    """The adapter as ours begins, for PEFT."""
    import shutil

    from lleval_jax.training.low_rank import adapter_files, lora

    shutil.rmtree(folder / contest.ADAPTER, ignore_errors=True)
    wanted = contest.adapter(adapter)
    if wanted is not None:
        decoder = lora.attach(contest.model(folder).decoder, wanted)
        adapter_files.save_peft(decoder, wanted, folder / contest.ADAPTER, base="model")


def side(who: str, folder: pathlib.Path, about: dict, timeout: float) -> dict[str, Any]:
    """One contestant in a process of its own."""
    script, variant, threads = CONTESTANTS[who]
    python = sys.executable if script == OURS else os.environ.get("LLEVAL_PARITY", sys.executable)
    out = folder / "out.json"
    out.unlink(missing_ok=True)
    words = [python, str(HERE / script), str(folder), str(out), "--variant", variant, "--threads", str(threads)]
    for key in ("adapter", "loss", "batch", "steps"):
        words += [f"--{key}", str(about[key])]
    before = os.getloadavg()[0]
    return run_script(words, out, timeout) | {"load_before": round(before, 2)}


def pooled(turns: list[dict], tokens: list[int]) -> dict[str, Any]:
    """All turns of one side together; the first step of a turn is not timed."""
    loads = [one["load_before"] for one in turns]
    lost = [one for one in turns if one.get("status") != "ok"]
    if lost:
        return lost[0] | {"load_before": loads}
    rates = sorted(count / took for one in turns for count, took in zip(tokens[1:], one["steps"], strict=True))
    known = [one["reference"] for one in turns if one.get("reference") is not None]
    reference = statistics.median(known) if known else None
    whole = statistics.median(sum(one["steps"]) for one in turns) / sum(tokens[1:])
    promised = [one["promised"]["seconds"] for one in turns if "promised" in one]
    took = whole * sum(tokens) + (reference or 0)
    return {
        **{key: value for key, value in turns[0].items() if key not in ("steps", "reference", "whole_run")},
        "load_before": loads,
        "tokens_a_second": statistics.median(rates),
        "spread": [rates[0], rates[-1]],
        "with_reference": 1 / (whole + (0 if reference is None else reference / sum(tokens))),
        "reference_seconds": reference,
        "compiling": min(one["compiling"] for one in turns),
        **({"promised_seconds": statistics.median(promised), "took_seconds": took} if promised else {}),
        "cpu_seconds": statistics.median(one["cpu_seconds"] for one in turns),
        "peak_mib": min(one["peak_mib"] for one in turns),
    }


def compared(sides: dict[str, dict]) -> dict[str, Any]:
    """Ours by the fastest of theirs: steps alone, and with the pass of the reference; and how far losses differ."""
    done = {who: one for who, one in sides.items() if one.get("status") == "ok"}
    ours, found = done.get("lleval_jax"), {}
    for name, key, ways in (
        ("times_as_fast", "tokens_a_second", KNOWN),
        ("times_as_fast_with_reference", "with_reference", (*KNOWN, "TRL, reference in each step")),
    ):
        theirs = {way: done[way][key] for way in ways if way in done}
        if ours and theirs:
            best = max(theirs, key=lambda way: theirs[way])
            found |= {name: ours[key] / theirs[best], f"{name}_than": best}
    if ours and "TRL" in done:
        found["losses_differ"] = max(
            abs(one - other) for one, other in zip(ours["losses"], done["TRL"]["losses"], strict=True)
        )
    return found


def said(found: dict) -> str:
    """In a line."""
    if found.get("status") != "ok":
        return f"{found.get('status')}: {found.get('error')}"
    speed = f"{found['tokens_a_second']:,.0f} tokens/s ({found['with_reference']:,.0f} with the reference)"
    return f"{speed}, {found['peak_mib']:,} MiB; load {found['load_before'][-1]}"
