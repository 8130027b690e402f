"""The pretraining methods: a file each, with its recipe."""
