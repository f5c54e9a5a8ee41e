"""`lleval refresh`: a new version of a benchmark at the cost of a few models; banks on one scale (LiveXiv)."""
