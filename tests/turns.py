"""Slow tests take turns, so that CI ends within the hour: it runs a third of them a day."""

import os
import zlib

import pytest


def of_turn(items: list[pytest.Item], turn: str) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """(`items` of the turn, those left). `turn` is "K/N": a slow test has one of N turns, with all its cases."""
    now, turns = map(int, turn.split("/"))
    left = [
        item
        for item in items
        if item.get_closest_marker("slow")
        and zlib.crc32(f"{item.path.name}::{getattr(item, 'originalname', item.name)}".encode()) % turns != now
    ]
    return [item for item in items if item not in set(left)], left


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """LLEVAL_SLOW_TURN=K/N leaves the slow tests of other turns out, and pytest counts them as deselected."""
    if turn := os.environ.get("LLEVAL_SLOW_TURN"):
        items[:], left = of_turn(items, turn)
        config.hook.pytest_deselected(items=left)
