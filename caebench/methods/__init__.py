"""Pretraining methods: networks, losses, training steps."""
