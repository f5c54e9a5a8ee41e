"""Training: what alignment reaches on real preferences, which half of an adapter learns, speed, memory, faults."""
