"""Names that differ only in what is hardly seen are said; others are left alone."""

import warnings

import pytest

from lleval_jax import data
from lleval_jax.data import nearly
from lleval_jax.errors import BadInput, DataWarning


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("caf\u00e9-7b", "cafe\u0301-7b"),
        ("m", "m "),
        ("Llama 3", "llama3"),
        ("GPT-4", "gpt-4"),
        ("a\u00a0b", "a b"),
        ("a\u200bb", "ab"),
        ("\ufeffq1", "q1"),
        ("Stra\u00dfe", "STRASSE"),
    ],
)
def test_what_is_hardly_seen_is_said(one, two):
    assert nearly.said("model", ["x", one, two])[0].what == (
        "models whose names differ only in Unicode form, case or blanks are read as different: "
        f"{ascii(one)} and {ascii(two)}"
    )


def test_what_is_seen_is_left_alone():
    assert nearly.said("item", ["q1", "q-1", "q_1", "q11", "x\u00b2", "x2", "\u0430", "a", "", "\U0001f469", "w"]) == []
    many = [name for at in range(5) for name in (f"m{at}", f"M{at}")]
    assert nearly.said("item", many)[0].what.endswith("'m2' and 'M2'; and 2 more")


def test_reading_says_it_of_models_and_items(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("model,item,score\ncaf\u00e9,q1,1\ncafe\u0301,q1,0\ncaf\u00e9,Q1,0\n")
    with (
        pytest.warns(DataWarning, match=r"models whose.*'caf\\xe9' and 'cafe\\u0301'"),
        pytest.warns(DataWarning, match="items whose .* 'q1' and 'Q1'"),
    ):
        assert len(data.read(path).rows) == 2
    with pytest.raises(BadInput, match=r"differ only in Unicode form.*'caf\\xe9'"):
        data.read(path, strict=True)
    path.write_text("prompt,item,score\nAnswer: ,q,1\nanswer:,q,0\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.read(path, rows="prompt")  # prompts may differ in nothing else
