"""What "not scored" means, for all readers alike: a missing answer that is counted; never a zero, never the file's end.

A reader gives NaN for a score that `is_unscored`; `Answers` leaves such cells out and counts them. What a harness
writes for it: null (lm-eval, Inspect, OpenCompass, Every Eval Ever, py-irt), NaN (Inspect, pandas), no metric on that
line (lm-eval, lighteval, lmms-eval), no statistic or one over no answers (HELM), an empty cell (tables), and -1 for a
length that is not the line's own (RULER in lm-eval, whose metrics are named by length).
"""

import math

import msgspec

WORDS = frozenset(("", "nan", "na", "n/a", "<na>", "none", "null", ".", "-"))  # a number that is not there, as text
NOT_SCORED = "not scored"
STOPPED = "stopped by an error"
UNFINISHED = "not finished"
INVALID = "marked invalid"
DOES_NOT_APPLY = -1.0


def is_unscored(value: object) -> bool:
    """Whether this stands where a score would, and is none: null, NaN, absent, or a text for these."""
    if value is None or value is msgspec.UNSET:
        return True
    if isinstance(value, str):
        return value.strip().lower() in WORDS
    return isinstance(value, float) and math.isnan(value)


def does_not_apply(metric: str, value: object) -> bool:
    """Whether lm-eval drops this before it averages: -1 under a metric that is a length, of a line of another length.

    `aggregate_metrics` in lm_eval/tasks/ruler/common_utils.py.
    """
    return metric.isdecimal() and value == DOES_NOT_APPLY
