"""Studies of kinds of answers."""
