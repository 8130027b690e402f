"""What each stage does: the functions behind `caebench.stages`."""
