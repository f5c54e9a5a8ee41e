"""README's example inside Inspect, as it stands, in a process of its own."""

import pathlib
import subprocess
import sys
from importlib.util import find_spec

import pytest
import readme

PAGE = pathlib.Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("inspect_ai") is None, reason="Inspect is not installed: the extra `harness`")
def test_the_example_of_readme_runs(tmp_path):
    (code,) = (block.text for block in readme.blocks(PAGE.read_text(encoding="utf-8")) if "inspect_ai" in block.text)
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    ran = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "on all questions:" in ran.stdout
