"""Running jobs on this machine or through a scheduler, and the provenance of their results."""
