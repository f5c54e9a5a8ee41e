"""What devices send each other in a layer: counted from compiled programs, and from a program's text."""

from typing import Any

import pytest

from bench.lm.collectives import Sent, collectives, counted
from bench.lm.sharding import Settings, described, score, shape
from lleval_jax.lm.mesh import mesh

TINY = Settings(layers=2, width=64, heads=8, kv_heads=8, hidden=128, vocab=512, rows=8, tokens=16)
TEXT = """HloModule m
%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %z = f32[] add(%x, %y)
}
%body (p: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %g = bf16[16,8]{1,0} all-gather(%w), replica_groups=[4,2]<=[8], dimensions={0}
  %r = (f32[4,8]{1,0}, f32[4]{0}) all-reduce(%a, %b), replica_groups={{0,1,2},{3,4,5}}, to_apply=%add
}
ENTRY %main (w: f32[4]) -> f32[4] {
  %l = (s32[], f32[4,8], /*index=2*/f32[2]) while(%t), condition=%c, body=%body, config={"known_trip_count":{"n":"3"}}
  %p = f32[2]{0} all-reduce-start(%q), replica_groups=mesh['a'=2,'b'=4] {'b'}, to_apply=%add
}
"""


def test_operations_are_counted_as_often_as_their_loops_run() -> None:
    found = collectives(TEXT)
    assert found == [
        Sent("all-gather", "bf16[16,8]{1,0}", 256, 3, 2),
        Sent("all-reduce", "(f32[4,8]{1,0}, f32[4]{0})", 144, 3, 3),
        Sent("all-reduce", "f32[2]{0}", 8, 1, 4),
    ]
    assert counted(found) == {"all-gather": {"count": 3, "bytes": 768}, "all-reduce": {"count": 4, "bytes": 440}}


@pytest.mark.parametrize(
    ("sizes", "in_each_layer"),
    [
        pytest.param((8, 1, 1), {}, marks=pytest.mark.slow),  # rows have nothing to do with each other
        pytest.param((1, 8, 1), {"all-gather": 7}, marks=pytest.mark.slow),  # query, key, value, output, gate, up, down
        pytest.param((1, 1, 8), {"all-reduce": 2}),  # after attention, after the MLP
        pytest.param((2, 2, 2), {"all-gather": 7, "all-reduce": 2}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_layer_sends_what_the_mesh_asks_for_and_no_more(sizes: tuple, in_each_layer: dict[str, int]) -> None:
    config = shape(TINY)
    found: dict[str, Any] = described(score(config, mesh(*sizes), 8, 16), config.layers)
    assert {kind: each["count"] for kind, each in found["in_each_layer"].items()} == in_each_layer
