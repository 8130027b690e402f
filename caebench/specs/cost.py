"""What a job costs, before it runs: GPU-hours and disk, estimated from the configs alone.

Hours are A100-80GB hours at a share of its peak, until `caebench bench calibrate` measures the site's device. What is
counted are matrix products (multiply-adds of linear layers and attention); the shares are fitted to the hours that
published runs took, loading and communication included, and meet each of them to a factor of 1.5
(tests/unit/specs/test_cost.py; docs/performance.md, "Hours of a plan compared with published ones").
"""

from caebench.specs.calibration import Calibration
from caebench.specs.inputs.code_cache import CODES, Codes
from caebench.specs.job import Job
from caebench.specs.pretrain import Pretrain

A100_BF16 = 312e12  # FLOP/s, NVIDIA's data sheet
# Of that peak, by the count below. Geometric means over published runs, V100 hours divided by 2.5 (the ratio of the two
# peaks): pretraining, fine-tuning and probes of CAE, MAE and DINO; ViTDet on A100s, B to H, Mask R-CNN and Cascade.
UTILISATION = 0.13
DENSE_UTILISATION = 0.065  # of what trains a detector or UperNet: thousands of small operations next to the products


def gpu_hours(job: Job, calibration: Calibration | None = None) -> float:
    """Hours of a job on the calibrated device, or on an A100, without what a code cache saves it.

    0 for what needs no GPU.
    """
    return hours_at(job.config.multiply_adds(job.inputs), _speed(job, calibration)) - gpu_hours_saved(job, calibration)


def gpu_hours_saved(job: Job, calibration: Calibration | None = None) -> float:
    """Hours that a code cache saves a pretraining: the tokenizer's, in the epochs that both go through."""
    cache = job.optional_inputs[CODES].config if CODES in job.optional_inputs else None
    if not isinstance(cache, Codes) or not isinstance(job.config, Pretrain):
        return 0.0
    tokenized = cache.tokenize(min(cache.epochs, job.config.optimization.epochs))
    return hours_at(tokenized, _training_speed(calibration))


def hours_at(multiply_adds: float, speed: float) -> float:
    """At a speed in FLOP/s."""
    return 2.0 * multiply_adds / speed / 3600.0


def _speed(job: Job, calibration: Calibration | None) -> float:
    """FLOP/s of a job. A calibration measures no dense task: its share of training's speed stays the A100's."""
    kind = job.config.speed()
    if kind == "frozen":
        return frozen_speed(calibration)
    return _training_speed(calibration) * (DENSE_UTILISATION / UTILISATION if kind == "dense" else 1.0)


def _training_speed(calibration: Calibration | None) -> float:
    return A100_BF16 * UTILISATION if calibration is None else calibration.training


def frozen_speed(calibration: Calibration | None) -> float:
    """FLOP/s of a frozen encoder's forward pass."""
    return A100_BF16 * UTILISATION if calibration is None else calibration.frozen


def describe_hours(calibration: Calibration | None) -> str:
    """Whose hours, and how they are known."""
    if calibration is None:
        return "A100-80GB hours, estimated"
    return f"{calibration.device} hours, calibrated on {calibration.measured}"
