"""A calibration is measured, kept beside the site's file, and counts a plan's hours."""

import json

import pytest
from typer.testing import CliRunner

from caebench.bench.calibrating import calibrate
from caebench.cli import app
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.specs import site as sites
from caebench.specs.calibration import Calibration, calibration_path, read_calibration
from caebench.specs.cost import A100_BF16, UTILISATION, describe_hours, gpu_hours
from caebench.specs.site import load_site
from caebench.suites import loading as suites

FAST = Calibration(
    device="NVIDIA H100 80GB HBM3",
    measured="2026-11-26",
    training=2 * A100_BF16 * UTILISATION,
    frozen=4 * A100_BF16 * UTILISATION,
    variant="vit_b",
    batch=256,
    precision="bf16",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sites, "SITES", tmp_path)
    return tmp_path


@pytest.fixture
def jobs():
    return make_plan(suites.load("quickstart"), SCALES["paper"]).jobs


def test_hours_are_the_devices(jobs):
    """Twice as fast in training, four times on a frozen encoder."""
    frozen = {"linear_probe", "attentive_probe", "knn", "knn_segmentation"}
    for job in jobs:
        linear = job.kind == "segmentation" and job.config.head == "linear"
        times = 4 if job.kind in frozen or linear else 2
        assert gpu_hours(job) == pytest.approx(times * gpu_hours(job, FAST))
    assert describe_hours(None) == "A100-80GB hours, estimated"
    assert describe_hours(FAST) == "NVIDIA H100 80GB HBM3 hours, calibrated on 2026-11-26"


def test_what_is_measured_gives_the_measured_seconds_back(settings, device):
    found = calibrate(settings, device)
    assert found.device.startswith("CPU, ") and found.batch == 4 and found.training > 0 and found.frozen > 0
    assert found == Calibration.model_validate_json(found.model_dump_json())


def test_a_site_reads_its_own(folder):
    calibration_path(folder, "local").write_text(FAST.model_dump_json(), encoding="utf8")
    (folder / "cluster.toml").write_text('scale = "lab"\n', encoding="utf8")
    assert load_site("local").calibration == FAST and load_site("cluster").calibration is None


def test_a_damaged_file_is_refused_with_what_to_do(folder):
    calibration_path(folder, "local").write_text('{"device": "x"}', encoding="utf8")
    with pytest.raises(ValueError, match=r"local.calibration.json: measured: field required. `caebench bench"):
        read_calibration(folder, "local")


def test_plan_says_whose_hours_they_are(folder, monkeypatch):
    def ask(*more):
        shown = CliRunner().invoke(app, ["plan", "quickstart", "--scale", "paper", *more])
        assert shown.exit_code == 0, shown.output
        return shown.output

    before = json.loads(ask("--json"))
    assert before["hours"] == "A100-80GB hours, estimated" and "A100 time" in ask()
    calibration_path(folder, "local").write_text(FAST.model_dump_json(), encoding="utf8")
    after = json.loads(ask("--json"))
    assert after["hours"] == describe_hours(FAST) and before["gpu_hours"] / 4 < after["gpu_hours"] < before["gpu_hours"]
    assert "NVIDIA H100 80GB HBM3 hours, calibrated on 2026-11-26" in ask()
    assert [job["id"] for job in before["jobs"]] == [job["id"] for job in after["jobs"]]
