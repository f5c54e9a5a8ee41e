"""Tables of what training reaches."""

from __future__ import annotations

from collections.abc import Callable

from bench.training import asymmetry_tables, memory_b_tables

TABLES: dict[str, Callable[[], str]] = {**asymmetry_tables.TABLES, **memory_b_tables.TABLES}
