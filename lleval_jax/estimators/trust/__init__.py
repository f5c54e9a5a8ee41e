"""What a fit says against itself: items, keys, dependence, controls."""
