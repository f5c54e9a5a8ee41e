"""Tests here end processes, not power: that a file is forced to the disk costs half a minute a run and shows nothing.

`tests/data/test_writing.py` has what `lasting` means; the calls of `live` are counted in `test_steps.py`.
"""

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def forced():
    """The handles that would have been forced to the disk, counted."""
    found, kept = [], os.fsync
    os.fsync = found.append
    yield found
    os.fsync = kept
