"""Known scores as a mapping or as a table."""

import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.report.truth import known

TABLE = pd.DataFrame({"model": ["a", "a", "b"], "group": ["all", "law", "all"], "score": [0.5, 0.4, 0.9]})
SAME = {("a", "all"): 0.5, ("a", "law"): 0.4, ("b", "all"): 0.9}


def test_a_table_is_what_the_mapping_is() -> None:
    assert known(TABLE) == SAME == known(SAME)
    assert known(TABLE.drop(columns="group").drop_duplicates("model")) == {("a", "all"): 0.5, ("b", "all"): 0.9}
    assert known(None) is None


def test_a_report_takes_either() -> None:
    answers = ll.Responses.build([[1, 0, 1, 1], [1, 1, 1, 1]], rows=["a", "b"])
    found = ll.plain.estimate(answers)
    assert str(ll.report.text.table(found, TABLE)) == str(ll.report.text.table(found, SAME))
    assert ll.report.text.inside(found, TABLE) == ll.report.text.inside(found, SAME)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ([0.5], "truth is of type list; it must be known scores, as a table or by name"),
        (TABLE.rename(columns={"score": "accuracy"}), "truth has the columns model, group, accuracy; it needs model"),
        (pd.concat([TABLE, TABLE]), "truth has two scores of one model and group"),
    ],
)
def test_what_is_no_truth(truth, message: str) -> None:
    with pytest.raises(ll.BadInput, match=message):
        known(truth)
