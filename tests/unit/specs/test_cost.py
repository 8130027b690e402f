"""What a plan says of a run, compared with what the run took when its authors did it."""

import math
import re
from pathlib import Path

import pytest

from caebench.specs.calibration import Calibration
from caebench.specs.cost import DENSE_UTILISATION, UTILISATION, gpu_hours
from caebench.specs.evaluations.detection import coco, coco_cascade
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS, SOURCES

FACTOR = 1.5  # either way
# V100 hours in one A100 hour: peaks of NVIDIA's data sheets, 312 and 125 TFLOP/s. Measured for ViT-B/16 in fp16, each
# at its own batch size: 381 and 1,030 images/s, a factor of 2.7 (github.com/willgpaik, pytorch-ddp-bench).
V100S = 312 / 125
DOCS = Path(__file__).parents[3] / "docs" / "performance.md"
EPOCH = {"cae": 6.5 / 60 * 32}  # V100 hours of an epoch


def encoder(recipe="mae", **arguments):
    return make_job(SOURCES[recipe](**arguments))


def evaluated(name, **arguments):
    return make_job(EVALUATIONS[name](**arguments), encoder=encoder(**arguments))


# A100 hours. The sources are those of docs/performance.md.
HOURS = {
    "CAE-B, 800 epochs": (lambda: encoder("cae", target="dalle", epochs=800), 800 * EPOCH["cae"] / V100S),
    "MAE-L, 800 epochs": (lambda: encoder("mae", variant="vit_l", epochs=800), 42 * 64 / V100S),
    "DINO-S, 100 epochs": (lambda: encoder("dino", variant="vit_s", epochs=100), 1.75 * 24 * 8 / V100S),
    "DINO-S, 300 epochs": (lambda: encoder("dino", variant="vit_s", epochs=300), 2.6 * 24 * 16 / V100S),
    "MAE-B, fine-tuning": (lambda: evaluated("finetune", variant="vit_b"), (7 + 11 / 60) * 32 / V100S),
    "MAE-L, fine-tuning": (lambda: evaluated("finetune", variant="vit_l"), (8 + 52 / 60) * 32 / V100S),
    "MAE-B, linear probe": (lambda: evaluated("linear_probe"), (2 + 20 / 60) * 32 / V100S),
}
# A100 seconds an image of 1,024 x 1,024 in training (detectron2, projects/ViTDet/README.md: 64 A100, an image each).
SECONDS = {
    ("ViTDet-B, Mask R-CNN", coco, "vit_b"): 0.314,
    ("ViTDet-L, Mask R-CNN", coco, "vit_l"): 0.603,
    ("ViTDet-H, Mask R-CNN", coco, "vit_h"): 1.098,
    ("ViTDet-B, Cascade", coco_cascade, "vit_b"): 0.362,
    ("ViTDet-L, Cascade", coco_cascade, "vit_l"): 0.643,
    ("ViTDet-H, Cascade", coco_cascade, "vit_h"): 1.137,
}


def seconds_an_image(recipe, variant):
    """What a plan says of one more training image of that size."""
    task = recipe(variant).replace(short_sides=(1024,), long_side=1024)
    longer = task.replace(optimization=task.optimization.replace(iterations=2 * task.optimization.iterations))
    hours = [gpu_hours(make_job(one, encoder=encoder(variant=variant))) for one in (task, longer)]
    images = task.optimization.iterations * task.optimization.global_batch
    return 3600 * (hours[1] - hours[0]) / images


def compared():
    """Name, plan and published, in hours or seconds."""
    hours = {name: (gpu_hours(make()), known) for name, (make, known) in HOURS.items()}
    seconds = {name: (seconds_an_image(recipe, variant), known) for (name, recipe, variant), known in SECONDS.items()}
    return hours | seconds


@pytest.mark.parametrize("name", compared())
def test_a_plan_meets_the_published_run(name):
    planned, published = compared()[name]
    assert published / FACTOR < planned < published * FACTOR, f"plan {planned:.3g}, published {published:.3g}"


def test_the_shares_of_the_peak_lean_to_no_side():
    """Fitted: the geometric means of plan over published, of classification and of detection, are 1 to 5 %."""
    ratios = {name: planned / published for name, (planned, published) in compared().items()}
    for names in (HOURS, [name for name, *_ in SECONDS]):
        mean = math.prod(ratios[name] for name in names) ** (1 / len(names))
        assert mean == pytest.approx(1.0, rel=0.05)


def test_the_documentation_shows_the_plans_figures():
    """A line of its table: name, published, the same in A100s, plan, plan over published, source."""
    lines = [line.split("|")[1:-1] for line in DOCS.read_text(encoding="utf8").splitlines() if line.startswith("| ")]
    shown = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines if len(cells) == 6}
    for name, (planned, published) in compared().items():
        _, ours, plan, ratio, source = shown[name]
        digits = 0 if published > 5 else 3
        assert [float(re.sub(r"[^0-9.]", "", cell)) for cell in (ours, plan)] == [
            float(f"{number:.{digits}f}") for number in (published, planned)
        ], name
        assert ratio == f"{planned / published:.2f}" and source


def test_a_measured_speed_stays_as_measured_and_a_dense_task_keeps_its_share():
    twice = Calibration(
        device="x",
        measured="2026-11-26",
        training=2 * 312e12 * UTILISATION,
        frozen=8 * 312e12 * UTILISATION,
        variant="vit_b",
        batch=256,
        precision="bf16",
    )
    times = {"cae": 2, "finetune": 2, "ade20k": 2, "coco": 2, "linear_probe": 8, "linear_segmentation": 8}
    for name, faster in times.items():
        job = encoder("cae", target="dalle") if name == "cae" else evaluated(name)
        assert gpu_hours(job) == pytest.approx(faster * gpu_hours(job, twice)), name
    assert DENSE_UTILISATION < UTILISATION
