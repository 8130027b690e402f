"""Running jobs: on this machine, one worker a job; what a number was made with."""
