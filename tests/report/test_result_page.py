"""Any result as one page: what it holds is there, escaped; what is no result is refused."""

import html.parser
import json
import re

import numpy as np
import pytest
import worlds

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK
from lleval_jax.report.result_page import page

EVIL = "<script>alert(1)</script>"


class Words(html.parser.HTMLParser):
    """The text and tags of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.words, self.tags = [], []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def answers() -> ll.Responses:
    random = np.random.default_rng(0)
    return ll.Responses.build((random.random((3, 60)) < 0.6).astype(float), rows=["a", EVIL, "c"])


def every() -> dict[str, dict]:
    """Results of several kinds."""
    board = answers()
    bank = worlds.bank()
    return {
        "estimate": ll.estimate(board).to_dict(),
        "groups": ll.tiny.estimate(worlds.new(), bank=bank, groups=True).to_dict(),
        "comparison": ll.compare(board, first="a", second="c").to_dict(),
        "gate": ll.gate(board, baseline=board, margin=0.02, model="a", baseline_model="c").to_dict(),
        "audit": ll.audit(board, draws=200).to_dict(),
        "choice": ll.adaptive.choose(worlds.new(), bank=bank, k=2).to_dict(),
    }


def test_every_result_is_shown_whole_and_escaped():
    results = every()
    found = page(list(results.items()), EVIL)
    seen = Words(found)
    assert {"script", "link", "img"}.isdisjoint(tag for tag, _ in seen.tags)
    assert EVIL in seen.words
    assert "http" not in found[: found.index("To cite")]
    text = " ".join(seen.words)
    assert re.search(r"\bnan\b|\bNone\b|\binf\b", text) is None
    for entry in results["estimate"]["estimates"]:
        assert f"{entry['value']:.3f}" in text
        assert f"{entry['low']:.3f}" in text
    assert results["gate"]["reason"].split(EVIL)[0] in text
    assert "@article{wilson1927" in text
    assert len(found) < 500_000


def test_a_picture_has_a_bar_a_line_and_zero_where_there_are_differences():
    entry = {"row": "a - b", "group": "all", "value": -0.2, "low": -0.3, "high": -0.1}
    found = page([("x", {"schema": "lleval/estimate/1", "estimates": [entry]})], "t")
    bars = [attrs for tag, attrs in Words(found).tags if tag == "rect"]
    assert [bar["class"] for bar in bars] == ["rest", "tie"]
    np.testing.assert_allclose(float(bars[0]["x"].rstrip("%")), 100)
    np.testing.assert_allclose(float(bars[1]["width"].rstrip("%")), 100 * 0.2 / 0.3, atol=0.01)
    unbounded = page([("x", {"schema": "lleval/estimate/1", "estimates": [entry | {"high": None}]})], "t")
    assert "rect" not in dict(Words(unbounded).tags)


@pytest.mark.parametrize("content", [{}, [], {"schema": "other/1"}, 3])
def test_what_is_no_result_is_refused_by_name(content):
    with pytest.raises(ll.BadInput, match="^x.json is not the JSON of a result"):
        page([("x.json", content)], "t")


def test_the_shell_writes_one_page_of_files_and_folders(tmp_path, capsys):
    ll.save(ll.estimate(answers()), tmp_path / "kept")
    (tmp_path / "a.json").write_text(json.dumps(ll.audit(answers(), draws=200).to_dict()))
    words = ["report", f"{tmp_path}/a.json", f"{tmp_path}/kept", "--html", f"{tmp_path}/out.html"]
    assert run([*words, "--title", "Seven"]) == OK
    found = (tmp_path / "out.html").read_text()
    assert "<title>Seven</title>" in found
    assert "kept: estimate" in found
    (tmp_path / "bad.json").write_text("[")
    for bad, what in (("bad.json", "is not JSON"), ("none.json", "there is no file"), ("out.html", "would replace")):
        assert run(["report", f"{tmp_path}/{bad}", "--html", f"{tmp_path}/out.html"]) == BAD_INPUT
        assert what in capsys.readouterr().err
    assert (tmp_path / "out.html").read_text() == found
