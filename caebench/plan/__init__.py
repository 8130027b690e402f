"""From a suite to jobs: scales, identity, graph, cost, store."""
