"""All blocks of README run as they stand, and print what it shows."""

import os
import pathlib
import subprocess
import sys

import pytest
import readme

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.slow
def test_readme_runs_and_prints_what_it_shows():
    """In a process of its own: compiled as users' programs are, not as those of tests."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("XLA_", "JAX_ENABLE"))}
    words = [sys.executable, str(ROOT / "tests/readme.py"), str(ROOT / "README.md")]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = usual | {"COLUMNS": "120", "PYTHONPATH": path}
    ran = subprocess.run(words, env=env, capture_output=True, text=True, timeout=1200)
    said = "python tests/readme.py README.md --keep writes what is printed into the page"
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr[-3000:]}\n{said}"


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
