"""`lleval audit`: a table, JSON, and a page that needs nothing else."""

import json
import pathlib
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK

ODD = "<script>x</script> & 'co'"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Six models on 120 questions of 12 groups; one has an odd name."""
    rng, names = np.random.default_rng(0), [ODD, *"bcdef"]
    right = rng.random((6, 120)) < np.linspace(0.9, 0.3, 6)[:, None]
    frame = pd.DataFrame(
        [(name, f"q{j}", int(right[i, j]), f"g{j % 12}") for i, name in enumerate(names) for j in range(120)],
        columns=["model", "item", "score", "group"],
    )
    path = tmp_path_factory.mktemp("audit") / "board.csv"
    frame.to_csv(path, index=False)
    return path


class Page(HTMLParser):
    """What a page loads, and its tags that are open at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:  # noqa: ANN001
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "data", "onload")]
        self.loads += [tag] * (tag in ("script", "link", "iframe", "img", "object"))
        self.open += [tag] * (tag not in ("meta", "br"))

    def handle_endtag(self, tag) -> None:  # noqa: ANN001
        assert self.open.pop() == tag


@pytest.mark.parametrize("by", [[], ["--by", "group"]])
def test_table_json_and_page(file, tmp_path, capsys, by) -> None:
    page, target = tmp_path / "audit.html", tmp_path / "audit.json"
    assert run(["audit", str(file), *by, "--draws", "200", "--html", str(page), "--json", str(target)]) == OK
    shown = capsys.readouterr().out
    assert "6 models x 120 questions, on questions like these" in shown
    assert "tied with the first" in shown
    found = json.loads(target.read_text())
    assert (found["schema"], found["clusters"]) == ("lleval/audit/1", 12 if by else 0)
    assert [one["row"] for one in found["models"]][0] == ODD
    assert found["source"]["command"].startswith("lleval audit")
    text, parser = page.read_text(encoding="utf-8"), Page()
    parser.feed(text)
    assert (parser.loads, parser.open) == ([], [])
    assert "&lt;script&gt;" in text
    assert not re.search(r"https?:|url\(|@import|\$\w", text)
    assert "prefers-color-scheme: dark" in text


def test_bad_input_is_one_line(file, tmp_path, capsys) -> None:
    pd.DataFrame({"model": "m", "item": ["a", "b"], "score": 1}).to_csv(tmp_path / "one.csv", index=False)
    assert run(["audit", f"{tmp_path}/one.csv"]) == BAD_INPUT
    assert "an audit compares models; there are answers of 1" in capsys.readouterr().err.splitlines()[-1]
    assert run(["audit", str(file), "--html", f"{tmp_path}/none/x.html"]) == BAD_INPUT
    assert "there is no folder" in capsys.readouterr().err.splitlines()[-1]
