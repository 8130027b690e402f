"""The loop, the optimizers, checkpoints, signals, the process group."""
