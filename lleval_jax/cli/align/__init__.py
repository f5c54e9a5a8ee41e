"""`lleval align`: aligners with inspectors, from examples to a squad and what it did."""
