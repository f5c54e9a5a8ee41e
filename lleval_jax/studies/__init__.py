"""Many estimates and fits as one study: a table of tasks, done in chunks by any number of processes.

task    one fit or estimate
study   what is asked: verbs, inputs, settings, grids
parts   what a task reads: a file, or some models of it
verbs   what a task does
programs where compiled programs are kept
warmup  compiling them before the workers start
runs    doing it, and the table of all that was found
"""
