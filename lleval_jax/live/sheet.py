"""The data sheet of a version: Markdown, HTML and JSON of the same statistics."""

import datetime
import html
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lleval_jax import writing
from lleval_jax.live import bias, requests, statistics
from lleval_jax.live.run import Version
from lleval_jax.live.statistics import Known

NAME = "data-sheet"
Facts = Mapping[str, Any]


class Section(NamedTuple):
    """A heading, what is said, and a table: `head` and rows of texts."""

    title: str
    text: str = ""
    head: tuple[str, ...] = ()
    rows: Sequence[Sequence[str]] = ()


def made(
    version: Version,
    folder: pathlib.Path,
    *,
    today: datetime.date | None = None,
    answers: Mapping[str, Mapping[str, float]] | None = None,
    families: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """All facts of a sheet: statistics, what the models of the run took, and how models do on what was made by whom.

    Args:
        version: described.
        folder: of its run.
        today: the day on the sheet.
        answers: of models that took the version, model -> question id -> score.
        families: of these and of the models of the run; one that is not in it is a family of its own.
    """
    found = statistics.facts(version, today or datetime.datetime.now(datetime.UTC).date())
    spent = requests.spent(folder, version.recipe.models.values())
    found |= {"models": {name: each._asdict() for name, each in spent.items()}}
    return found | ({} if answers is None else {"takers": bias.facts(Known.of(version), answers, families or {})})


def write(facts: Facts, folder: pathlib.Path) -> list[pathlib.Path]:
    """`data-sheet.md`, `.html` and `.json` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = sections(facts)
    texts = {"md": markdown(whole), "html": page(whole), "json": json.dumps(facts, indent=1, ensure_ascii=False) + "\n"}
    places = []
    for ending, text in texts.items():
        places.append(folder / f"{NAME}.{ending}")
        writing.put(places[-1], text.encode())
    return places


def sections(facts: Facts) -> list[Section]:
    """The sheet, part by part."""
    several = (
        f"{facts['kept']:,} questions of {facts['questions']:,} that were asked, about figures and tables of "
        f"{facts['papers']:,} papers ({facts['elements']:,} elements). Made on {facts['day']}; recipe "
        f"{facts['recipe'][:16]}. Intervals are at 95% and clustered by paper."
    )
    return [
        Section(f"Data sheet: {facts['name']}", several),
        Section("What each filter kept", "", ("filter", "came", "stayed", "share"), _funnel(facts)),
        *[
            Section(f"By {name}", "", (name, "asked", "kept", "share"), _group(group))
            for name, group in facts["by"].items()
        ],
        Section("Without looking", *_guessers(facts)),
        Section("Answerable without the picture", *_blind(facts)),
        Section("Judges", *_judges(facts)),
        *([Section("Models on what their own family made", *_takers(facts["takers"]))] if "takers" in facts else []),
        Section("Form", "", ("", "least", "median", "most"), _form(facts)),
        Section("Left out", "Papers and elements, with the reason.", ("reason", "number"), _numbers(facts["left out"])),
        Section("Dropped", "Questions, by filter and reason.", ("reason", "number"), _numbers(facts["dropped"])),
        Section("Models", *_models(facts)),
    ]


def markdown(sections: Sequence[Section]) -> str:
    """As Markdown."""
    parts = []
    for i, each in enumerate(sections):
        parts.append(f"{'#' if i == 0 else '##'} {each.title}")
        parts += [each.text] if each.text else []
        if each.rows:
            lines = [each.head, tuple("---" for _ in each.head), *each.rows]
            parts.append("\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines))
        elif each.head:
            parts.append("None.")
    return "\n\n".join(parts) + "\n"


def page(sections: Sequence[Section]) -> str:
    """As one page of HTML, without scripts and without anything from elsewhere."""
    body = []
    for i, each in enumerate(sections):
        body.append(f"<h{1 + (i > 0)}>{html.escape(each.title)}</h{1 + (i > 0)}>")
        body += [f"<p>{html.escape(each.text)}</p>"] if each.text else []
        if each.rows:
            head = "".join(f"<th>{html.escape(cell)}</th>" for cell in each.head)
            lines = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in each.rows)
            rows = "".join(f"<tr>{line}</tr>" for line in lines)
            body.append(f"<div><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
        elif each.head:
            body.append("<p>None.</p>")
    title = html.escape(sections[0].title)
    return _PAGE.format(title=title, body="\n".join(body))


def said(share: Mapping[str, Any] | None) -> str:
    """A share with its interval, in percent."""
    if share is None or share["value"] is None:
        return "–"
    whole = f"{100 * share['value']:z.1f}%"
    return whole if share["low"] is None else f"{whole} [{100 * share['low']:z.1f}, {100 * share['high']:z.1f}]"


def _funnel(facts: Facts) -> list[list[str]]:
    return [[e["filter"], f"{e['came']:,}", f"{e['stayed']:,}", said(e["share"])] for e in facts["funnel"]]


def _group(group: Mapping[str, Any]) -> list[list[str]]:
    return [[name, f"{each['came']:,}", f"{each['kept']:,}", said(each["share"])] for name, each in group.items()]


def _guessers(facts: Facts) -> tuple[str, tuple[str, ...], list[list[str]]]:
    counts, p = facts["letters"]["counts"], facts["letters"]["p"]
    letters = ", ".join(f"{letter} {count}" for letter, count in zip("ABCD", counts, strict=True))
    chance = "" if p is None else f" (so uneven by chance: p = {p:.2f})"
    lengths = facts["lengths"]
    size = (
        ""
        if lengths["key"] is None
        else f" Keys have {lengths['key']:.1f} letters, other options {lengths['others']:.1f}."
    )
    text = f"Key letters: {letters}{chance}.{size} What these reach without reading the question; chance is 25%."
    rows = [[f"takes {name}", said(each)] for name, each in facts["guessers"].items()]
    rows.append(["words of a question that a citing paragraph has", said(facts["overlap"])])
    return text, ("", "share"), rows


def _blind(facts: Facts) -> tuple[str, tuple[str, ...], list[list[str]]]:
    text = (
        "The share that a model answers without the picture, guessing taken out: dropped are questions right in all "
        "orders of the options; some of these were guessed."
    )
    head = ("", "share", "right at once", "dropped", "of these guessed, expected", "not read")
    named = {"options alone": facts["blind"], "with the caption": facts["blind with caption"]}
    rows = [
        [
            name,
            said(f["share"]),
            f"{100 * f['right']:.1f}%",
            f"{f['dropped']:,}",
            f"{f['lost']:.1f}",
            f"{f['unread']:,}",
        ]
        for name, f in named.items()
        if f is not None and f["right"] is not None
    ]
    return (text if rows else "Not tested: the recipe names no blind model."), head if rows else (), rows


def _judges(facts: Facts) -> tuple[str, tuple[str, ...], list[list[str]]]:
    hidden = facts["wrong keys"]
    text = "No judge is in the recipe." if not facts["judges"] else ""
    if hidden is not None:
        text = (
            f"Wrong keys by all judges together: {said(hidden['before'])} before the filters, "
            f"{said(hidden['after'])} after; {hidden['suspected']:,} suspected."
        )
    rows = [
        [j["model"], said(j["agreement"]), said(j["kappa"]), f"{j['unread']:,}", "yes" if j["filter"] else j["note"]]
        for j in facts["judges"]
    ]
    return text, ("judge", "agreement", "kappa", "not read", "filter") if rows else (), rows


def _takers(takers: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[str, ...], list[list[str]]]:
    text = (
        "What a model gains on questions that its own family made, or tested as a filter, over what models of other "
        "families gain on them. An interval above 0 is bias; one that contains it says how much could be hidden."
    )
    head = ("model", "family", "which it", "own", "others", "compared with", "gain")
    rows = [
        [t["model"], t["family"], t["role"], f"{t['own']:,}", f"{t['others']:,}", f"{t['peers']:,}", said(t["gain"])]
        for t in takers
    ]
    none = "No model that answered is of a family that made or filtered some of the questions, but not all."
    return (text, head, rows) if rows else (none, (), [])


def _form(facts: Facts) -> list[list[str]]:
    named = {"questions a paper": "a paper", "questions an element": "an element", "age of papers, days": "age"}
    found = {name: facts[key] for name, key in named.items() if facts[key]}
    return [[name, *(f"{each[key]:,g}" for key in ("least", "median", "most"))] for name, each in found.items()]


def _numbers(counts: Mapping[str, int]) -> list[list[str]]:
    return [[name, f"{count:,}"] for name, count in counts.items()]


def _models(facts: Facts) -> tuple[str, tuple[str, ...], list[list[str]]]:
    head = ("model", "requests", "sent again", "tokens read", "tokens written", "money")
    rows = [
        [n, f"{m['requests']:,}", f"{m['extra']:,}", f"{m['asked']:,}", f"{m['written']:,}", f"{m['money']:,.4f}"]
        for n, m in facts["models"].items()
    ]
    return "", head, rows


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 56rem; margin: 0 auto;
 padding: 1.5rem 1rem 4rem; }}
h1 {{ font-size: 1.6rem; margin: 0 0 .5rem; }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .4rem; }}
p {{ margin: .3rem 0 .6rem; max-width: 44rem; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .92rem; min-width: 60%; }}
th, td {{ padding: .25rem .9rem .25rem 0; text-align: right; vertical-align: top; white-space: nowrap;
 font-variant-numeric: tabular-nums; }}
th:first-child, td:first-child {{ text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }}
thead th {{ border-bottom: 1px solid #888; font-weight: 600; }}
tbody tr:nth-child(even) {{ background: #f6f6f6; }}
@media (max-width: 40rem) {{ table {{ font-size: .85rem; width: 100%; }}
 th, td {{ white-space: normal; padding-right: .6rem; }}
 th:first-child, td:first-child {{ min-width: 5rem; }} }}
</style>
<body>
{body}
</body>
</html>
"""
