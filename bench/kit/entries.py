"""Every study by name: what it shows, how long it takes, what it needs, and how small a smoke run of it is.

The entry `tiny.alpaca` is the module `bench/tiny/alpaca.py`, which has `Settings`, a frozen dataclass, and
`study(settings, record)`. A new study is a new module and a line here.
"""

from __future__ import annotations

import importlib
import importlib.util
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.irt.rivals import setup
from bench.kit.problems import SHARED
from lleval_jax.errors import BadInput
from lleval_jax.lm import registry


class Entry(NamedTuple):
    """A study.

    name      of its module below `bench`
    shows     in a line
    minutes   that the whole of it took on two cores, about
    results   name of its JSON
    small     settings of a smoke run, which ends in seconds
    needs     of the whole: "shared:FOLDER/FILE" of the shared data, "rivals", "extra:PACKAGE", "model:NAME"
    small_needs  of the smoke run
    tested    the test that runs a few worlds of it at every change, in place of a smoke run
    long      its smoke run takes over twenty seconds of a processor: three days' runs of all share these out
    alone     it says how many devices JAX has, which only a process that has none yet can do
    """

    name: str
    shows: str
    minutes: float
    results: str
    small: Mapping[str, Any]
    needs: Sequence[str] = ()
    small_needs: Sequence[str] = ()
    tested: str = ""
    long: bool = False
    alone: bool = False

    @property
    def method(self) -> str:
        """The folder it lies in."""
        return self.name.partition(".")[0]

    def module(self) -> types.ModuleType:
        """Where it is written."""
        return importlib.import_module(f"bench.{self.name}")


def lacking(needs: Sequence[str]) -> list[str]:
    """Those that are not there, in words."""
    found = []
    for need in needs:
        kind, _, what = need.partition(":")
        if kind == "shared" and not SHARED.joinpath(what).exists():
            found.append(f"{what} of the shared data (LLEVAL_SHARED)")
        if kind == "extra" and importlib.util.find_spec(what) is None:
            found.append(f"the package {what}")
        if kind == "model" and not _is_there(what):
            found.append(f"the model {what} (lleval models fetch {what})")
        if kind == "rivals" and not setup.folder().exists():
            found.append("the rivals' environments (python bench/irt/rivals/setup.py)")
    return found


def _is_there(model: str) -> bool:
    """Whether a language model of the registry can be read here."""
    try:
        registry.located(model)
    except BadInput:
        return False
    return True


