"""From suites and a scale to a plan: jobs, what they share, what they cost. No torch."""
