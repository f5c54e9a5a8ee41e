"""Weak labels refined before they teach (Somerstep et al. 2024, arXiv:2405.16236), and what that can and cannot reach.

A weak teacher's answers show what is wanted, and hold its faults. A strong model that is trained on them copies both.
Refinement shows the strong model a few of them and lets it answer for itself; it then learns its own answers.

demonstrate  which weak answers are shown for which question
prompts      what the strong model is asked
asking       answers refined, through any client
arms         what arms of an experiment scored
compare      what they reached, with intervals
two_way      means over questions and seeds
concept      a model of all that in which everything is known: draws
exact        the same in exact lines: what naive training is never below, how fast refinement gets there
"""
