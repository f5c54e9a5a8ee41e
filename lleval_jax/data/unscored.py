"""What "not scored" means, for all readers alike: a missing answer that is counted; never a zero, never the file's end.

A reader gives NaN for a score that `is_unscored`; `Answers` leaves such cells out and counts them. What a harness
writes for it: null (lm-eval, Inspect, OpenCompass, Every Eval Ever, py-irt), NaN (Inspect, pandas), no metric on that
line (lm-eval, lighteval, lmms-eval), no statistic or one over no answers (HELM), an empty cell (tables), and -1 where
the harness drops it before it averages: a length that is not the line's own (RULER in lm-eval, whose metrics are named
by length), a rating that the judge did not give (LiveBench in lmms-eval).
"""

import math

import msgspec

WORDS = frozenset(("", "nan", "na", "n/a", "<na>", "none", "null", ".", "-"))  # a number that is not there, as text
NOT_SCORED = "not scored"
STOPPED = "stopped by an error"
UNFINISHED = "not finished"
INVALID = "marked invalid"
DOES_NOT_APPLY, RATING = -1.0, "rating"


def is_unscored(value: object) -> bool:
    """Whether this stands where a score would, and is none: null, NaN, absent, or a text for these."""
    if value is None or value is msgspec.UNSET:
        return True
    if isinstance(value, str):
        return value.strip().lower() in WORDS
    return isinstance(value, float) and math.isnan(value)


def does_not_apply(metric: str, value: object) -> bool:
    """Whether the harness drops this before it averages: -1 under a metric that is a length, or a `rating`.

    `aggregate_metrics` in lm_eval/tasks/ruler/common_utils.py; `livebench_aggregate_results` in
    lmms_eval/tasks/live_bench/utils.py.
    """
    return value == DOES_NOT_APPLY and (metric.isdecimal() or metric.rpartition("/")[2] == RATING)
