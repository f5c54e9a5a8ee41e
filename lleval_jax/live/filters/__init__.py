"""Filters of questions: each gives a `Verdict` with a reason, and what it did is reported with its interval.

    rules       schema, options, support: from the question and the cells alone
    answers     what a model picked, in which order of the options
    blind       can the question be answered without the picture? Chance taken out
    agreement   does a second model, that is not shown the key, come to it?
    difficulty  marks what all or none of the models got right; drops nothing

Questions are dropped by their verdicts only, so that what was dropped, and why, stays in the tables of a run.
"""
