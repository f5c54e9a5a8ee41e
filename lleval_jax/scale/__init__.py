"""A study in many chunks, done by any number of processes, stopped and gone on with at will. The unit is a file.

same_run  whether a folder holds this very study
store     where a study lies: a folder, or a place in an object store
chunks    what a chunk leaves: a table, and a receipt by which it is known to be whole
leases    who is at work on which chunk
shards    which worker this is, as the cluster says it
plan      on which devices a fit is run, how much of it at once, and where its state is kept
hosts     several processes as one: the roll, what all agree on
kept      the state of one long fit
worker    takes chunks, does them, writes them
"""
