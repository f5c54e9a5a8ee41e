"""What the studies share: machine, clock, problems, results."""
