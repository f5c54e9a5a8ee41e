"""The rows of an export: a question with its provenance and attribution, and what harnesses call it."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from lleval_jax.live import ask, licences
from lleval_jax.live.run import Version
from lleval_jax.live.statistics import Known, family
from lleval_jax.live.values import Paper, Question

KINDS = {"figure": "figures", "table": "tables"}
TEXTS = (
    "id", "question", "option_a", "option_b", "option_c", "option_d", "answer", "kind", "table", "image_file",
    "element", "label", "figure_type", "caption", "evidence", "made_by", "paper", "version", "title", "authors",
    "domain", "created", "page", "box", "licence", "licence_url", "attribution", "changes", "key_version",
)  # fmt: skip
CROPPED = {"figure": "cropped from the paper", "table": "read from the paper's table"}


def configs(version: Version) -> dict[str, list[dict[str, str]]]:
    """Config -> rows: one for each family of licences and kind of element. All columns are texts.

    Questions of papers whose licence is not known, or not allowed by the recipe, are in none; or, where the recipe asks
    for pictures by reference, in configs of their own, with nothing of the paper but where its picture is.
    """
    known, allow = Known.of(version), version.recipe.papers.allow
    found: dict[str, list[dict[str, str]]] = {}
    for each in version.kept:
        paper = known.paper(each)
        held = licences.allowed(paper.licence, allow).keep
        if held or version.recipe.papers.images == "by-reference":
            name = family(paper).lower().replace(" ", "-") if held else "by-reference"
            name += f"-{KINDS[known.element(each).kind]}"
            found.setdefault(name, []).append(row(known, each))
    return dict(sorted(found.items()))


def row(known: Known, question: Question) -> dict[str, str]:
    """One question."""
    element, paper = known.element(question), known.paper(question)
    options = {f"option_{letter.lower()}": each for letter, each in zip(ask.LETTERS, question.options, strict=True)}
    said = (each for each in known.version.verdicts if each.question == question.id and each.filter == "human")
    corrected = sum(each.keep and each.score == 0 for each in said)  # by a person
    held = licences.allowed(paper.licence, known.version.recipe.papers.allow).keep
    values = {
        "id": question.id,
        "question": question.text,
        **options,
        "answer": ask.LETTERS[question.key],
        "kind": question.kind,
        "table": ask.markdown(element.cells) if held and element.kind == "table" else "",
        "image_file": f"{element.image}.png" if element.image else "",
        "element": element.name,
        "label": f"{element.kind.capitalize()} {element.number}",
        "figure_type": element.type if element.kind == "figure" else "",
        "caption": element.caption if held else "",
        "evidence": question.evidence if held else "",
        "made_by": question.made_by,
        "paper": paper.id,
        "version": "" if paper.version is None else str(paper.version),
        "title": paper.title,
        "authors": "; ".join(paper.authors),
        "domain": paper.categories[0],
        "created": paper.created,
        "page": "" if held else str(element.page),
        "box": "" if held else json.dumps(element.box),
        "licence": family(paper),
        "licence_url": paper.licence,
        "attribution": attribution(paper),
        "changes": CROPPED[element.kind] if held else "not held: it is cut out of the paper by whoever has it",
        "key_version": str(1 + corrected),
    }
    return {name: values[name] for name in TEXTS}


def attribution(paper: Paper) -> str:
    """Who made it, as Creative Commons asks: title, authors, source, licence."""
    place = f"https://arxiv.org/abs/{paper.name}"
    return f"{', '.join(paper.authors)}: {paper.title}. {place}. {paper.licence}"


def notice(version: Version, rows: Sequence[dict[str, str]]) -> str:
    """The file NOTICE: every paper that a row comes from."""
    used = {(each["paper"], each["version"]) for each in rows}
    papers = [each for each in version.papers if (each.id, "" if each.version is None else str(each.version)) in used]
    lines = [f"* {attribution(each)}" for each in sorted(papers, key=lambda one: one.id)]
    return "\n".join(
        [
            f"{version.recipe.name}: figures and tables of these papers, cropped or read, with questions about them.",
            "The licence of a part is that of its papers, see the column `licence` and the configs.",
            "",
            *lines,
            "",
        ]
    )


def doc_hash(row: dict[str, str]) -> str:
    """What lm-eval calls a row in its logs: the SHA-256 of its JSON, the same anywhere as rows are texts alone."""
    text = json.dumps(row, indent=2, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def ids(version: Version) -> dict[str, str]:
    """Name that a harness gives an item, without its task -> question id."""
    rows: list[dict[str, Any]] = [each for group in configs(version).values() for each in group]
    return {doc_hash(each): each["id"] for each in rows} | {each["id"]: each["id"] for each in rows}
