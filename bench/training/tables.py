"""Tables of what training reaches."""

from __future__ import annotations

from collections.abc import Callable

from bench.training import memory_b_tables, sharding_tables

TABLES: dict[str, Callable[[], str]] = {**memory_b_tables.TABLES, **sharding_tables.TABLES}
