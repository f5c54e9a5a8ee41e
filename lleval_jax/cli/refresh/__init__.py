"""`lleval refresh`: a new version of a benchmark for the price of a few models; banks on one scale (LiveXiv)."""