SIMULATED = ("simulated",)
FORMS = ("shared:data/open_llm_irt/gsm8k_A.npz",)
ALPACA_DATA = ("shared:data/alpaca_eval/alpaca_eval2.npz", "shared:reference/tinybench_alpaca_shared.json")
SETS = ("shared:reference/prompteval_sim.npz", "shared:reference/baselines.json")
STUDY = ("shared:data/sloth/models.csv", "shared:data/sloth/published_errors.parquet")
LIVEXIV = ("shared:data/livexiv/vqa_v1.npz",)

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "irt.contest",
            "the engine and abilities, ours and rivals on the same problems",
            60,
            "2pl_400x14000",
            {"problem": ("2pl_40x60",), "who": "ours"},
            ("rivals", *FORMS),
        ),
        Entry(
            "irt.accelerator",
            "our kernels on a GPU and on its machine's CPU: seconds, memory, errors of float32 and float64",
            10,
            "accelerator",
            {"problem": ("2pl_400x14000",), "small": True, "quick": True, "repeats": 1},
            long=True,
        ),
        Entry(
            "audit.gate",
            "false passes and false fails of a gate at its margin: repeats, clusters",
            2,
            "gate",
            {"pairs": 50, "questions": (100,)},
        ),
        Entry(
            "audit.boards",
            "boards on which an audit separates equal models, and how many true differences it finds",
            2,
            "boards",
            {"boards": 3, "draws": 100},
        ),
        Entry(
            "guarantee.coverage",
            "intervals of drawn items: models like the known ones, stronger, contaminated, random, with a permuted key",
            60,
            "coverage",
            {"sets": ("simulated",), "cases": ("permuted key",), "runs": 2, "k": 20},
            ("shared:data/new_models/mmlu.npz",),
        ),
        Entry(
            "judged.coverage",
            "scores of good, biased, noisy and useless judges, corrected by human labels: coverage and worth",
            3,
            "coverage",
            {"worlds": 2, "labels": (20,)},
        ),
        Entry(
            "tiny.alpaca",
            "AlpacaEval 2.0: few answers to the full score",
            10,
            "alpaca",
            {"data": "simulated", "restarts": 1, "sizes": (10,)},
            ALPACA_DATA,
            long=True,
        ),
        Entry(
            "tiny.full_score",
            "open_llm_irt: one form's answers to the full score",
            30,
            "full_score",
            {"sets": SIMULATED, "targets": 4},
            FORMS,
        ),
        Entry(
            "kinds.scores",
            "grades and continuous scores fitted as what they are: held-out density, full scores from few answers",
            5,
            "scores",
            {"sets": SIMULATED, "items": 40, "asked": (15,), "draws": 1},
            ("shared:data/wildbench/wildbench_v2.0522_gpt-4o.npz", ALPACA_DATA[0]),
            long=True,
        ),
        Entry(
            "tiny.memory",
            "memory of a process over 600 calls of random shapes, for each method",
            15,
            "memory",
            {"methods": ("pirt", "map"), "calls": 3, "early": 2, "workers": 0},
            long=True,
        ),
        Entry(
            "tiny.stronger",
            "models above all calibration models, and below: the defaults, AIPW and the plain mean",
            8,
            "stronger",
            {"sets": SIMULATED, "splits": 1, "items": 20},
            ("shared:data/new_models/mmlu.npz",),
            long=True,
        ),
        Entry(
            "tiny.agents",
            "SWE-bench Verified from 40, 60 and 100 instances: systems left out at random, the strongest left out",
            15,
            "agents",
            {"board": "simulated", "protocols": ("extrap",), "items": (20,), "splits": 1},
            ("shared:data/new_models/swebench_verified.npz",),
        ),
        Entry(
            "tiny.published",
            "tinyBenchmarks as published, compared with its own stored rows",
            8,
            "tinybench_reference",
            {"data": "simulated", "seeds": 2, "workers": 1, "folds": 1, "restarts": 1},
            ALPACA_DATA,
            long=True,
        ),
        Entry(
            "tiny.coverage_livexiv",
            "the shipped banks' intervals on models left out",
            9,
            "coverage_livexiv",
            {"banks": ("livexiv-tqa",), "items": 60, "k": (10,), "workers": 0, "pairs": 1},
        ),
        Entry(
            "adaptive.items",
            "items needed for a standard error of 2 points and of 1, adaptive and fixed anchors",
            60,
            "adaptive",
            {"sets": SIMULATED, "fixed": False, "tried": 8},
            (*FORMS, ALPACA_DATA[0]),
            long=True,
        ),
        Entry(
            "adaptive.pairs",
            "items needed to tell two neighbours of a leaderboard apart",
            30,
            "pairs",
            {"sets": SIMULATED, "pairs": 4, "far": 3},
            FORMS,
        ),
        Entry(
            "adaptive.ranking",
            "answers until the order of a leaderboard is clear",
            20,
            "ranking",
            {"sets": SIMULATED, "draws": 1, "size": 10, "models": 5},
            FORMS,
        ),
        Entry(
            "adaptive.sessions",
            "ten thousand sessions over ten thousand items",
            10,
            "sessions",
            {"rows": 40, "items": 50, "dims": 2, "budget": 5, "repeats": 1},
        ),
        Entry(
            "prompts.grids",
            "scores over prompts from few answers: errors, coverage, seconds",
            120,
            "prompts",
            {"parts": ("coverage",), "repeats": 2, "shape": (12, 20), "budgets": (60, 120), "draws": 16},
            (*SETS, "shared:data/multi_prompt/templates.parquet"),
        ),
        Entry(
            "prompts.published",
            "PromptEval as published, compared with its stored errors and its authors' program",
            10,
            "prompts_reference",
            {"sets": 1, "budgets": (200,), "seeds": (0,)},
            SETS,
            SETS,
        ),
        Entry(
            "prompts.best",
            "the best prompt under a budget: regret, calibration",
            60,
            "best_prompt",
            {"new": 1, "budgets": (120,), "shape": (16, 30), "others": False},
            SETS,
            long=True,
        ),
        Entry(
            "sloth.scaling",
            "what the next size will score: errors and coverage on families left out",
            20,
            "scaling",
            {"cells": ("lb1:1",), "skills": 1, "most": 1},
            STUDY,
            STUDY,
            long=True,
        ),
        Entry(
            "sloth.published",
            "Sloth's variants compared with the published errors on the same rows",
            10,
            "scaling_published",
            {"variants": ("pca d=2",), "starts": 1},
            STUDY,
            STUDY,
        ),
        Entry(
            "sloth.missing",
            "rows that the original drops, and families of which nothing is known",
            40,
            "scaling_missing",
            {"parts": ("new",), "laws": ("shared intercept d=2",), "most": 1, "names": ("lb1",)},
            STUDY,
            STUDY,
        ),
        Entry(
            "sloth.downstream",
            "HumanEval and pass@k from skills",
            20,
            "downstream",
            {"skills": 1, "benchmarks": "lb1", "groups": 0, "passk": False},
            (*STUDY, "shared:data/sloth/eq_bench.csv"),
            (*STUDY, "shared:data/sloth/eq_bench.csv"),
            long=True,
        ),
        Entry(
            "refresh.chains",
            "a version's scores from few models: LiveXiv, other living benchmarks, simulated worlds, seconds",
            60,
            "refresh",
            {"parts": ("simulation",), "worlds": 1, "trials": 1},
            LIVEXIV,
            long=True,
        ),
        Entry(
            "refresh.published",
            "LiveXiv's re-evaluation as published, compared with its printed errors and its own code",
            15,
            "refresh_reference",
            {"m": (3,), "modalities": ("tqa",), "starts": 1, "timed": False},
            (*LIVEXIV, SETS[1]),
            (*LIVEXIV, SETS[1]),
            long=True,
        ),
        Entry(
            "pepr.pepr",
            "prompt regression: weights, scores of combinations, flags, seconds",
            5,
            "pepr",
            {"runs": 1, "sizes": (50, 100), "draws": 8, "pairs": (200,)},
        ),
        Entry(
            "plain.coverage",
            "intervals of scores and differences without a bank: how often they contain the truth",
            5,
            "plain_coverage",
            {"models": 8, "largest": 20},
        ),
        Entry(
            "plain.with_bank",
            "differences of two models from 50 answers of each with a bank: coverage and width of their intervals",
            20,
            "plain_with_bank",
            {"sets": ("simulated",), "splits": 1, "draws": 1},
            ("shared:data/new_models/mmlu.npz",),
            long=True,
        ),
        Entry(
            "bayes.speed",
            "NUTS on a 2PL of 40 x 805: seconds and effective sample size, ours and a plain NumPyro model",
            20,
            "speed",
            {"models": 6, "items": 20, "chains": 2, "draws": 60, "warmup": 40, "plain_warmup": 40, "repeats": 1},
            ("extra:numpyro",),
            ("extra:numpyro",),
            long=True,
        ),
        Entry(
            "bayes.calibration",
            "simulation-based calibration of each model by NUTS, SVI and Laplace",
            120,
            "calibration",
            {"models": ("rasch",), "engines": ("laplace",), "worlds": 3, "approximate": 99},
            ("extra:numpyro",),
            ("extra:numpyro",),
            long=True,
        ),
        Entry(
            "bayes.many",
            "57 posteriors of 100 x 250 answers at once, and one after the other",
            30,
            "many",
            {"tasks": 3, "models": 4, "items": 10, "draws": 20, "warmup": 20, "alone": 2, "repeats": 1},
            ("extra:numpyro",),
            ("extra:numpyro",),
            long=True,
        ),
        Entry(
            "bayes.agreement",
            "maximum likelihood, Laplace, SVI and NUTS side by side: values and widths of intervals",
            15,
            "agreement",
            {"sets": SIMULATED, "models": 6, "items": 12, "curves": ("rasch",), "draws": 40},
            ("extra:numpyro", *FORMS),
            ("extra:numpyro",),
            long=True,
        ),
        Entry(
            "trust.guard",
            "the guard before a fit: warnings on unidentifiable and on sound designs",
            1,
            "trust_guard",
            {"designs": 7, "boundary": 1},
        ),
        Entry(
            "trust.keys",
            "wrong keys planted in open_llm_irt, and how many the item report finds",
            5,
            "trust_keys",
            {"sets": SIMULATED, "seeds": 1},
            FORMS,
        ),
        Entry(
            "refine.theory",
            "weak labels, naive and refined, where all is known: exact lines, simulated points, a misleading teacher",
            1,
            "theory",
            {"draws": 20, "shown": (1, 2), "students": 5},
        ),
        Entry(
            "refine.style",
            "SmolLM2 shown styled answers: log-probabilities of styled and plain answers by how many it is shown",
            3,
            "style",
            {"model": "tiny-lm", "shown": (0, 1), "questions": 3},
            ("model:smollm2",),
        ),
        Entry(
            "refine.preference",
            "which of two answers is better, from weak labels: each loss and refinement, on hh-rlhf",
            15,
            "preference",
            {"encoder": "", "pairs": 40, "folds": 2, "seeds": 1, "near": 3, "steps": 3, "draws": 10},
            ("model:minilm", "shared:data/preference"),
            ("shared:data/preference",),
        ),
        Entry(
            "aligners.checkable",
            "three aligners on planted flaws: repaired, content kept, harm to good answers; squads by row and by batch",
            60,
            "checkable",
            {"model": "tiny-lm", "encoder": "", "rows": 24, "steps": 2, "batch": 4, "test": 6, "limit": 4},
            ("model:smollm2", "model:minilm"),
            long=True,
        ),
        Entry(
            "aligners.copying",
            "a toy of two layers learns to replace one word and to repeat all others: exact matches on 500 answers",
            2,
            "copying",
            {"rows": 64, "test": 8, "steps": 2, "batch": 8, "width": 16},
        ),
        Entry(
            "data.reading",
            "speed and memory of reading large logs, and of the second read",
            10,
            "reading",
            {"megabytes": 1, "wait": False},
        ),
        Entry(
            "data.kills",
            "writers killed at each call that writes, two at once, and on full disks",
            6,
            "kills",
            {"random": 1, "verbs": 0, "seconds": 0.2},
            tested="tests/data/test_writing.py",
        ),
        Entry(
            "data.fuzz",
            "any bytes give a result or BadInput",
            60,
            "fuzz",
            {"only": "table", "cases": 500, "seconds": 5},
            ("extra:atheris",),
            ("extra:atheris",),
        ),
        Entry(
            "lm.decoding",
            "tokens a second of greedy writing, compared with transformers on PyTorch",
            25,
            "decoding",
            {"model": ("small",), "contestant": ("lleval_jax, float32",), "rows": (2,), "tokens": 20, "repeats": 1},
            ("extra:flax", "extra:torch"),
            ("extra:flax",),
        ),
        Entry(
            "lm.damaged",
            "any bytes in a model's files give a model or one clear line",
            8,
            "damaged",
            {"cases": 2},
            ("extra:flax", "extra:gguf"),
            ("extra:flax", "extra:gguf"),
            tested="tests/nn/test_bad_input.py",
        ),
        Entry(
            "irt.coverage_items",
            "intervals of the 2PL in simulated benchmarks",
            2,
            "coverage_items",
            {"worlds": 1},
            tested="tests/estimators/irt/test_calibration.py",
        ),
        Entry(
            "tiny.coverage_methods",
            "intervals of all methods on simulated benchmarks",
            20,
            "coverage_methods",
            {"sets": 1},
            tested="tests/estimators/tiny/test_score.py",
        ),
        Entry(
            "tiny.few_models",
            "intervals of banks of 1, 4, 5, 7, 10 and 29 calibration models",
            3,
            "few_models",
            {"models": (1, 5), "sets": 1},
            tested="tests/estimators/tiny/test_score.py",
        ),
        Entry(
            "prompts.coverage_grids",
            "intervals of scores over prompts in simulated grids",
            15,
            "coverage_grids",
            {"worlds": 1},
            tested="tests/estimators/prompts/test_effects.py",
        ),
        Entry(
            "prompts.chances_best",
            "whether the stated chance of the best prompt comes true",
            15,
            "chances_best",
            {"worlds": 1},
            tested="tests/estimators/prompts/test_best.py",
        ),
        Entry(
            "sloth.coverage_hidden",
            "intervals of hidden models, loadings and efficiencies",
            40,
            "coverage_hidden",
            {"worlds": 1},
            tested="tests/estimators/sloth/test_law.py",
        ),
        Entry(
            "sloth.coverage_downstream",
            "intervals of scores and pass@k from skills",
            15,
            "coverage_downstream",
            {"worlds": 1},
            tested="tests/estimators/sloth/test_downstream.py",
        ),
        Entry(
            "sloth.coverage_laws",
            "intervals of Sloth's published variants",
            20,
            "coverage_laws",
            {"worlds": 1},
            tested="tests/estimators/sloth/test_published.py",
        ),
        Entry(
            "sloth.recovery_loadings",
            "the error of loadings by the number of families",
            10,
            "recovery_loadings",
            {"worlds": 1},
            tested="tests/estimators/sloth/test_skills.py",
        ),
        Entry(
            "refresh.coverage_published",
            "intervals of LiveXiv's published method where its model holds",
            10,
            "coverage_published",
            {"worlds": 1},
            tested="tests/estimators/refresh/test_published.py",
        ),
        Entry(
            "lm.scoring",
            "tokens scored a second, ours and transformers', and memory by the chunk of the vocabulary",
            15,
            "scoring",
            {"sizes": ("tiny",), "repeats": 1, "turns": 1, "rival": False, "chunks": (4096,)},
            ("extra:flax", "extra:torch"),
            ("extra:flax",),
        ),
        Entry(
            "lm.prompts",
            "prompt regression on a real model: combinations never scored, predicted and actual",
            20,
            "prompts",
            {"model": "tiny-lm", "texts": 10, "held_out": 4},
            ("model:smollm2", "extra:flax"),
            ("model:tiny-lm", "extra:flax"),
            long=True,
        ),
        Entry(
            "lm.embedding",
            "sentences a second of MiniLM, ours and transformers'",
            3,
            "embedding",
            {"texts": 20, "turns": 1, "theirs": False},
            needs=("extra:flax", "extra:torch", "model:minilm"),
            small_needs=("extra:flax", "model:minilm"),
        ),
        Entry(
            "training.faults",
            "runs that are killed, meet a full disk, damaged checkpoints, changed data or other devices",
            25,
            "faults",
            {"kills": 1, "steps": 6, "parts": ("kills",)},
            ("extra:flax", "extra:orbax"),
            ("extra:flax", "extra:orbax"),
            alone=True,  # it forks, which only a process that has no devices yet can do
            long=True,
        ),
        Entry(
            "training.speed",
            "tokens learned a second by AOT, ours and TRL's; half an adapter and both; what --dry-run promised",
            10,
            "speed",
            {
                "model": ("tiny-lm",),
                "adapter": ("LoRA",),
                "contestant": ("lleval_jax",),
                "batch": 2,
                "steps": 2,
                "turns": 1,
            },
            ("extra:flax", "extra:torch", "model:tiny-lm"),
            ("extra:flax", "model:tiny-lm"),
            long=True,
        ),
        Entry(
            "training.sharding",
            "what a device holds while it trains a 1B model on eight: compiled, and estimated by --dry-run",
            10,
            "sharding",
            {
                "layers": 2,
                "width": 64,
                "hidden": 128,
                "heads": 8,
                "kv_heads": 8,
                "vocab": 512,
                "tokens": 16,
                "answers": 8,
                "mesh": ("fsdp 8",),
                "adapter": ("LoRA",),
                "recompute": ("nothing",),
            },
            needs=("extra:flax",),
            small_needs=("extra:flax",),
            alone=True,
        ),
        Entry(
            "lm.sharding",
            "what a device holds and sends of a 1B model on eight, read from compiled programs",
            3,
            "sharding",
            {"layers": 2, "width": 64, "hidden": 128, "heads": 8, "kv_heads": 8, "vocab": 512, "tokens": 16},
            needs=("extra:flax",),
            small_needs=("extra:flax",),
            alone=True,
        ),
        Entry(
            "training.alignment",
            "AOT, DPO, IPO and KTO at equal cost on real pairs: tiny-lm in full",
            60,
            "alignment",
            {
                "who": ("AOT unequal", "AOT unpaired"),
                "seeds": (0,),
                "steps": 2,
                "answers": 8,
                "rates": (1e-3,),
                "betas": (0.2,),
                "longest": 104,
                "held": 8,
                "validation": 4,
                "written": 4,
                "limit": 4,
            },
            needs=("shared:data/preference", "extra:flax", "extra:grain"),
            small_needs=("shared:data/preference", "extra:flax", "extra:grain"),
            long=True,
        ),
        Entry(
            "training.alignment_smollm2",
            "the same with SmolLM2-135M and LoRA, on harmless answers",
            90,
            "alignment_smollm2",
            {
                "model": "tiny-lm",
                "who": ("AOT paired",),
                "seeds": (0,),
                "steps": 1,
                "answers": 8,
                "longest": 96,
                "held": 8,
                "written": 4,
                "limit": 4,
            },
            needs=("shared:data/preference", "extra:flax", "extra:grain", "model:smollm2"),
            small_needs=("shared:data/preference", "extra:flax", "extra:grain"),
            long=True,
        ),
        Entry(
            "training.batches",
            "AOT by the batch, and sorted whole against sorted within micro-batches",
            60,
            "batches",
            {
                "parts": ("bias", "sorting"),
                "seeds": (0,),
                "pairs": 4,
                "who": ("AOT unpaired",),
                "blocks": (2,),
                "sorted": 4,
                "draws": 3,
                "gradients": 1,
                "longest": 104,
                "held": 8,
                "validation": 4,
                "rate": 1e-3,
                "beta": 0.1,
            },
            needs=("shared:data/preference", "extra:flax", "extra:grain"),
            small_needs=("shared:data/preference", "extra:flax", "extra:grain"),
            long=True,
        ),
        Entry(
            "training.elsewhere",
            "what alignment costs elsewhere: recipe, adapter, model, answers, the interval of the difference",
            3,
            "elsewhere",
            {"steps": 1, "batch": 4, "items": 6, "options": 2},
            needs=("shared:data/preference", "extra:flax", "extra:grain"),
            small_needs=("shared:data/preference", "extra:flax", "extra:grain"),
        ),
        Entry(
            "training.asymmetry",
            "which half of an adapter learns, on real texts with MiniLM and tiny-lm, and from which start",
            60,
            "asymmetry",
            {"parts": ("decoder",), "arms": ("B",), "seeds": 1, "pairs": 32, "held_out_pairs": 8, "decoder_steps": 1}
            | {"rates": (1e-3,), "preferences": "demo", "longest": 128},
            needs=("extra:flax", "model:minilm", "shared:data/preference/gsm8k_train.jsonl.gz"),
            small_needs=("extra:flax", "model:tiny-lm"),
        ),
        Entry(
            "training.memory_b",
            "what learning B alone saves: optimiser's state, what the backward pass keeps, seconds of a step",
            10,
            "memory_b",
            {"size": "tiny", "tokens": 40, "rank": 2, "repeats": 0}
            | {"targets": ("query, key, value",), "learn": ("B",), "recompute": ("nothing",)},
            needs=("extra:flax",),
            small_needs=("extra:flax",),
        ),
        Entry(
            "compress.quality",
            "64 trained adapters in shared bases: error, score and agreement by rank; against random ones",
            40,
            "quality",
            {"model": "tiny-lm", "made": 2, "full": (2,), "svd": (), "two": (), "four": (), "diag": (), "many": ()}
            | {"sweeps": 3, "random": False},
            needs=("extra:flax", "extra:grain", "model:smollm2", "shared:data/preference"),
            small_needs=("extra:flax", "model:tiny-lm"),
        ),
        Entry(
            "live.filters",
            "filters of a living benchmark against planted truth: blind share, wrong keys, numbers that no table has",
            5,
            "filters",
            {"questions": 160, "seeds": 2, "judges": 1},
        ),
        Entry(
            "live.loop",
            "wrong keys that `check` finds from the answers of 8 to 100 models, and scores after review",
            4,
            "loop",
            {"models": (8,), "items": 40, "seeds": 1},
        ),
        Entry(
            "live.runs",
            "the shipped living benchmark: seconds and memory, processes killed at random, money",
            15,
            "runs",
            {"papers": 1, "kills": 1, "longest": 1.0, "requests": 4},
            needs=("extra:lxml", "extra:pypdfium2"),
            small_needs=("extra:lxml", "extra:pypdfium2"),
            long=True,
        ),
        Entry(
            "scale.abilities",
            "seconds and memory of ten thousand to a million abilities out of one parquet table",
            15,
            "abilities",
            {"models": (20,), "workers": (1,), "items": 20, "answers": 10, "dims": 1, "calibration": 30, "part": 8},
        ),
        Entry(
            "scale.faults",
            "a study killed, damaged and shared out: whether its table is the undisturbed one; what chunks cost",
            10,
            "faults",
            {"chunks": 4, "kills": 1, "recognised": 20, "cost": 3},
        ),
        Entry(
            "scale.large",
            "one fit of a long table of a million to a hundred million answers: seconds, memory, bytes an answer",
            40,
            "large",
            {"sizes": ("20x40",), "seen": 0.5, "models": ("rasch",)},
        ),
        Entry(
            "scale.many",
            "many small fits against a loop over one, and lanes that fits leave when they have ended",
            15,
            "many",
            {"rasch": 0, "bootstrap": 0, "skewed": 2, "wide": 2},
        ),
        Entry(
            "serving.throughput",
            "tokens a second and seconds a request against the number of adapters: merged, rotating, compressed",
            25,
            "throughput",
            {"models": ("tiny-lm",), "adapters": (3,), "rank": 4, "requests": 6, "clients": 3, "prompt": 8, "new": 3}
            | {"rounds": 1, "rows": 4},
            needs=("extra:flax",),
            small_needs=("extra:flax",),
            long=True,
        ),
        Entry(
            "serving.ways",
            "how rows with adapters of their own meet the bases of their clusters: each way by shapes, and the rule",
            4,
            "ways",
            {"width": (64,), "clusters": (4,), "rows": (8,), "tokens": (1,), "adapters": 16, "repeats": 1},
            needs=("extra:flax",),
            small_needs=("extra:flax",),
        ),
        Entry(
            "serving.endpoint",
            "`lleval serve` with many adapters under load, mistakes, killed clients, signals, adapters taken away",
            10,
            "endpoint",
            {"requests": 12, "clients": 3, "adapters": 3, "new": 4, "killed": 1, "stopped": 4},
            needs=("extra:flax", "extra:uvicorn", "extra:openai"),
            small_needs=("extra:flax", "extra:uvicorn", "extra:openai"),
            long=True,
        ),
        Entry(
            "compress.speed",
            "seconds to put a thousand adapters into a basis: against the authors' program, their number, whole models",
            20,
            "speed",
            {"parts": ("race",), "sides": ("lleval_jax, one start",), "adapters": 6, "size": 16, "rank": 2}
            | {"width": 2, "repeats": 1},
            needs=("extra:torch",),
        ),
        Entry(
            "compress.envelope",
            "error against memory on the same adapters: ours, vlora-dev, lorashare and LoRALoLA",
            15,
            "envelope",
            {"adapters": ("planted",), "rivals": (), "ranks": (2,), "clusters": (1,), "n": 6, "size": 16, "rank": 2}
            | {"starts": 1},
            needs=("extra:torch",),
            small_needs=("extra:flax",),
        ),
    )
}
