"""The training loop, optimizers, checkpoints, signals and the process group."""
