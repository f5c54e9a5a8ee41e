"""An interval that needs no faith in the bank: items drawn with known chances, predictions corrected by what was drawn.

Scores y_i of one model on the items are fixed numbers, w_i the items' shares of the whole. Draw t takes item i from
those that are left with chance q_t(i), given all draws before; f_t(i) is what was predicted of item i from the answers
before the draw. Then

    Z_t = sum_answered w_i y_i + sum_left w_i f_t(i) + w_I (y_I - f_t(I)) / q_t(I)

has the full score as its mean, given all draws before, whatever the model is and however wrong predictions are (Des
Raj 1956; with predictions, Zrnic & Candes 2024). So the errors of a weighted mean of the Z_t are a martingale. Its own
spread says how wide the interval must be, also at every look (Waudby-Smith et al. 2024). Wrong predictions and badly
chosen chances cost width alone. Predictions count by the share with which the Z_t spread least; it is chosen after the
draws, so with very few of them the interval holds nearly, not exactly.

    follow   what was predicted before each draw (`kriging.each`), and the Z_t
    choose   draws the next items
    estimate the score, from what was drawn
"""

from lleval_jax.estimators.guarantee.choice import choose as choose
from lleval_jax.estimators.guarantee.score import estimate as estimate
