"""Tables of whole posteriors: none before something is measured."""

from __future__ import annotations

TABLES: dict = {}
