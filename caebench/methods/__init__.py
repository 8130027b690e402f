"""Pretraining methods: networks, losses and training steps."""
