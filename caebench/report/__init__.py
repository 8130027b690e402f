"""From finished jobs to tables."""
