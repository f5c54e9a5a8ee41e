"""How far a call has come, in one line."""

import pytest

from lleval_jax.values import Progress


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("choosing anchors"), "choosing anchors"),
        (Progress("reading answers", 12_000_000, 30_000_000, unit="bytes"), "reading answers: 12 of 30 MB"),
        (Progress("fitting", 24, error=0.0123, unit="steps"), "fitting: step 24, error 0.012"),
        (Progress("fitting", 0, unit="steps"), "fitting"),
        (Progress("replaying", 0, 1200, unit="sessions"), "replaying: 0 of 1,200 sessions"),
        (Progress("folds", 2, 5), "folds: 2 of 5"),
        (Progress("writing", 120, unit="tokens", rate=1234.5), "writing: token 120, 1,234 a second"),
        (Progress("writing", 0, 640, unit="tokens", rate=0.0), "writing: 0 of 640 tokens"),
        (Progress("scoring", 40, 400, unit="tokens", rate=36.0), "scoring: 40 of 400 tokens, 36 a second, 10 s left"),
    ],
)
def test_one_line(progress: Progress, line: str) -> None:
    assert str(progress) == line


def test_share() -> None:
    assert Progress("reading", 15, 30).share == 0.5
    assert Progress("reading", 31, 30).share == 1.0
    assert Progress("fitting", 15).share is None
    assert Progress("reading", 0, 0).share is None
