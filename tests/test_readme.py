"""All blocks of README run as they stand, and print what it shows."""

import pathlib

import pytest
import readme

PAGE = (pathlib.Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_readme_runs_and_prints_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    wrong = [ran for ran in readme.run(PAGE) if not ran.as_said]
    text = "\n".join(f"{ran.code}README shows:\n{ran.said}\nIt prints:\n{ran.printed}" for ran in wrong)
    assert not wrong, f"{text}\npython tests/readme.py README.md --keep writes what is printed into the page"


def test_a_page_is_read_as_its_reader_does():
    page = "```sh\nlleval a \\\n  --b  # why\nmake demo\n```\nthen\n```\n$ lleval c\nout 0.500\n...\nend\n```\n"
    first, second = readme.blocks(page)
    assert readme.commands(first.text) == ["lleval a    --b", "make demo"]
    assert second.text.startswith("$ lleval c")
    (skipped,) = readme.blocks("<!-- not run: needs a model -->\n```python\nx\n```\n")
    assert skipped.reason == "needs a model"


@pytest.mark.parametrize(
    ("said", "printed", "alike"),
    [
        ("a 0.50\n", "a  0.509\n", True),
        ("a 0.50\n", "a 0.52\n", False),
        ("a [1,000, 2]\n", "a [1,009, 2]\n", True),
        ("a 1\n...\nz 2\n", "a 1\nb\nc\nz 2\n", True),
        ("a 1\n...\n", "a 1\nb\n", True),
        ("a 1\n", "b 1\n", False),
    ],
)
def test_numbers_may_differ_by_rounding_and_words_may_not(said, printed, alike):
    assert readme.same(said, printed) == alike
