"""A grid of learning rates in the report: the best in the table, every rate below it and in the JSON."""

import json

import pytest

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.report.facts import comma_separated, facts
from caebench.report.render import notes, text
from caebench.report.table import entries
from caebench.specs.evaluations.lr_grid import LearningRateGrid
from caebench.store.records import Records
from caebench.store.store import Store
from caebench.suites import loading as suites

SEEDS = (0, 1)


@pytest.fixture
def reported(tmp_path):
    """Table 2 at nano scale, in which one row's grid is done for both seeds."""
    plan, store = make_plan(suites.load("segmentation-ade20k"), SCALES["nano"], SEEDS), Store(tmp_path)
    (cell,) = [c for c in plan.cells if c.row.id == "T2-B-CAE*-300" and c.column.header == "mIoU"]
    for seed, job in enumerate(cell.jobs):
        assert isinstance(job.config, LearningRateGrid)
        scores = {f"mIoU_lr_{rate:g}": 40.0 + number + seed for number, rate in enumerate(job.config.rates)}
        metrics = {"mIoU": 43.0 + seed, "mIoU_median": 41.5 + seed, "mAcc": 50.0, "aAcc": 80.0, **scores}
        folder = store.prepare(job)
        (folder / "result.json").write_text(json.dumps({"id": job.id, "metrics": metrics, "fingerprints": {}}))
    return plan, entries(plan, Records(store), []), [f"{rate:g}" for rate in cell.jobs[0].config.rates]


def test_every_rate_is_listed_under_the_table_once_per_row(reported):
    plan, rows, rates = reported
    (line,) = [note for note in notes(plan, rows) if "by learning rate" in note]
    assert line.startswith("mIoU, CAE*, ViT-B, 300, by learning rate: ")
    assert line.endswith(", ".join(f"{40.5 + n:.1f} at {rate}" for n, rate in enumerate(rates)))


def test_the_median_counts_the_best_is_next_to_it_and_the_json_has_all(reported):
    _, rows, rates = reported
    of_row = [fact for fact in facts(rows) if fact["row"] == "CAE*, ViT-B, 300"]
    wanted = ("header", "metric", "mean", "best", "best_of")
    assert [of_row[0][name] for name in wanted] == ["mIoU", "mIoU_median", 42.0, 43.5, "4 rates"]
    assert text(rows[7][0]).plain() == "42.0 [43.5]"
    assert of_row[0]["rates"] == {rate: 40.5 + n for n, rate in enumerate(rates)}
    assert of_row[1]["rates"] == {} and "rates" not in comma_separated(rows).splitlines()[0]
