"""Names of what ships with a bank, wherever a path is taken."""

import numpy as np
import pytest

import lleval_jax as ll


def test_the_demonstration_of_a_bank_and_its_scores() -> None:
    answers, scores = ll.read("demo:livexiv-vqa"), ll.read_scores("demo:livexiv-vqa")
    assert set(answers.rows) <= set(scores.model)
    both = ll.read(["demo:livexiv-vqa"])
    assert both.rows == answers.rows


def test_what_a_bank_was_made_from() -> None:
    bank, whole = ll.load_bank("livexiv-vqa"), ll.read("bank:livexiv-vqa")
    assert whole.items == bank.items
    np.testing.assert_array_equal(whole.seen, bank.calibration.seen)
    part = ll.read("bank:livexiv-vqa/v1")
    assert part.groups == ("all",)
    assert 0 < len(part.items) == (whole.group == whole.groups.index("v1")).sum()
    assert (part.n_seen > 0).all()


def test_a_folder_of_a_bank(tmp_path) -> None:
    folder = ll.save(ll.load_bank("livexiv-tqa"), tmp_path / "mine")
    assert ll.read(f"bank:{folder}").items == ll.load_bank("livexiv-tqa").items


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ll.read("demo:livexiv-vqq"), "there is no demo.parquet for 'livexiv-vqq'.*did you mean 'livexiv-vqa'"),
        (lambda: ll.read(["bank:livexiv-vqa", "other.csv"]), "bank:NAME stands alone"),
        (lambda: ll.read("bank:livexiv-vqa/v9"), "bank 'livexiv-vqa' has no group 'v9'; it has .*v1"),
        (lambda: ll.read("bank:livexiv-vqa", scale=(0, 10)), "bank:livexiv-vqa is read as it is"),
    ],
)
def test_names_that_are_none(call, message: str) -> None:
    with pytest.raises(ll.BadInput, match=message):
        call()
