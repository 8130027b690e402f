"""What a plan costs, before anything runs: GPU-hours and disk, estimated from the configs alone.

Hours are A100-80GB hours at a share of its peak, until `caebench bench calibrate` measures the site's device. What is
counted are matrix products (multiply-adds of linear layers and attention); the shares are fitted to the hours that
published runs took, loading and communication included, and meet each of them to a factor of 1.5
(tests/unit/plan/test_published_costs.py; docs/performance.md, "Hours of a plan compared with published ones").
"""

import math
from collections.abc import Sequence

from caebench.config.calibration import Calibration
from caebench.config.codes import CODES, Codes
from caebench.config.data import EmbeddedData, size_of
from caebench.config.dense import Detection, KNNSegmentation, Segmentation
from caebench.config.method import DVAE
from caebench.config.stage import (
    KNN,
    AttentiveProbe,
    Finetune,
    Imported,
    LinearProbe,
    LinearProbeGrid,
    Pretrain,
    PretrainingCost,
    RandomEncoder,
)
from caebench.config.variants import VARIANTS, Variant
from caebench.plan.graph import Job
from caebench.plan.passes import passes, units_of, with_configs
from caebench.plan.pretraining import (
    blocks,
    encode,
    encoder_parameters,
    pretraining_parameters,
    pretraining_step,
    tokenize,
)

A100_BF16 = 312e12  # FLOP/s, NVIDIA's data sheet
# Of that peak, by the count below. Geometric means over published runs, V100 hours divided by 2.5 (the ratio of the two
# peaks): pretraining, fine-tuning and probes of CAE, MAE and DINO; ViTDet on A100s, B to H, Mask R-CNN and Cascade.
UTILISATION = 0.13
DENSE_UTILISATION = 0.065  # of what trains a detector or UperNet: thousands of small operations next to the products
REDRAWN = 0.26  # of 500 x 375 images, crops of 0.08 to 1 that do not fit when first drawn: two views, not one
BYTES = 4  # float32 weights


def gpu_hours(job: Job, calibration: Calibration | None = None) -> float:
    """Hours of a job on the calibrated device, or on an A100, without what a code cache saves it.

    0 for what needs no GPU.
    """
    return _hours(multiply_adds(job), _speed(job, calibration)) - gpu_hours_saved(job, calibration)


def total_gpu_hours(jobs: Sequence[Job], calibration: Calibration | None = None) -> float:
    """Hours of some jobs run together, probes of one encoder in one pass of it: the one way to add hours up."""
    return math.fsum(gpu_hours(job, calibration) for job in jobs) - gpu_hours_of_passes_saved(jobs, calibration)


def gpu_hours_of_passes_saved(jobs: Sequence[Job], calibration: Calibration | None = None) -> float:
    """Hours that the shared passes among some jobs save."""
    return math.fsum(gpu_hours_of_pass_saved(unit, calibration) for unit in passes(units_of(jobs)))


def gpu_hours_saved(job: Job, calibration: Calibration | None = None) -> float:
    """Hours that a code cache saves a pretraining: the tokenizer's, in the epochs that both go through."""
    cache = job.aids[CODES].config if CODES in job.aids else None
    if not isinstance(cache, Codes) or not isinstance(job.config, Pretrain):
        return 0.0
    tokenized = _tokenize_all(cache, min(cache.epochs, job.config.optimization.epochs))
    return _hours(tokenized, _training_speed(calibration))


def gpu_hours_of_pass_saved(unit: Sequence[Job], calibration: Calibration | None = None) -> float:
    """Hours that a shared pass saves: the training images of all but the longest probe, less boxes drawn anew."""
    probes = [(encode(_variant(job), config.image_size), config) for job, config in with_configs(unit)]
    seen = [forward * size_of(config.data).train * config.optimization.epochs for forward, config in probes]
    crops = {config.crop if isinstance(config, AttentiveProbe) else "one_try" for _, config in probes}
    once = max(seen) * (1.0 + (REDRAWN if len(crops) > 1 else 0.0))
    return _hours(sum(seen) - once, _frozen_speed(calibration))


def _hours(multiply_adds: float, speed: float) -> float:
    """At a speed in FLOP/s."""
    return 2.0 * multiply_adds / speed / 3600.0


def _speed(job: Job, calibration: Calibration | None) -> float:
    """FLOP/s of a job. A calibration measures no dense task: its share of training's speed stays the A100's."""
    if _is_frozen(job):
        return _frozen_speed(calibration)
    dense = isinstance(job.config, Detection | Segmentation)
    return _training_speed(calibration) * (DENSE_UTILISATION / UTILISATION if dense else 1.0)


def _training_speed(calibration: Calibration | None) -> float:
    return A100_BF16 * UTILISATION if calibration is None else calibration.training


def _frozen_speed(calibration: Calibration | None) -> float:
    return A100_BF16 * UTILISATION if calibration is None else calibration.frozen


def _tokenize_all(config: Codes, epochs: int) -> float:
    return tokenize(config.target, config.num_patches) * size_of(config.data).train * epochs


def describe_hours(calibration: Calibration | None) -> str:
    """Whose hours, and how they are known."""
    if calibration is None:
        return "A100-80GB hours, estimated"
    return f"{calibration.device} hours, calibrated on {calibration.measured}"


