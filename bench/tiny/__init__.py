"""Few answers to the full score."""
