"""Dense tasks: mmsegmentation's models and evaluators in mmengine's Runner, under caebench's contract (ADR 12)."""
