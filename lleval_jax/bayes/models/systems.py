"""Language model and scaffold of an agent, from the name under which it was submitted to a board such as SWE-bench's.

What names say: "20241202_agentless-1.5_claude-3.5-sonnet-20241022" is claude-3.5-sonnet with agentless-1.5,
"20250804_epam-ai-run-claude-4-sonnet" is claude-sonnet-4 with epam-ai-run, and "20240820_honeycomb" is a language model
that is not said, with honeycomb.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple


class System(NamedTuple):
    """What an agent is made of; `model` is "" where its name does not say it, or says several."""

    model: str
    scaffold: str


def _claude(hit: re.Match[str]) -> str:
    said = hit.groupdict()
    size = said["size"] or said["size_first"]
    major = said["major"] or said["major_last"]
    version = ".".join(filter(None, (major, said["minor"] or said["minor_last"])))
    parts = ("claude", version, size) if major < "4" else ("claude", size, version)
    return "-".join(filter(None, parts))


def _joined(*parts: str) -> Callable[[re.Match[str]], str]:
    """Fixed text and groups by number, what is empty left out."""
    return lambda hit: "-".join(
        filter(None, ((hit[int(p)] or "").replace("_", "-") if p.isdigit() else p for p in parts))
    )


def _dotted(family: str) -> Callable[[re.Match[str]], str]:
    """A family, its version with a point, and what follows."""
    return lambda hit: "-".join(filter(None, (f"{family}-{hit[1]}" + (f".{hit[2]}" if hit[2] else ""), hit[3])))


def _gpt(hit: re.Match[str]) -> str:
    version = f"gpt-{hit[1]}" + (f".{hit[2]}" if hit[2] else "")
    return version + (hit[3] or "").replace("_", "-")


SIZES = "opus|sonnet|haiku"
FAMILIES: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (  # pattern -> the model's name
    (
        rf"claude[-_]?(?:(?P<size_first>{SIZES})[-_](?P<major_last>\d)(?:[-_.](?P<minor_last>\d)(?!\d))?"
        rf"|(?P<major>\d)(?:[-_.]?(?P<minor>\d)(?!\d))?(?:[-_]?(?P<size>{SIZES}))?)(?:[-_](?:updated|\d{{8}}))?",
        _claude,
    ),
    (r"(?<![a-z])sonnet[-_]20241022", lambda hit: "claude-3.5-sonnet"),
    (rf"(?<![a-z])({SIZES})(?![a-z])", _joined("claude", "1")),
    (r"lingma[-_]swe[-_]gpt[-_](\d+b)", _joined("lingma-swe-gpt", "1")),
    (r"(?<!swe-)gpt[-_]?(3|4|5)\.?(5|1)?(?!\d)(o(?![a-z])(?:[-_]mini)?)?", _gpt),
    (r"(?<![a-z0-9])(o[134])(?:[-_](mini))?(?![a-z0-9])", _joined("1", "2")),
    (r"gemini[-_](\d)(?:\.(\d))?[-_](pro|flash)(?:[-_](?:experimental|preview))?", _dotted("gemini")),
    (r"kimi[-_](k\d)(?:[-_]instruct)?", _joined("kimi", "1")),
    (r"glm[-_]?(\d)(?:[-_.](\d))?()", _dotted("glm")),
    (r"deepseek[-_](v\d|r\d)", _joined("deepseek", "1")),
    (r"devstral[-_](small|medium)(?:[-_](\d{4}))?", _joined("devstral", "1", "2")),
    (
        r"qwen(\d(?:\.\d)?)?-?(coder)?-?(\d+b)(?:-?(a\d+b))?(?:-(?:instruct|retriever|editor))?",
        _joined("qwen", "1", "2", "3", "4"),
    ),
    (r"swe-?llama-?(\d+b)", _joined("swe-llama", "1")),
    (r"(?<!swe)llama-?(\d(?:\.\d)?)[-_](\d+b)", _joined("llama", "1", "2")),
    (r"doubao[-_]seed[-_]code", lambda hit: "doubao-seed-code"),
    (r"(?:amazon\.)?nova[-_](premier|pro|lite)(?:-v\d\.\d)?", _joined("nova", "1")),
)
PATTERNS = tuple((re.compile(pattern), name) for pattern, name in FAMILIES)
DATE = re.compile(r"(?<!\d)(?:(?<=-)v)?20\d{6}(?!\d)")


def system(name: str) -> System:
    """The parts of one name; upper and lower case are the same, and dates are left out."""
    rest, found = name.lower(), set[str]()
    for pattern, called in PATTERNS:
        found |= {called(hit) for hit in pattern.finditer(rest)}
        rest = pattern.sub("", rest)
    scaffold = "-".join(re.findall(r"[^\s_-]+", DATE.sub("", rest).replace("_", "-")))
    return System(found.pop() if len(found) == 1 else "", scaffold)


def systems(names: Iterable[str]) -> dict[str, System]:
    """The language model and scaffold that each name says: look at it, correct it, and give it to `agents`.

    Dates are left out, so what one team submitted again counts as the same scaffold; versions stay. A name with
    several language models, or with one that is not known here, gets "": a level of its own in `agents`.

    Example:
        >>> bayes.systems(["20240402_sweagent_gpt4"])  # doctest: +SKIP
        {'20240402_sweagent_gpt4': System(model='gpt-4', scaffold='sweagent')}
    """
    return {name: system(name) for name in names}
