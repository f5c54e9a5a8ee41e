"""Draws on disk."""

import json

import numpy as np
import pytest

import lleval_jax as ll

DRAWS = ll.Draws("b", ("x", "ü"), np.array([0.5, 0.25]), 3, True)


def test_draws_come_back_as_they_were(tmp_path):
    ll.write_draws(DRAWS, tmp_path / "d.json")
    assert ll.read_draws(tmp_path / "d.json") == DRAWS
    ll.write_draws(ll.Draws("b"), tmp_path / "d.json")
    assert ll.read_draws(tmp_path / "d.json") == ll.Draws("b")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"schema": "lleval/bank/1"}, "its schema is 'lleval/bank/1'; draws have 'lleval/draws/1'"),
        ({"draws": 3}, r"Expected `array`, got `int` - at `\$.draws`"),
        ({"bank": None}, "missing required field `bank`"),
        ({"every_look": None}, "missing required field `every_look`"),
        ({"draws": [{"item": "x"}]}, r"missing required field `chance` - at `\$.draws\[0\]`"),
        ({"draws": [{"chance": 0.1}]}, "missing required field `item`"),
        ({"draws": [{"item": "x", "chance": 1.5}]}, "item 'x' was drawn with chance 1.5; it must lie in"),
        ({"draws": [{"item": "x", "chance": 0.5}] * 2}, "was drawn twice"),
    ],
)
def test_a_file_that_holds_no_draws_is_named(tmp_path, change, what):
    place = tmp_path / "d.json"
    place.write_text(json.dumps({k: v for k, v in (DRAWS.to_dict() | change).items() if v is not None}))
    with pytest.raises(ll.BadInput, match=what) as told:
        ll.read_draws(place)
    assert str(place) in str(told.value)


def test_no_file_and_no_json_are_one_line(tmp_path):
    with pytest.raises(ll.BadInput, match="there is no file"):
        ll.read_draws(tmp_path / "none.json")
    for content in (b"[", b"\xff\xfe", b"[]"):
        (tmp_path / "d.json").write_bytes(content)
        with pytest.raises(ll.BadInput, match="does not hold draws"):
            ll.read_draws(tmp_path / "d.json")
