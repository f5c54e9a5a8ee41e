"""The table of how rows meet the bases of their clusters."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number

WAYS = ("gathered", "all", "sorted")
LATE = 1.25  # times the fastest way, above which the way that is taken is marked


def ways() -> str:
    """Milliseconds of each way; the way that is taken, marked where another is clearly faster."""
    rows = []
    for each in read("serving", "ways")["ways"]["shapes"]:
        took, taken = each["milliseconds"], each["taken"]
        late = took[taken] / min(took[way] for way in WAYS)
        cells = (number(took[name], 2) for name in (*WAYS, "apart", "layer"))
        shape = (each[key] for key in ("width", "rows", "tokens", "clusters"))
        rows.append((*shape, *cells, bold(f"{taken}, {late:.2f}", late > LATE)))
    head = ("d", "rows", "tokens", "clusters", *WAYS, "apart", "layer", "taken, times the fastest")
    return markdown(head, rows)


TABLES = {"ways": ways}
