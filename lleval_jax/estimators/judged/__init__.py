"""A judge's scores on all answers, human labels on some: each model's score as humans would give it, with an interval.

    theta = mean of labels - lambda (mean of h on what is labelled - mean of h on all that the judge scored)

h is the judge's score on the scale of the labels, by a line that is learned on other items, from the labels of all
models. It holds for any judge, however biased, if what is labelled is a random part of what the judge scored
(prediction-powered inference; Angelopoulos et al. 2023, with lambda as in PPI++, 2024): a useless judge gets
lambda = 0, and the plain mean of the labels remains.
"""

from lleval_jax.estimators.judged.choice import choose as choose
from lleval_jax.estimators.judged.score import estimate as estimate
from lleval_jax.estimators.judged.worth import worth as worth
