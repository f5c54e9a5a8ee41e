"""An audit of a board as tables: who is ahead, and what the board can tell."""

import math

import numpy as np

from lleval_jax.report.text import Table
from lleval_jax.values.audit import GAPS, Audit

NAMED = 5  # questions or models named in a line


def models(found: Audit) -> Table:
    """A line a model, best first."""
    head = ("model", "score", "questions", "rank", "tier", "ties with #1", "p next")
    lines = []
    for i, row in enumerate(found.rows):
        last = i + 1 == len(found.rows)
        after = "" if last else p_value(float(found.p[i, i + 1]))
        tie = "" if i == 0 else "yes" if found.tied[i] else "no"
        score = f"{found.score[i]:z.3f}"
        lines.append((row, score, f"{found.n_seen[i]:,}", ranks(found, i), f"{found.tier[i]}", tie, after))
    title = f"{len(found.rows):,} models x {len(found.items):,} questions, on {found.population}"
    return Table(title, head, tuple(lines), tuple(method(found)))


def facts(found: Audit) -> Table:
    """What the board can tell, a line each."""
    return Table("What this board can tell", ("", "found"), tuple(said(found)), left=2)


def said(found: Audit) -> list[tuple[str, str]]:
    """Each fact and its number, in words."""
    pairs = len(found.rows) - 1
    alone, splits = int(found.tied_alone.sum()), found.splits
    needs = [(gap, found.needed(gap)) for gap in GAPS]
    lines = [
        ("tied with the first", f"{found.tied.sum():,} of {pairs:,}; {alone:,} if each is judged by itself"),
        (
            "neighbours separated",
            f"{found.neighbours.sum():,} of {pairs:,}; {found.neighbours_alone.sum():,} if each is judged by itself",
        ),
        ("least gap separated", f"{points(found.resolves)}, typically of neighbours"),
        *(
            (f"questions for {points(gap)}", f"{count:,} in all, for 80% of such gaps")
            for gap, count in needs
            if count is not None
        ),
        (
            "random halves",
            f"the first stays first on {100 * splits.first:z.0f}% of halves; two halves agree on it in "
            f"{100 * splits.agree:z.0f}%; rank correlation {splits.correlation:z.2f}",
        ),
        ("reliability (KR-20)", "-" if math.isnan(found.reliability) else f"{found.reliability:z.3f}"),
        ("questions that decide", f"{found.decide:,} make half of the spread of scores"),
        ("at the top", f"on {found.contested.sum():,} questions the first and those tied with it differ"),
        ("constant questions", _few([found.items[i] for i in found.constant.nonzero()[0]])),
        ("questions against", _few([found.items[i] for i in found.share.argsort() if found.share[i] < 0])),
        ("near-copies", "; ".join(" = ".join(names[:NAMED]) for names in found.copies[:NAMED]) or "none found"),
    ]
    return lines


def method(found: Audit) -> list[str]:
    """How ranks, tiers and p values were found."""
    units = f"{found.clusters:,} clusters of questions" if found.clusters else "questions"
    few = found.clusters > 0 and not np.triu(found.separated, 1).any()
    return [
        *([f"{found.clusters:,} clusters are too few to separate any of so many pairs."] if few else []),
        f"Paired tests on common questions, random signs of {units}, all pairs judged at once (step-down max-T): all "
        f"rank ranges together contain the true ranks with {100 * found.level:.4g}% confidence.",
        "A tier begins with the first model that is separated from the first model of the tier before it.",
    ]


def ranks(found: Audit, i: int) -> str:
    """The ranks that a model may have."""
    best, worst = found.best[i], found.worst[i]
    return f"{best}" if best == worst else f"{best}-{worst}"


def points(gap: float) -> str:
    """A gap in points."""
    return "-" if math.isnan(gap) else f"{100 * gap:z.1f} points"


def p_value(p: float) -> str:
    """Three digits."""
    return f"{p:z.3f}"


def _few(names: list[str]) -> str:
    """How many, and the first of them."""
    if not names:
        return "none"
    more = ", ..." if len(names) > NAMED else ""
    return f"{len(names):,}: {', '.join(names[:NAMED])}{more}"
