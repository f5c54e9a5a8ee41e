"""A gate as a table, and as JUnit's XML for what shows tests."""

from xml.etree import ElementTree

from lleval_jax.report.text import Table
from lleval_jax.values.gate import FAIL, PASS, Gate
from lleval_jax.words import visible


def table(found: Gate) -> Table:
    """The verdict, both scores, and the difference with its bounds."""
    head = ("model", "score", "questions", "repeats")
    pairs = zip((found.new, found.baseline), found.scores, found.repeats, strict=True)
    lines = tuple((name, f"{score:z.3f}", f"{found.questions:,}", f"{times:z.3g}") for name, score, times in pairs)
    return Table(f"{found.verdict.upper()}: {found.reason}", head, lines, tuple(remarks(found)))


def remarks(found: Gate) -> list[str]:
    """The numbers behind the verdict."""
    gap = f"Difference {found.difference:+z.3f}"
    ends = f"at least {found.low:+z.3f}, at most {found.high:+z.3f}, each with {100 * found.level:.4g}% confidence"
    inside = f", {found.clusters:,} clusters" if found.clusters else ""
    return [
        f"{gap}: {ends}; won {found.won:,} questions, lost {found.lost:,}{inside}.",
        f"Scores are of {found.population}. Pass: at least {-found.margin:z.4g}. Fail: at most {-found.margin:z.4g}.",
    ]


def junit(found: Gate) -> bytes:
    """One test case; inconclusive is an error, since it is no pass."""
    bad = {"failures": str(int(found.verdict == FAIL)), "errors": str(int(found.verdict not in (PASS, FAIL)))}
    suite = ElementTree.Element("testsuite", {"name": "lleval gate", "tests": "1", **bad})
    name = f"{visible(found.new)} against {visible(found.baseline)}, margin {found.margin:g}"
    case = ElementTree.SubElement(suite, "testcase", {"classname": "lleval.gate", "name": name})
    text = visible(found.reason)
    if found.verdict != PASS:
        word = "failure" if found.verdict == FAIL else "error"
        ElementTree.SubElement(case, word, {"type": found.verdict, "message": text}).text = "\n".join(remarks(found))
    else:
        ElementTree.SubElement(case, "system-out").text = "\n".join([text, *remarks(found)])
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
