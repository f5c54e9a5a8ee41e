"""How a command ends: the exit status, which scripts rely on, and the word for Ctrl-C."""

import signal

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 128 + signal.SIGINT
STOPPED = "interrupted"
GATE_FAILED, GATE_INCONCLUSIVE = 3, 4  # verdicts of `lleval gate`; that it passed is OK
