"""Tables of which half of an adapter learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number

TASKS = {
    "origin": "origin of an instruction, 5",
    "asked": "what a problem asks, 3",
    "speaker": "who speaks, 2",
    "decoder": "turns by DPO, tiny-lm",
}
NAMES = {
    "both": "LoRA (A and B)",
    "B": "B",
    "B, twice the rank": "B, twice the rank",
    "A": "A",
    "B, A gaussian": "B, A Gaussian",
    "B, A kaiming": "B, A Kaiming",
    "B, A singular": "B, A singular vectors",
}
Runs = dict[str, dict[str, dict[str, float]]]


def _pairs(part: str, arm: str) -> list[tuple[dict[str, float], dict[str, float]]]:
    """(the arm's run, LoRA's) of each seed that has both."""
    runs: Runs = read("training", "asymmetry")[part]["runs"]
    ours, both = runs.get(arm, {}), runs["both"]
    return [(ours[seed], both[seed]) for seed in sorted(set(ours) & set(both), key=int)]


def _of(pairs: list[tuple[dict[str, float], dict[str, float]]], key: str) -> list[list[float]]:
    """The arm's numbers, and LoRA's."""
    return [[run[key] for run in side] for side in zip(*pairs, strict=True)]


def interval(values: Sequence[float], digits: int = 3, *, against: bool = False) -> str:
    """A mean with Student's 95% interval; of differences bold where all of it is on the wrong side of `against`."""
    mean, half = float(np.mean(values)), half_width(values)
    text = f"{number(mean, digits)} ± {number(half, digits)}"
    return bold(text, against and mean + half < 0)


def half_width(values: Sequence[float]) -> float:
    """Of Student's 95% interval of a mean."""
    count = len(values)
    return float(stats.t.isf(0.025, count - 1) * np.std(values, ddof=1) / np.sqrt(count)) if count > 1 else float("inf")


def asymmetry() -> str:
    """By task and arm: accuracy, and differences to LoRA of the same seeds."""
    rows = []
    for part, task in TASKS.items():
        for arm, name in NAMES.items():
            if not (pairs := _pairs(part, arm)):
                continue
            cells = []
            for key in ("accuracy", "loss"):
                ours, both = _of(pairs, key)
                cells += [interval(ours), "" if arm == "both" else _differs(ours, both, key)]
            rows.append((task, name, len(pairs), *cells))
    head = ("task", "what learns", "seeds", "accuracy", "less LoRA's", "held-out loss", "less LoRA's")
    return markdown(head, rows)


def _differs(these: Sequence[float], those: Sequence[float], key: str) -> str:
    gap = np.subtract(these, those)
    worse = gap if key == "accuracy" else -gap
    return bold(interval(list(gap)), float(np.mean(worse)) + half_width(list(worse)) < 0)


def asymmetry_all() -> str:
    """Over all tasks: each seed's mean difference to LoRA, and the gap of held-out and training loss by the bound."""
    bounds = read("training", "asymmetry")["origin"]["bounds"]
    rows = []
    for arm, name in NAMES.items():
        each = [_pairs(part, arm) for part in TASKS]
        count = min(map(len, each))
        if not count:
            continue
        ours, both = ([_over(each, seed, side) for seed in range(count)] for side in (0, 1))
        apart = [
            "" if arm == "both" else _differs([run[key] for run in ours], [run[key] for run in both], key)
            for key in ("accuracy", "loss")
        ]
        gaps = [[run["loss"] - run["training_loss"] for run in side] for side in (ours, both)]
        ratio = number(float(np.mean(gaps[0]) / np.mean(gaps[1])))
        rows.append((name, count, *apart, interval(gaps[0]), ratio, number(bounds[arm])))
    head = ("what learns", "seeds", "accuracy less LoRA's", "loss less LoRA's", "held-out less training loss")
    return markdown((*head, "of LoRA's", "bound, of LoRA's"), rows)


def _over(each: list[list[tuple[dict[str, float], dict[str, float]]]], seed: int, side: int) -> dict[str, float]:
    """The mean over tasks of a seed's numbers."""
    found = [pairs[seed][side] for pairs in each]
    return {key: float(np.mean([run[key] for run in found])) for key in ("accuracy", "loss", "training_loss")}


def starts() -> str:
    """Both learn, by DPO on tiny-lm: which factor is zero at first."""
    rows = []
    for arm, runs in read("training", "asymmetry")["start"]["runs"].items():
        each = list(runs.values())
        ended = [run for run in each if not run["diverged"]]
        cells = [
            interval([run[key] for run in ended]) if ended else "-" for key in ("accuracy", "loss", "training_loss")
        ]
        most = number(max(run["largest_loss"] for run in ended), 2) if ended else "-"
        rows.append((arm, f"{len(each) - len(ended)} of {len(each)}", *cells, most))
    head = ("start", "not finite", "pairs won", "held-out loss", "training loss", "largest loss of a step")
    return markdown(head, rows)


def asymmetry_rates() -> str:
    """Held-out loss on one more seed, by rate."""
    tried = read("training", "asymmetry")["tuning"]
    rows = []
    for model in ("encoder", "decoder"):
        for learn, found in tried[model].items():
            best = min(found, key=lambda rate: found[rate]["loss"])
            cells = (bold(number(run["loss"], 3), rate == best) for rate, run in found.items())
            rows.append((model, learn, *cells))
    return markdown(("model", "what learns", *(f"rate {rate}" for rate in tried["encoder"]["both"])), rows)


TABLES = {
    "asymmetry": asymmetry,
    "asymmetry-all": asymmetry_all,
    "asymmetry-starts": starts,
    "asymmetry-rates": asymmetry_rates,
}
