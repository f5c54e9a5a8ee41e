import pickle

from lleval_jax.errors import BadInput, DataWarning


def test_python_and_the_shell_are_each_told_in_their_own_words():
    error = BadInput("a.csv:2: a score is 7.", python="Pass scale=(1, 10).", shell="Pass --scale 1 10.")
    assert str(error) == "a.csv:2: a score is 7. Pass scale=(1, 10)."
    assert error.in_shell() == "a.csv:2: a score is 7. Pass --scale 1 10."


def test_a_hint_survives_the_way_back_from_another_process():
    error = pickle.loads(pickle.dumps(DataWarning("3 lines have no score.", shell="See --metric.")))
    assert error.in_shell() == "3 lines have no score. See --metric."
