"""Tables of scores over prompts and of the best prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent, within

BUDGETS = ("200", "400", "800", "1600")
HEAD = ("answers", "200", "400", "800", "1,600")
QUANTILES = ("q05", "q25", "q50", "q75", "q95")
NAMES = {
    "ours": "ours",
    "crude": "crude EM, draws",
    "baseline": "plain averages",
    "pe_rasch": "PromptEval",
    "pe_X": "PromptEval",
    "logreg_X": "regression on templates only",
}
BAR = (0.93, 0.97)  # of 95% intervals


def results() -> dict:
    """Of `prompts.grids`."""
    return read("prompts", "prompts")


def errors(found: Mapping[str, Mapping], word: str, bars: Sequence[float] | None) -> list[tuple[str, ...]]:
    """W1 of each method; ours with its standard error, bold above its bar."""
    rows = []
    for method, of in found.items():
        cells = []
        for i, budget in enumerate(BUDGETS):
            middle, error = of[budget]["mean"][0], of[budget]["se"][0]
            text = f"{number(middle)} ± {number(error)}" if method == "ours" else number(middle)
            cells.append(bold(text, method == "ours" and bars is not None and middle > bars[i]))
        rows.append((f"{NAMES[method]}, {word}", *cells))
    return rows


def simulated() -> str:
    """The reference's sets."""
    part, rows = results()["simulated"], []
    for word in ("without", "with"):
        bars = part["bars"][word]
        rows += errors(part[word]["errors"], f"{word} covariates", bars)
        if word == "with":
            known = (number(results()["known"]["with"][b]["mean"][0]) for b in BUDGETS)
            rows.append(("one who knows how large effects are (`known`)", *known))
        rows.append(("bar", *(number(bar, 1) for bar in bars)))
    return markdown(HEAD, rows)


def example_driven() -> str:
    """Where examples matter, and covariates hardly."""
    part, rows = results()["example_driven"], []
    for kind, word in (("no_effect", "no effect"), ("weak_effect", "weak effect")):
        rows += errors(part[kind]["errors"], word, None)
        gap = part[kind]["w1_of_ours_minus"]["pe_X"]
        gaps = (f"{gap[b]['mean'][0]:+.2f} ± {number(gap[b]['se'][0])}" for b in BUDGETS)
        rows.append((f"ours minus PromptEval, {word}", *gaps))
        for name in (*QUANTILES, "single"):
            shares = (part[kind]["held_95"][b][name] for b in BUDGETS)
            rows.append((f"95% intervals of {name} that hold, {word}", *(bold(percent(s), s < 0.9) for s in shares)))
    return markdown(HEAD, rows)


def coverage(found: Mapping) -> str:
    """Coverage of 95% intervals by budget; bold: outside of the bar."""
    rows = []
    for budget in BUDGETS:
        line = found["budgets"][budget]
        widths = ", ".join(number(line[name]["width"], 1) for name in ("q50", "q05", "single"))
        shares = (within(line[name]["coverage"], *BAR) for name in (*QUANTILES, "single"))
        rows.append((f"{int(budget):,}", *shares, widths))
    head = ("answers", *QUANTILES, "single prompts", "width of q50, q05, single, points")
    return f"{found['worlds']:,} worlds of {' x '.join(map(str, found['shape']))}:\n\n{markdown(head, rows)}"


def fixed() -> str:
    """Where prompts always differ by as much."""
    rows = []
    for sd, found in results()["fixed"].items():
        if isinstance(found, dict) and "budgets" in found:
            shares = [
                ", ".join(percent(found["budgets"][b][name]["coverage"]) for name in ("q05", "q95", "single"))
                for b in BUDGETS
            ]
            rows.append((sd, *shares))
    return markdown(("prompts' sd", *HEAD[1:]), rows)


def held(shares: Mapping[str, float], single: float) -> str:
    """Shares of five quantiles and of single prompts; bold: below 90%."""
    cells = [bold(percent(shares[name]), shares[name] < 0.925) for name in QUANTILES]
    return ", ".join([*cells, percent(single, 1)])


def compared(budgets: Mapping[str, Mapping], word: str) -> list[tuple[str, ...]]:
    """Rows of grids with real accuracies or answers."""
    rows = []
    for budget, r in budgets.items():
        gaps = r["ours_minus"]
        rivals = {NAMES[name]: number(r["errors"][name]["w1"]) for name in gaps}
        less = ", ".join(f"{gap['w1'][0]:+.2f} [{gap['w1'][1]:.2f}, {gap['w1'][2]:.2f}]" for gap in gaps.values())
        won = ", ".join(f"{gap['w1'][3]} of {gap['w1'][3] + gap['w1'][4]}" for gap in gaps.values())
        cells = (rivals.get("plain averages", ""), rivals.get("PromptEval", ""), less, won)
        rows.append((budget, word, number(r["errors"]["ours"]["w1"]), *cells, held(r["held_95"], r["held_95_single"])))
    return rows


COMPARED = (
    "answers",
    "covariates",
    "W1: ours",
    "averages",
    "PromptEval",
    "ours minus each",
    "won",
    "hold: " + ", ".join(QUANTILES) + ", single",
)


