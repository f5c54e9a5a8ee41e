"""One loop for every iterative fit (`loop.solve`), and the methods that run on it."""
