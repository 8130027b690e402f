"""Planning, measured."""

from caebench.bench.planning import bench_plan
from caebench.cli.show_bench import plan_rows


def test_planning_counts_jobs():
    found = bench_plan("paper", 300, repeats=1)
    assert found["jobs"] >= 300 and found["seconds"] > 0
    assert {len(row) for row in plan_rows(found)} == {5}
