"""`lleval refine`: weak answers refined by a strong model, and arms compared."""
