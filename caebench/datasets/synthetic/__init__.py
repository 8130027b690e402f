"""Synthetic data sets: digits on photographs, rendered from a seed in the layouts of the real ones."""
