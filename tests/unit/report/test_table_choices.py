"""Numbers that are the best of several, and seeds: what a cell's mean is made of."""

import json
from dataclasses import replace

import pytest

from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.report.facts import cell_fact
from caebench.report.render import notes, text
from caebench.report.reports import Reports
from caebench.report.table import entries, frame
from caebench.specs.job import Choice, make_job
from caebench.specs.registry import EVALUATIONS
from caebench.store.records import Records
from caebench.store.store import Store
from caebench.suites import loading as suites

SUITE = """
columns.linear = {{ header = "LIN", eval = "linear_probe" }}
columns.knn = {{ header = "k-NN", eval = "knn" }}
[source]
title = "Imported"
[pretrain]
recipe = "imported"
sha256 = "{sha}"
family = "mae"
[[rows]]
label = "MAE"
[[rows]]
label = "Random"
recipe = "random"
"""


@pytest.fixture
def reported(tmp_path):
    """An imported encoder and a random one, each probed with three seeds."""
    path = tmp_path / "imported.toml"
    path.write_text(SUITE.format(sha="0" * 64))
    plan, store = make_plan(suites.load(str(path)), SCALES["nano"], [0, 1, 2]), Store(tmp_path / "store")
    for cell in plan.cells:
        for number, job in enumerate(cell.jobs):
            last = {"top1_last_epoch": 60.0 + number} if cell.column.header == "LIN" else {"top1_k20": 50.0 + number}
            metrics = {"top1": 65.0 + number, **last}
            intervals = {name: [value - 1, value + 1] for name, value in metrics.items()}
            result = {"id": job.id, "metrics": metrics, "intervals": intervals, "fingerprints": {}}
            (store.prepare(job) / "result.json").write_text(json.dumps(result))
    return plan, entries(plan, Records(store), [])


def test_the_seed_of_a_number_is_its_evaluations(reported):
    """An imported encoder has no seed: its three linear probes have."""
    _, rows = reported
    assert cell_fact(rows[0][0])["seeds"] == [0, 1, 2]
    assert text(rows[0][0]).plain() == "61.0 +- 1.0 [66.0]"


def test_what_uses_no_randomness_has_the_seed_of_its_encoder(reported):
    _, rows = reported
    assert [cell_fact(entry)["seeds"] for entry in (rows[0][1], rows[1][1])] == [[0], [0, 1, 2]]


def test_two_numbers_of_one_seed_are_an_error(reported, tmp_path):
    """Of a table and of a notebook's frame alike, and before the jobs have run."""
    plan, _ = reported
    cell = plan.cells[0]
    other = make_job(cell.jobs[0].config.replace(crop_scale_min=0.7), encoder=cell.jobs[0].inputs["encoder"])
    doubled = replace(plan, cells=(replace(cell, jobs=(cell.jobs[0], other)), *plan.cells[1:]))
    said = r"^imported, row 'MAE', column 'linear': two numbers of seed 0 \(linear_probe/.*plan each seed"
    for ask in (lambda records: entries(doubled, records, []), lambda records: frame([doubled], records)):
        with pytest.raises(ValueError, match=said):
            ask(Records(Store(tmp_path / "empty")))


def test_the_best_is_next_to_the_fixed_choice_and_says_of_how_many(reported):
    plan, rows = reported
    fact = cell_fact(rows[0][1])
    assert (fact["metric"], fact["mean"], fact["best"], fact["best_of"]) == ("top1_k20", 50.0, 65.0, "4 k")
    (line,) = [note for note in notes(plan, rows) if "best of several" in note]
    epochs = plan.cells[0].jobs[0].config.optimization.epochs
    assert f"LIN: of {epochs} epochs; k-NN: of 4 k)." in line


def test_marks_take_the_fixed_choice(reported):
    """Both rows read the same numbers but for their seeds; the best would be 5 higher."""
    _, rows = reported
    assert rows[0][0].estimate.mean == 61.0 and rows[0][0].estimate.values[2] == 62.0


@pytest.mark.parametrize(
    ("name", "metric", "found"),
    [
        ("linear_probe", "top1", Choice("top1_last_epoch", "top1", "90 epochs")),
        ("attentive_probe", "top1", Choice("top1_last_epoch", "top1", "90 epochs")),
        ("finetune", "top1", Choice("top1_last_epoch", "top1", "100 epochs")),
        ("knn", "top1", Choice("top1_k20", "top1", "4 k")),
        ("linear_probe_grid", "top1", Choice("top1", "top1_best_on_val", "39 heads")),
        ("ade20k_grid", "mIoU", Choice("mIoU_median", "mIoU", "4 rates")),
        ("ade20k", "mIoU", None),
        ("coco", "AP_box", None),
        ("knn", "top1_v2", None),
        ("linear_probe", "top1_last_epoch", None),
    ],
)
def test_what_is_the_best_of_several(name, metric, found):
    assert EVALUATIONS[name]().choice(metric) == found


def test_every_choice_is_between_numbers_of_the_result():
    for make in EVALUATIONS.values():
        config = make()
        known = config.METRICS
        for metric in known:
            if (found := config.choice(metric)) is not None:
                assert {found.fixed, found.best} <= set(known)


def test_a_probe_that_reports_its_last_epoch_chose_nothing():
    config = EVALUATIONS["linear_probe"]().replace(selection="last_epoch")
    assert config.choice("top1") is None


def test_what_depends_on_no_seed_brings_none_into_a_report(tmp_path):
    """k-NN of an imported encoder is one job for all seeds: done, it would show ten columns of nothing."""
    path = tmp_path / "imported.toml"
    path.write_text(SUITE.format(sha="0" * 64))
    table, store = suites.load(str(path)), Store(tmp_path / "store")
    for cell in make_plan(table, SCALES["nano"], [0]).cells[:2]:
        (job,) = cell.jobs
        result = {"id": job.id, "metrics": {"top1": 50.0}, "fingerprints": {}}
        (store.prepare(job) / "result.json").write_text(json.dumps(result))
    reports = Reports(SCALES["nano"], Records(store), [])
    assert [len(cell.jobs) for cell in reports.plan(table).cells[:2]] == [1, 1]