def published() -> str:
    """Templates with published accuracies."""
    part = {budget: r for budget, r in results()["published"].items() if budget.isdigit()}
    rows = []
    for kind, word in (("without", "none"), ("with", "of the texts")):
        rows += compared({budget: r[kind] for budget, r in part.items()}, word)
    rows += compared(results()["quick"]["published"], 'none, `method="ep"`')
    return markdown(COMPARED, rows)


def judges() -> str:
    """Several models under the same prompts."""
    rows = []
    for kind, word in (("binary", "right or wrong"), ("fractional", "fractions")):
        for share, r in results()["judges"][kind].items():
            names = ("mean", "difference", "won")
            cells = (f"{number(r[n]['coverage'][0])} ± {number(r[n]['coverage'][1])}" for n in names)
            widths = ", ".join(number(r[n]["width"], 1) for n in names)
            rows.append((word, percent(float(share)), r["worlds"], *cells, widths))
    head = ("answers", "cells", "worlds", "means", "differences of two means", "prompts won")
    return markdown((*head, "width of these, points"), rows)


def quick() -> str:
    """The quick method's W1 on the reference's sets."""
    rows, bars = [], results()["simulated"]["bars"]
    for word in ("without", "with"):
        found = results()["quick"]["simulated"][word]
        cells = (bold(number(found[b]["mean"][0]), found[b]["mean"][0] > bars[word][i]) for i, b in enumerate(BUDGETS))
        rows.append((f"W1, {word} covariates", *cells))
        rows.append(("bar", *(number(bar, 1) for bar in bars[word])))
    return markdown(HEAD, rows)


def speed() -> str:
    """256 warm fits, and the study's 17,100."""
    part, rows = results()["speed"], []
    for method in ("mcmc", "ep"):
        r = part[method]
        names = ("first_seconds", "seconds_of_256", "cpu_seconds_of_256", "cpu_ms_a_fit")
        rows.append(
            (method, *(number(r[k]) for k in names), bold(number(r["seconds_of_all"], 1), r["seconds_of_all"] > 20))
        )
    head = ("method", "first call, s", "256 fits, s", "CPU s", "CPU ms a fit", f"{part['fits']:,} fits, s (bar 20)")
    return markdown(head, rows)


def original() -> str:
    """PromptEval as published: our transcription and the authors' program."""
    found = read("prompts", "prompts_reference")
    theirs = found["original"]
    rows = []
    for method, seconds in found["cpu_seconds_of_four_fits_median"].items():
        weights = {k: v for k, v in theirs["weights_on_set_0"].items() if k.startswith(f"{method} ")}
        worst = [max((v[tol] for v in weights.values()), default=None) for tol in ("tol 1e-10", "tol 0.0001")]
        gaps = ["-" if value is None else f"{value:.1e}" for value in worst]
        gaps[1] = bold(gaps[1], worst[1] is not None and worst[1] > 1e-3)
        both = number(seconds, 3), number(theirs["cpu_seconds_of_four_budgets_median"][method], 3)
        rows.append((method, *both, number(theirs["largest_gap_of_a_score_in_points"][method], 3), *gaps))
    head = ("method", "ours, CPU s of four budgets", "authors' program", "largest gap of a score, points")
    return markdown((*head, "of a coefficient, liblinear at 1e-10", "at its own 1e-4 (bar 1e-3)"), rows)


def best() -> str:
    """Regret of the prompt named best."""
    rows = []
    for section, word in (
        ("stored_sets", "the reference's 10 sets, 3 seeds"),
        ("new_sets", "14 new sets, by a former fit"),
    ):
        for covariates, methods in read("prompts", "best_prompt")[section]["regret_in_points"].items():
            for method, of in methods.items():
                cells = (f"{number(of[b]['mean'], 1)} ± {number(of[b]['se'], 1)}" for b in BUDGETS if b in of)
                name = "**halving, ours**" if method == "halving" else method
                rows.append((word, covariates, name, *cells))
    return markdown(("sets", "covariates", "method", *HEAD[1:]), [row for row in rows if len(row) == 7])


def differences() -> str:
    """Ours minus its rivals; bold: above."""
    rows = []
    for name, of in read("prompts", "best_prompt")["stored_sets"]["differences"].items():
        cells = (bold(f"{of[b]['mean']:+.1f} ± {number(of[b]['se'], 1)}", of[b]["mean"] > 0) for b in BUDGETS)
        rows.append((name, *cells))
    return markdown(("regret, points", *HEAD[1:]), rows)


def calibration() -> str:
    """Stated chances of being best, and how often they came true."""
    found = read("prompts", "best_prompt")["stored_sets"]["calibration"]["halving"]["best"]
    rows = [(number(r["stated"]), number(r["came_true"]), r["runs"]) for r in found]
    return markdown(("stated chance of being best", "came true", "sessions"), rows)


TABLES = {
    "simulated": simulated,
    "example-driven": example_driven,
    "coverage": lambda: coverage(results()["coverage"]),
    "fixed": fixed,
    "published": published,
    "real": lambda: markdown(COMPARED, compared(results()["real"]["budgets"], "none")),
    "judges": judges,
    "quick": quick,
    "quick-coverage": lambda: coverage(results()["quick"]["coverage"]),
    "speed": speed,
    "original": original,
    "best": best,
    "differences": differences,
    "calibration": calibration,
}
