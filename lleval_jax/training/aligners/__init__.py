"""Aligners: models that correct the answers of other models (Ngweta et al. 2024, arXiv:2403.04224).

criterion  what answers shall be, in words and examples
prompts    what is asked of any model
filters    what is left out of generated data, as data
examples   of corrections, made in three steps: topics, questions, corrections
split      parts by question
marks      question, answer and correction as tokens, separated by ids
fitting    what is cut where a row is too long
train      an aligner that learns
aligner    what corrects: a model that learned to, or any that is asked
calibrate  scores as probabilities
scorers    raw scores of answers, of four kinds
inspector  the probability that an answer is good
squad      several aligners with their inspectors
judges     which of two answers is better
evaluate   wins, ties, losses, harm, lengths, passes
aligner_files: both in folders
"""
