"""Data: checks and listings of the real sets, and the embedded world in the same layouts."""