def _is_frozen(job: Job) -> bool:
    """Whether nearly all of its work is an encoder's forward pass."""
    match job.config:
        case LinearProbe() | LinearProbeGrid() | AttentiveProbe() | KNN() | KNNSegmentation():
            return True
        case Segmentation(head=head):
            return head == "linear"
        case _:
            return False


def disk_bytes(job: Job) -> int:
    """What a job leaves and needs while it runs: weights, and two checkpoints with AdamW's state."""
    match job.config:
        case Pretrain() as config:
            return int(pretraining_parameters(config) * BYTES * (2 + 2 * 3))
        case Imported() as config:
            return encoder_parameters(config.size) * BYTES
        case Finetune() | Segmentation() | Detection():
            return int(encoder_parameters(_variant(job)) * BYTES * (2 * 3))
        case Codes() as config:
            return config.epoch_bytes * config.epochs
        case EmbeddedData() as config:
            size = size_of(config)
            return 2200 * len(config.layouts) * (size.train + size.val)
        case _:
            return 10_000_000


def multiply_adds(job: Job) -> float:
    """Multiply-adds of a whole job: a backward pass counts as two forward passes."""
    match job.config:
        case Pretrain() as config:
            return pretraining_step(config) * size_of(config.data).train * config.optimization.epochs
        case PretrainingCost() as config:
            per_image = pretraining_step(config.pretraining) + pretraining_step(config.against)
            return per_image * config.num_images * config.num_steps
        case Finetune() as config:
            size, forward = size_of(config.data), encode(_variant(job), config.image_size)
            return forward * config.optimization.epochs * (3 * size.train + size.val)
        case LinearProbe() | AttentiveProbe() as config:
            size, forward = size_of(config.data), encode(_variant(job), config.image_size)
            return forward * config.optimization.epochs * (size.train + size.val)
        case LinearProbeGrid() as config:
            size, forward = size_of(config.data), encode(_variant(job), config.image_size)
            return forward * ((config.optimization.epochs + config.hold_out) * size.train + size.val)
        case Segmentation() as config:
            return _segment(config, _variant(job))
        case Detection() as config:
            return _detect(config, _variant(job))
        case KNNSegmentation() as config:
            return _search(config, _variant(job))
        case KNN() as config:
            size = size_of(config.data)
            return encode(_variant(job), config.image_size) * (size.train + size.val)
        case DVAE() as config:
            return _dvae(config)
        case Codes() as config:
            return _tokenize_all(config, config.epochs)
        case _:
            return 0.0


def _variant(job: Job) -> Variant:
    encoder = job.inputs["encoder"].config
    if isinstance(encoder, Imported):
        return encoder.size
    assert isinstance(encoder, Pretrain | RandomEncoder), "no other stage leaves an encoder"
    return VARIANTS[encoder.variant]


def _search(config: KNNSegmentation, variant: Variant) -> float:
    """Every image encoded once, and every validation patch compared with the bank."""
    size, pixels = size_of(config.data), 4 / 3 * config.image_size**2
    encoder = encode(variant, round(pixels**0.5)) * (size.train + size.val)
    return encoder + size.val * pixels / variant.patch_size**2 * config.bank_size * variant.dim


def _segment(config: Segmentation, variant: Variant) -> float:
    """Encoder and UperNet, whose 3x3 convolutions on the finest map (a quarter patch) are most of its work; of a linear
    layer on a frozen encoder, the encoder's forward pass.
    """
    places = (4 * config.crop_size / variant.patch_size) ** 2
    head = places * 9 * variant.dim**2 * (4 + 1 + 1 / 4 + 1 / 16)  # fusing four maps; one convolution on each of three
    windows = ((1 + 1 / 3) * config.crop_size / config.stride) ** 2  # of an image of 4:3
    trained, tested = (
        config.optimization.iterations * config.optimization.global_batch,
        windows * size_of(config.data).val,
    )
    if config.head == "linear":
        return (trained + tested) * encode(variant, config.crop_size)
    return (3 * trained + tested) * (encode(variant, config.crop_size) + head)


def _detect(config: Detection, variant: Variant) -> float:
    """Encoder on the whole image, the pyramid, and the convolutions on each region."""
    short, long = config.short_sides[-1], config.long_side
    tokens = short * long / variant.patch_size**2
    encoder = blocks(variant.dim, variant.depth, tokens, tokens)
    pyramid = 16 * tokens * (1 + 1 / 4 + 1 / 16 + 1 / 64) * 2 * 9 * config.channels**2
    stages = 3 if config.head == "cascade_mask_rcnn" else 1
    regions = config.num_rois * config.channels**2 * 9 * 4 * (7**2 * stages + 14**2 / 4)
    images = 3 * config.optimization.iterations * config.optimization.global_batch + size_of(config.data).val
    return images * (encoder + pyramid + regions)


def _dvae(config: DVAE) -> float:
    places = (config.image_size / 2**config.num_downsamplings) ** 2
    per_place = 400 * config.hidden_dim**2 + 2 * config.vocabulary * config.codebook_dim
    return 3.0 * places * per_place * size_of(config.data).train * config.optimization.epochs
