"""Tables of what training reaches."""

from __future__ import annotations

from collections.abc import Callable

from bench.training import (
    alignment_tables,
    asymmetry_tables,
    batches_tables,
    faults_tables,
    memory_b_tables,
    sharding_tables,
    speed_tables,
)

TABLES: dict[str, Callable[[], str]] = {
    **alignment_tables.TABLES,
    **asymmetry_tables.TABLES,
    **batches_tables.TABLES,
    **faults_tables.TABLES,
    **memory_b_tables.TABLES,
    **sharding_tables.TABLES,
    **speed_tables.TABLES,
}
