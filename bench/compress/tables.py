"""Tables of adapters in shared bases."""

from __future__ import annotations

from collections.abc import Callable

from bench.compress import envelope_tables, quality_tables, speed_tables

TABLES: dict[str, Callable[[], str]] = {**speed_tables.TABLES, **envelope_tables.TABLES, **quality_tables.TABLES}
