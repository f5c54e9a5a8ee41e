"""Tables of the engine's results."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number

SHOWN = {  # problem: its words, and the rows that are shown
    "2pl_400x14000": "400 x 14,000, 2PL",
    "2pl_5000x28000": "5,000 x 28,000, 2PL",
    "synth2pl_5": "400 x 5,000, 5 dims",
    "synth2pl_10": "400 x 5,000, 10 dims",
    "abilities_100000x100": "100,000 abilities, 100 answers, 5 dims",
}


def engine() -> str:
    """Seconds, memory and errors of all contestants."""
    rows = []
    for name, words in SHOWN.items():
        for who, row in sorted(read("irt", name)["rows"].items(), key=lambda item: not item[0].startswith("lleval")):
            rows.append((words, *contestant(who, row)))
    head = ("problem", "who", "cold s", "warm s", "CPU s", "peak MiB", "steps", "r slope", "P-RMSE", "remark")
    return markdown(head, rows)


def contestant(who: str, row: dict) -> tuple[str, ...]:
    """Cells of one contestant."""
    found = row.get("accuracy", {})
    remark = row.get("error") or row.get("note") or row.get("extrapolated_from") or ""
    if "extrapolated_from" in row:
        remark = f"extrapolated from {row['extrapolated_from']}"
    status = row["status"] if row["status"] not in ("ok", "stored") else ""
    peak = row.get("peak_mib") or row.get("whole_run", {}).get("peak_mib")
    return (
        bold(who, who.startswith("lleval")),
        *(number(row.get(key)) for key in ("cold_seconds", "warm_seconds", "cpu_seconds")),
        number(peak, 0),
        str(row.get("steps", "-")),
        number(found.get("r_slope"), 3),
        number(found.get("probability_rmse"), 4),
        f"{bold(status)} {remark}".strip(),
    )


def likelihood() -> str:
    """Log likelihoods, and R mirt's."""
    rows = []
    for name in ("gsm8k_A", "gsm8k_B"):
        of = read("irt", name)["rows"]
        ours, plain, theirs = of["lleval_jax, ML, 61 nodes"], of["lleval_jax"], of["R mirt"]
        nodes, fine = "log_likelihood_61_nodes", "log_likelihood"
        gap = ours["accuracy"][nodes] - theirs["accuracy"][nodes]
        steps = f"{ours['steps']} / {theirs['steps']}"
        values = (ours["accuracy"][nodes], theirs["accuracy"][nodes])
        better = (plain["accuracy"][fine], theirs["accuracy"][fine])
        row = (*(number(x, 3) for x in values), f"{gap:+.3f}", steps, number(ours["warm_seconds"]))
        rows.append((name, *row, *(number(x, 1) for x in better)))
    head = ("set", "lleval_jax, ML, 61 nodes", "R mirt", "difference", "steps ours / theirs", "warm s")
    return markdown((*head, "default fit, 1,201 nodes", "R mirt, 1,201 nodes"), rows)


ERRORS = {"2pl_400x14000": "intercept", "prompts_100x250": "log_scale", "2pl_5000x28000": "intercept"}


def accelerator() -> str:
    """The GPU and its machine's 16 cores."""
    rows = []
    for name, of in read("irt", "accelerator_h200")["problems"].items():
        for side, word in (("accelerator", "H200"), ("cpu", "16 cores")):
            one = of.get(side, {})
            for precision, row in one.get("variants", {}).items():
                rows.append((name, word, *variant(of, side, precision, row, ERRORS[name])))
            if one.get("error"):
                rows.append((name, word, bold(f"others: {one['error']}"), *[""] * 5))
    head = ("problem", "device", "precision", "cold s", "warm s", "step ms", "error", "step or call over its limit")
    return markdown(head, rows)


def variant(of: dict, side: str, precision: str, row: dict, quantity: str) -> tuple[str, ...]:
    """Cells of one precision on one device."""
    error = of.get("errors", {}).get(f"{side}, {precision}", {}).get(quantity, {}).get("max")
    step, share = row.get("step", {}).get("warm"), row.get("share_of_limit")
    seconds = (number(row.get("cold_seconds")), number(row.get("warm_seconds"), 3))
    over = number(1 / share, 1) if share else "-"
    return precision, *seconds, number(step and 1000 * step), "-" if error is None else f"{error:.1e}", over


def quick() -> str:
    """The kernels as they are now: warm seconds on both, largest error."""
    rows = []
    for name, of in read("irt", "accelerator_h200_full")["problems"].items():
        for side, word in (("accelerator", "H200"), ("cpu", "16 cores")):
            for precision, row in of.get(side, {}).get("variants", {}).items():
                found = of.get("errors", {}).get(f"{side}, {precision}", {})
                worst = ", ".join(f"{k} {v['max']:.1e}" for k, v in found.items() if isinstance(v, dict))
                rows.append((name, word, precision, number(row.get("warm_seconds"), 3), worst or "-"))
    return markdown(("problem", "device", "precision", "warm s", "largest errors"), rows)


TABLES = {"engine": engine, "likelihood": likelihood, "accelerator": accelerator, "quick": quick}
