"""Saved results, the JSON of any verb, as one HTML file: tables, pictures of intervals, where they came from.

A result is shown by what it holds: `estimates` as a picture and a table, lists as tables, what is alone as facts, and
results within a result under headings of their own.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lleval_jax.errors import require
from lleval_jax.report import pages
from lleval_jax.report.cite import BIBTEX
from lleval_jax.report.pages import ROW, card, text

SCHEMA, ENTRIES = "lleval/", "estimates"
SHOWN, LINES, NAMES = 60, 200, 12  # most lines of a picture, of a table, names in a fact
HEAD = {"row": "model", "n_seen": "answers", "std_error": "standard error"}
Content = Mapping[str, Any]


def page(results: Sequence[tuple[str, Content]], title: str) -> str:
    """The whole file; every name is escaped.

    Args:
        results: name and content of each, as `to_dict` or `--json` gives it.
        title: of the page.

    Raises:
        BadInput: something that is not the JSON of a result; the message says which.
    """
    for name, content in results:
        known = isinstance(content, Mapping) and str(content.get("schema", "")).startswith(SCHEMA)
        require(known, f"{name} is not the JSON of a result: it has no schema '{SCHEMA}...'. Write one with --json.")
    keys = dict.fromkeys(str(key) for _, content in results for key in _source(content).get("cite", ()))
    return pages.filled(
        "result.html",
        title=text(title),
        results="".join(_result(name, content) for name, content in results),
        cite=text("\n\n".join(BIBTEX.get(key, key) for key in keys)),
    )


def _source(content: Content) -> Content:
    found = content.get("source")
    return found if isinstance(found, Mapping) else {}


def _result(name: str, content: Content) -> str:
    kind = str(content["schema"]).split("/")[1].replace("-", " ")
    return f"<h2>{text(f'{name}: {kind}')}</h2>{_part(content)}{_made(_source(content))}"


def _part(content: Content) -> str:
    """Facts, then what has lines, then results within."""
    rest = {
        key: value for key, value in content.items() if key not in ("schema", "source") and value not in (None, [], {})
    }
    lists = {key: value for key, value in rest.items() if _is_lines(value)}
    within = {key: value for key, value in rest.items() if isinstance(value, Mapping)}
    facts = "".join(card(_words(key), _shown(value)) for key, value in rest.items() if key not in lists | within)
    parts = [f"<dl>{facts}</dl>" if facts else ""]
    for key, lines in lists.items():
        parts += [_entries(lines) if key == ENTRIES else f"<h3>{text(_words(key))}</h3>{_table(lines)}"]
    parts += [f"<h3>{text(_words(key))}</h3>{_part(value)}" for key, value in within.items()]
    return "".join(parts)


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, Mapping) for line in value)


def _entries(lines: Sequence[Content]) -> str:
    """A picture of the intervals, and the table."""
    drawn = [line for line in lines if all(_number(line.get(end)) for end in ("value", "low", "high"))][:SHOWN]
    return (_picture(drawn) if drawn else "") + _table(lines)


def _picture(lines: Sequence[Content]) -> str:
    ends = [line[end] for line in lines for end in ("low", "high")]
    ends += [0.0] * (min(ends) < 0)  # differences are looked at against zero
    low, high = min(ends), max(ends)
    wide, marks = (high - low) or 1.0, []
    if low < 0:
        zero, height = -100 * low / wide, len(lines) * ROW
        marks.append(f'<rect class="rest" x="{zero:z.2f}%" y="0" width="1" height="{height}"><title>0</title></rect>')
    for i, line in enumerate(lines):
        left, middle, right = (100 * (line[end] - low) / wide for end in ("low", "value", "high"))
        told = f"{_name(line)}: {_shown(line['value'])} [{_shown(line['low'])}, {_shown(line['high'])}]"
        marks.append(
            f'<rect class="tie" x="{left:z.2f}%" y="{i * ROW + 7}" width="{max(right - left, 0.4):z.2f}%" height="6" '
            f'rx="3"><title>{text(told)}</title></rect><circle cx="{middle:z.2f}%" cy="{i * ROW + ROW / 2}" r="4"/>'
        )
    return pages.picture([_name(line) for line in lines], marks, "Intervals", (_shown(low), _shown(high)))


def _name(line: Content) -> str:
    group = line.get("group", "all")
    return f"{line.get('row', '')}" + (f", {group}" if group not in ("all", "") else "")


def _table(lines: Sequence[Content]) -> str:
    """Columns that say something: not those that are the same empty word, "ok" or "all" in every line."""
    columns = dict.fromkeys(key for line in lines for key in line)
    dull = ({""}, {"ok"}, {"all"}, {"-"})
    kept = [key for key in columns if {_shown(line.get(key)) for line in lines} not in dull]
    cells = ([_shown(line.get(key)) for key in kept] for line in lines[:LINES])
    more = f'<p class="soft">The first {LINES:,} of {len(lines):,}.</p>' if len(lines) > LINES else ""
    return f'<div class="wide"><table>{pages.table([_words(key) for key in kept], cells)}</table></div>{more}'


def _made(source: Content) -> str:
    """Which command made it, from which files."""
    told = [f"lleval {source['version']}."] if source.get("version") else []
    told += [str(source["command"])] if source.get("command") else []
    told += [f"Bank {source['bank']}."] if source.get("bank") else []
    files = source.get("files")
    names = sorted(files.items()) if isinstance(files, Mapping) else []
    listed = "".join(f"<li>{text(str(name))} <code>{text(str(hash_))}</code></li>" for name, hash_ in names[:LINES])
    return f'<p class="soft">{text(" ".join(told))}</p>' + (f'<ul class="soft">{listed}</ul>' if listed else "")


def _words(key: str) -> str:
    return HEAD.get(key, key.replace("_", " "))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    """A number in four figures, a few names, yes or no."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:z.3f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:z.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        more = f" and {len(value) - NAMES:,} more" if len(value) > NAMES else ""
        return ", ".join(_shown(each) for each in value[:NAMES]) + more
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(str(key))} {_shown(each)}" for key, each in value.items())
    return str(value)
