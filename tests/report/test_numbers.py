"""Numbers in tables: a small one below zero is no "-0.000"."""

import pathlib
import re

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.report import text

PACKAGE = pathlib.Path(ll.__file__).parent


@pytest.mark.parametrize("file", sorted([*(PACKAGE / "report").glob("*.py"), *(PACKAGE / "values").glob("*.py")]))
def test_zero_has_no_sign(file):
    bare = [line for line in file.read_text().splitlines() if re.search(r":\+?\.\d+f\}", line)]
    assert not bare, f"{file}: write {{x:z.3f}}, which gives 0.000 where {{x:.3f}} gives -0.000: {bare[0]}"


def test_nor_in_a_table():
    small = np.array([-2.2e-16])
    found = ll.Estimate(
        "accuracy", "plain", ("a",), ("all",), small, small, small, 0.95, np.zeros(1), np.ones(1, int), ("ok",)
    )
    assert "-0.000" not in str(text.table(found))
    assert "0.000  [0.000, 0.000]" in str(found)
