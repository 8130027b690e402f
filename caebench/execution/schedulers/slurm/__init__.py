"""SLURM, through submitit: submission, the queue, packs of small jobs, the check of a site."""
