"""Pages that are made when the site is built: guides from README, results from `bench/`, and what `--help` prints.

README stays the only place of a guide's text, where `tests/test_readme.py` runs its blocks. A section that is new needs
a name in `GUIDES` and a line in the `nav` of `mkdocs.yml`; the build fails without.
"""

import contextlib
import io
import os
import pathlib
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).parents[1]
GUIDES = {
    "Your logs, without a bank": "estimate",
    "Fewer questions, with a bank": "bank",
    "May the new model take the old one's place? `lleval gate`": "gate",
    "Who is really ahead? `lleval audit`": "audit",
    "A judge and human labels: `lleval judge`": "judge",
    "Calibrate your own benchmark": "calibrate",
    "Can this be trusted? `lleval check`": "check",
    "Ask only what still matters: `lleval ask`": "ask",
    "How much does the prompt matter? `lleval prompts`": "prompts",
    "Which parts of the prompt help? `lleval pepr`": "pepr",
    "What will the next size score? `lleval sloth`": "sloth",
    "A new version of the benchmark: `lleval refresh`": "refresh",
    "A benchmark from new papers: `lleval live`": "live",
    "Whole posteriors: `lleval estimate --bayes`": "posteriors",
    "Language models: load, score, write": "lm",
    "Align a model with preferences: `lleval train`": "train",
    "Weak labels that do not hold a strong model back: `lleval refine`": "refine",
    "Answers made better where they need it: `lleval align`": "align",
    "Many adapters: `lleval compress`, `lleval serve`": "serve",
    "Thousands at once: `lleval run`": "run",
    "Inside the harness": "harness",
    "What can be read": "formats",
    "What a script can rely on": "scripts",
    "Limits": "limits",
    "GPU and TPU": "devices",
}
NO_PAGE = {"Working on it"}
HEADING = re.compile(r"^## (.+)\n", re.MULTILINE)
LINK = re.compile(r"\[(?P<words>[^\]]*)\]\((?!https?:)(?P<to>[^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and the pictures to those of `docs/`."""
    for path, content in pages():
        files.append(File.generated(config, path, content=content))
    for source, path in pictures().items():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / source)))
    return files


def pictures() -> dict[str, str]:
    """Each picture's place in the repository and in the site."""
    found = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("bench/**/*.png"))]
    return {path: path.replace("bench/", "evidence/") for path in found} | {"notebooks/forest.png": "forest.png"}


def pages() -> Iterator[tuple[str, str]]:
    """Each page's place in the site and its Markdown."""
    start, *rest = HEADING.split((ROOT / "README.md").read_text())
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    unknown = sections.keys() ^ (GUIDES.keys() | NO_PAGE)
    if unknown:
        raise PluginError(f"README and GUIDES of docs/hooks.py name different sections: {', '.join(sorted(unknown))}")
    evidence = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("bench/**/README.md"))]
    known = {path: path.replace("bench/", "evidence/").replace("README", "index") for path in evidence}
    known |= pictures() | {"CONTRIBUTING.md": "contributing.md"}
    known |= {str(path.relative_to(ROOT)): path.name for path in ROOT.glob("docs/*.md")}
    known |= {"#" + re.sub(r"[^\w]+", "-", title.lower()).strip("-"): f"guides/{GUIDES[title]}.md" for title in GUIDES}
    yield "index.md", linked(start, "README.md", "index.md", known)
    for title, name in GUIDES.items():
        page = f"guides/{name}.md"
        text = re.sub(r"^###", "##", sections[title], flags=re.MULTILINE)
        yield page, linked(f"# {title}\n{text}", "README.md", page, known)
    for path in [*evidence, "CONTRIBUTING.md"]:
        yield known[path], linked((ROOT / path).read_text(), path, known[path], known)
    yield "reference/shell.md", shell()
    said = "The papers behind a result: `lleval_jax.cite(result)`. This software, as `CITATION.cff` has it:"
    yield "cite.md", f"# Cite\n\n{said}\n\n```yaml\n{(ROOT / 'CITATION.cff').read_text()}```\n"


def linked(text: str, source: str, page: str, known: dict[str, str]) -> str:
    """The text of a file of the repository, its links as they are from `page`; what is no page is only named."""

    def to(found: re.Match[str]) -> str:
        words, path, anchor = found["words"], *found["to"].partition("#")[::2]
        if not path and source == "README.md":
            return f"[{words}]({relative(known[found['to']], page)})"
        if not path:
            return found[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if file in known:
            return f"[{words}]({relative(known[file], page)}{anchor and '#' + anchor})"
        return f"{words} (`{file}`)"

    return LINK.sub(to, text)


def relative(target: str, page: str) -> str:
    """Where a page of the site lies, seen from another."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def shell() -> str:
    """What `--help` prints for `lleval` and each of its verbs."""
    import typer

    from lleval_jax.cli.app import app

    def walk(command: Any, words: list[str]) -> Iterator[str]:
        yield f"## {' '.join(['lleval', *words])}\n\n```text\n{help_of(words)}```\n"
        for name, verb in sorted(getattr(command, "commands", {}).items()):
            if not verb.hidden:
                yield from walk(verb, [*words, name])

    return "# Shell\n\n" + "\n".join(walk(typer.main.get_command(app), []))


def help_of(words: list[str]) -> str:
    """The help of one verb, 80 columns wide."""
    from lleval_jax.cli.main import run

    os.environ["COLUMNS"] = "80"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = run([*words, "--help"])
    if status or not out.getvalue():
        raise PluginError(f"lleval {' '.join(words)} --help: status {status}")
    return out.getvalue().rstrip() + "\n"


def on_post_page(output: str, **_: Any) -> str:
    """Without scripts from the network: the theme takes one for its search when pages are read from disk."""
    return re.sub(r'<script src="https?://[^"]*"></script>', "", output)
