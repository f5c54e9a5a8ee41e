"""Speeds of servers: a line each, against the one that is alone, and curves in given axes."""

import pytest

from lleval_jax.errors import BadInput
from lleval_jax.report import serving
from lleval_jax.report.serving import Point

plt = pytest.importorskip("matplotlib.pyplot", reason="needs the extra `plot`")
plt.switch_backend("agg")

POINTS = [
    Point(server, k, k, 4_000_000, speed, 0.9 * speed, 1.1 * speed, 0.1, 0.2, 0.4, 0.25)
    for k in (1, 16)
    for server, speed in (("merged", 200.0), ("compressed", 170.0))
]


def test_a_server_is_compared_with_the_one_that_is_alone():
    found = serving.table(POINTS)
    assert [line[6] for line in found.lines] == ["1.00", "0.85", "1.00", "0.85"]
    assert found.lines[1][:6] == ("1", "compressed", "1", "4.0", "170", "153-187")
    assert serving.table(POINTS[1:2]).lines[0][6] == ""


def test_curves_are_drawn_in_given_axes_or_their_own(tmp_path):
    figure, mine = plt.subplots(1, 2)
    before = plt.get_fignums()
    assert [*serving.curves(POINTS, tmp_path / "a.png", ax=mine)] == [*mine]
    assert mine[0].get_lines()[1].get_ydata().tolist() == [170.0, 170.0]
    serving.curves(POINTS, tmp_path / "a.svg")
    assert plt.get_fignums() == before
    with pytest.raises(BadInput, match="this picture has 2 panels"):
        serving.curves(POINTS, ax=mine[0])
    plt.close(figure)
