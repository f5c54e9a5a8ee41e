"""An audit as one HTML file: no network, no script, light and dark, and readable on a phone."""

from lleval_jax.report import audit as tables
from lleval_jax.report import pages
from lleval_jax.report.cite import cite
from lleval_jax.report.pages import ROW
from lleval_jax.report.pages import card as _card
from lleval_jax.report.pages import text as _text
from lleval_jax.values.audit import Audit

EDGE = 6  # above and below a bar, in the picture's own units
SHOWN = 60  # models in the picture


def page(found: Audit, title: str) -> str:
    """The whole file.

    Args:
        found: the audit.
        title: of the page.

    Returns:
        HTML; every name is escaped.
    """
    size = f"{len(found.rows):,} models, {len(found.items):,} questions"
    return pages.filled(
        "audit.html",
        title=_text(title),
        lead=_text(_lead(found)),
        size=_text(f"{size}. Scores are of {found.population}."),
        cards="".join(_card(name, value) for name, value in tables.said(found)),
        picture=_picture(found),
        shown=_text(f"The first {min(SHOWN, len(found.rows))} models; the bar is the range of ranks a model may have."),
        models=_rows(found),
        questions=_questions(found),
        method=" ".join(_text(line) for line in tables.method(found)),
        made=_text(f"lleval {found.source.version}. {found.source.command}"),
        files="".join(f"<li>{_text(name)} <code>{_text(hash_)}</code></li>" for name, hash_ in _files(found)),
        cite=_text(cite(found.source)),
    )


def _lead(found: Audit) -> str:
    tied = int(found.tied.sum())
    first = found.rows[0]
    others = "1 other ties" if tied == 1 else f"{tied:,} others tie"
    return f"{first} is first, alone." if not tied else f"{first} is first by score, and {others} with it."


def _picture(found: Audit) -> str:
    """Rank ranges, a line a model."""
    count, models = min(SHOWN, len(found.rows)), len(found.rows)
    last = int(found.worst[:count].max())
    lines = []
    for i in range(count):
        top, tie = i * ROW, "tie" if i == 0 or found.tied[i] else "rest"
        left, right = (100 * (rank - 1) / max(last, 1) for rank in (found.best[i], found.worst[i] + 1))
        middle = 100 * (i + 0.5) / max(last, 1)
        title = f"{_text(found.rows[i])}: rank {tables.ranks(found, i)}"
        lines.append(
            f'<rect class="{tie}" x="{left:z.2f}%" y="{top + EDGE}" width="{right - left:z.2f}%" '
            f'height="{ROW - 2 * EDGE}" rx="3"><title>{title}</title></rect>'
            f'<circle cx="{middle:z.2f}%" cy="{top + ROW / 2}" r="3"/>'
        )
    return pages.picture(found.rows[:count], lines, f"Ranks 1 to {last} of {models}", ("1", str(last)))


def _rows(found: Audit) -> str:
    table = tables.models(found)
    return pages.table(table.head, table.lines)


def _questions(found: Audit) -> str:
    content = found.to_dict()
    shown = (*content["questions_that_decide"], *content["questions_against"])
    lines = ((one["item"], f"{100 * one['share']:z.2f}%", f"{one['score']:z.2f}") for one in shown)
    return pages.table(("question", "share", "score"), lines)


def _files(found: Audit) -> list[tuple[str, str]]:
    return sorted(found.source.files.items())
