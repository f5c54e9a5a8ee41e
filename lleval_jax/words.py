"""Words that Python and the shell share, and text that is safe to show. Imports nothing that takes time to load.

Help must not load JAX, so what both faces say is kept apart from the estimators.
"""

import re
from typing import Literal, TypeAlias

# Control characters (C0, DEL, C1), line and paragraph separators, bidirectional marks, characters without width that
# hide a difference, surrogates (of file names that are not UTF-8), tags. U+200C and U+200D stay: scripts and emoji
# are written with them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


Answers: TypeAlias = Literal["auto", "bernoulli", "binomial", "graded", "gpcm", "beta", "logit-normal", "normal"]
"""Kinds of answers as they are asked for; `core.irt.kinds` has what each is."""


def visible(text: str) -> str:
    r"""Text with all that could steer a terminal, break a line or turn its direction as an escape.

    Example:
        >>> print(visible("red \x1b[31m model"))
        red \x1b[31m model
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def brief(text: object, longest: int = 200) -> str:
    r"""Anything as one line that is safe to show, cut where it is long.

    Example:
        >>> brief("one\n two three", 9)
        'one two …'
    """
    line = visible(" ".join(str(text).split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
