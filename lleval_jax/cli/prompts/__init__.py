"""`lleval prompts`: quantiles over prompts, the cells to ask, the best prompt."""
