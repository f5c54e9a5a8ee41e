"""Slow tests take turns, so that CI ends within the hour: it runs a third of them a day."""

import os
import zlib

import pytest


def of_turn(items: list[pytest.Item], turn: str) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """(`items` of the turn, those left). `turn` is "K/N": a slow test has one of N turns, with all its cases."""
    now, turns = map(int, turn.split("/"))
    if not 0 <= now < turns:
        raise ValueError(f"turn {turn}: of {turns} turns the first is 0 and the last {turns - 1}")
    kept, left = [], []
    for item in items:
        name = f"{item.path.name}::{getattr(item, 'originalname', item.name)}"
        mine = not item.get_closest_marker("slow") or zlib.crc32(name.encode()) % turns == now
        (kept if mine else left).append(item)
    return kept, left


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """LLEVAL_SLOW_TURN=K/N leaves the slow tests of other turns out, and pytest counts them as deselected."""
    if turn := os.environ.get("LLEVAL_SLOW_TURN"):
        items[:], left = of_turn(items, turn)
        config.hook.pytest_deselected(items=left)
