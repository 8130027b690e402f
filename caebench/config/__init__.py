"""Frozen configs: the vocabulary that planning and training share."""
