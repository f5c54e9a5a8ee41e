"""Many adapters of one model at once: every row of a batch has its own.

batched   the update of a linear layer for rows with adapters of their own, as functions of arrays
resident  a decoder whose layers hold tables of adapters, and which adapter has which place
engine    requests that come and go, written on together
"""
