"""Runs the blocks of a page as a reader would, in order, in one folder, and compares what they print with the page.

    python tests/readme.py README.md          compare
    python tests/readme.py README.md --keep   write what is printed into the page

A block of commands has the language `sh`, and its output follows in the block after it, which has none; a command may
also stand behind `$ ` with its output below. Python blocks share one namespace. What comes after
`<!-- not run: REASON -->` is not run. Numbers may differ by `NEAR`, since processors round differently, or by what
`<!-- near 0.05: REASON -->` before a block says.
"""

import contextlib
import dataclasses
import io
import os
import pathlib
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator

NEAR = 0.011  # of numbers, absolute below one and relative above
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
FENCE = re.compile(r"^(?P<mark>```|~~~)(?P<language>\w*)\n(?P<text>.*?)^(?P=mark)$", re.MULTILINE | re.DOTALL)
SKIP = re.compile(r"<!-- not run: (?P<reason>[^>]+) -->\s*\Z")
WIDE = re.compile(r"<!-- near (?P<near>[\d.]+): [^>]+ -->\s*\Z")


@dataclasses.dataclass(frozen=True)
class Block:
    """One fence of a page: its language, text, place, why it is not run, if so, and how near its numbers must be."""

    language: str
    text: str
    start: int
    end: int
    reason: str
    near: float

    @property
    def line(self) -> str:
        """What it begins with, for messages."""
        return self.text.partition("\n")[0]


@dataclasses.dataclass(frozen=True)
class Ran:
    """A piece of code or a command, what the page says it prints, what it printed, and where that is in the page."""

    code: str
    said: str
    printed: str
    start: int
    end: int
    near: float = NEAR

    @property
    def as_said(self) -> bool:
        """Whether the page is right."""
        return same(self.said, self.printed, self.near)


def blocks(page: str) -> list[Block]:
    """All fences."""
    found = []
    for fence in FENCE.finditer(page):
        why, wide = (pattern.search(page, 0, fence.start()) for pattern in (SKIP, WIDE))
        reason, near = why["reason"] if why else "", float(wide["near"]) if wide else NEAR
        found.append(Block(fence["language"], fence["text"], fence.start("text"), fence.end("text"), reason, near))
    return found


def run(page: str) -> Iterator[Ran]:
    """Run what can be run, in the current folder."""
    namespace: dict = {"__name__": "readme"}
    all_ = [block for block in blocks(page) if not block.reason]
    for block, after in zip(all_, [*all_[1:], None], strict=True):
        output = after if after is not None and not after.language and "$ " not in after.text[:2] else None
        output = output if output is not None and not page[block.end + 3 : output.start - 4].strip() else None
        if block.language == "python":
            printed = _printed(lambda text=block.text: exec(compile(text, "README", "exec"), namespace))
            yield _ran(block.text, output, printed)
        elif block.language == "sh":
            printed = "".join(command(line) for line in commands(block.text))
            yield _ran(block.text, output, printed)
        elif block.text.startswith("$ "):
            yield from _session(block)


def _ran(code: str, output: Block | None, printed: str) -> Ran:
    place = (output.start, output.end) if output is not None else (0, 0)
    return Ran(code, "" if output is None else output.text, printed if output is not None else "", *place)


def _session(block: Block) -> Iterator[Ran]:
    """A block of commands behind `$ `, each with what it prints."""
    for piece in re.finditer(r"^\$ (?P<code>(?:.*\\\n)*.*\n)(?P<said>(?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        printed = "".join(command(line) for line in commands(piece["code"]))
        start, end = block.start + piece.start("said"), block.start + piece.end("said")
        yield Ran(piece["code"], piece["said"], printed, start, end, block.near)


def commands(text: str) -> list[str]:
    """The commands of a block: lines that go on are joined, comments left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in (re.sub(r"\s+#\s.*", "", each).strip() for each in lines) if line and line[0] != "#"]


def command(line: str) -> str:
    """Run `lleval ...` in this process; other programs (make, pip) are the reader's own. -> what it printed."""
    from lleval_jax.cli.main import run as lleval

    words = shlex.split(line)
    if words[0] != "lleval":
        return ""
    into = words[words.index(">") + 1] if ">" in words else None
    words = words[1 : words.index(">")] if into else words[1:]
    status: list[int] = []
    printed = _printed(lambda: status.append(lleval(words)))
    assert status == [0], f"{line}: exit status {status}"
    if into is None:
        return printed
    pathlib.Path(into).write_text(printed, encoding="utf-8")
    return ""


def _printed(do) -> str:  # noqa: ANN001
    out, errors = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            do()
    except BaseException as error:
        raise AssertionError(f"{error!r}; stderr: {errors.getvalue()[-2000:]}") from error
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def same(said: str, printed: str, near: float = NEAR) -> bool:
    """Whether two texts differ in nothing but the last digits of numbers; a line `...` stands for any lines."""
    parts = [part.split() for part in re.split(r"^\.\.\.\n", said, flags=re.MULTILINE)]
    words = printed.split()
    if len(parts) == 1:
        return _alike(parts[0], words, near)
    first, last = parts[0], parts[-1]
    return _alike(first, words[: len(first)], near) and (not last or _alike(last, words[-len(last) :], near))


def _alike(said: list[str], printed: list[str], near: float) -> bool:
    return len(said) == len(printed) and all(_is_near(*pair, near) for pair in zip(said, printed, strict=True))


def _is_near(one: str, other: str, near: float) -> bool:
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    numbers = [(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs]
    return all(abs(a - b) <= near * max(1, abs(a)) for a, b in numbers)


def main() -> int:
    """Compare, or keep."""
    path, keep = pathlib.Path(sys.argv[1]).absolute(), "--keep" in sys.argv
    page, wrong = path.read_text(encoding="utf-8"), []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for ran in run(page):
            print("ok  " if ran.as_said else "DIFF", ran.code.partition("\n")[0], flush=True)
            print("" if ran.as_said or keep else f"the page shows:\n{ran.said}\nit prints:\n{ran.printed}", end="")
            wrong += [] if ran.as_said else [ran]
    for ran in sorted(wrong, key=lambda ran: -ran.start) if keep else ():
        page = page[: ran.start] + ran.printed + page[ran.end :]
    if keep:
        path.write_text(page, encoding="utf-8")
    return 0 if keep or not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
