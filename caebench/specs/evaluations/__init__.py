"""The evaluations: a file each, with its recipes."""
