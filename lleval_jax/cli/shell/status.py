"""How a command ends: the exit status, which scripts rely on, and the word for Ctrl-C."""

import signal

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 128 + signal.SIGINT
STOPPED = "interrupted"
