"""Maximum likelihood with the delta method, Laplace, SVI and NUTS on the same answers: where their intervals differ.

For abilities and for probabilities of a right answer: how far values are from those of NUTS, in its standard errors,
and how wide intervals are, over its.
"""

from __future__ import annotations

import dataclasses

import numpy as np

import lleval_jax as ll
from bench.bayes import worlds
from bench.kit.problems import shared
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import bayes


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(("gsm8k_A", "simulated"), "forms of open_llm_irt, or simulated answers")
    models: int = setting(40, "drawn at random")
    items: int = setting(300, "drawn at random")
    curves: tuple[str, ...] = setting(("rasch", "2pl"), "models")
    draws: int = setting(1000, "of each of four chains")


def answers_of(name: str, settings: Settings) -> ll.Responses:
    """A part of a form, or simulated answers."""
    if name == "simulated":
        return worlds.two_parameter(0, settings.models, settings.items)[0]
    random = np.random.default_rng(0)
    with np.load(shared("data", "open_llm_irt", f"{name}.npz"), allow_pickle=False) as stored:
        answers = stored["responses"].astype(float)
    rows = random.permutation(len(answers))[: settings.models]
    items = random.permutation(answers.shape[1])[: settings.items]
    return ll.Responses.build(answers[np.ix_(rows, items)])


def study(settings: Settings, record: Record) -> None:
    """Each set by each model."""
    content: dict[str, object] = {}
    for name in settings.sets:
        responses = answers_of(name, settings)
        for curve in settings.curves:
            fit = ll.irt.fit(responses, model=curve)
            by = (bayes.engine(engine, responses, draws=settings.draws) for engine in ("laplace", "svi", "nuts"))
            found = [bayes.sample(bayes.irt(curve), responses, engine=engine, fit=fit) for engine in by]
            for target in ("ability", "rate"):
                agreement = bayes.agree(fit, *found, target=target)
                print(name, curve, agreement, flush=True)
                content[f"{name}, {curve}, {target}"] = agreement.summary().to_dict(orient="records")
            content[f"{name}, {curve}, status"] = {each.engine: each.diagnostics.status for each in found}
            record.keep(content)
