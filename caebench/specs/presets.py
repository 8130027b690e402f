"""What other code bases do, as the recipes here with the fields in which each differs: for comparison, never run.

`official`: the official repository as its scripts resolve (Atten4Vis/CAE at a7fd162); a compared method's is its own.
`mmpretrain`: OpenMMLab's CAE
(configs/cae of MMPretrain, before that of MMSelfSup). What no field can say is a note.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from caebench.specs.base import Config
from caebench.specs.evaluations.attentive_probe import attentive_probe
from caebench.specs.evaluations.detection import coco, coco_cascade
from caebench.specs.evaluations.finetune import finetune
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.evaluations.segmentation import ade20k
from caebench.specs.identity import kind_of
from caebench.specs.inputs.dataset import IMAGENET
from caebench.specs.job import Spec
from caebench.specs.methods.cae import cae
from caebench.specs.optim import Precision
from caebench.specs.variants import LARGE, VariantName


class Preset(NamedTuple):
    """A config as another code base has it, and what its fields cannot say."""

    config: Config
    notes: tuple[str, ...] = ()


def official(like: Any, variant: VariantName, epochs: int | None) -> Preset:
    """The official code's config of the same kind, for an encoder of that size pretrained for that many epochs.

    fp16 autocast with a loss scaler throughout (furnace/engine_for_*.py, linear_util; apex in the dense tasks).

    Raises:
        ValueError: it has none.
    """
    match _name(like):
        case "cae":
            return _official_pretraining(like, variant)
        case method if method in OFFICIAL_METHODS:
            return Preset(_at(like, "fp32" if method == "dino" else "fp16"), OFFICIAL_METHODS[method])
        case "linear_probe":
            return Preset(_at(linear_probe(variant), "fp16"), ("batch norm over each GPU's 512 images (ours: ADR 4)",))
        case "attentive_probe":
            return Preset(_at(attentive_probe(variant), "fp16"), OFFICIAL_ATTENTIVE)
        case "finetune" if like.data == IMAGENET:
            return _official_finetuning(variant)
        case "segmentation" if like.head == "upernet":
            return _official_segmentation(variant, epochs)
        case "detection":
            return _official_detection(like, variant)
        case _:
            raise ValueError(
                f"preset 'official': the official code has no such {_name(like)}. It has pretraining, "
                "linear and attentive probe, ImageNet fine-tuning, UperNet (ade20k), Mask R-CNN (coco) and Cascade."
            )


OFFICIAL_PRETRAINING = (
    "Python's random, which draws crops and masks, is not seeded (tools/run_pretraining.py)",
    "the alignment target is an encoder of its own whose tensors share storage with the encoder's; the earlier "
    "repository's copy lags one optimizer step (ours: one encoder, ADR 2)",
)
OFFICIAL_LARGE = (
    "scripts/cae_large_1600e.sh lacks a line continuation after --align_loss_weight 2: --decoder_embed_dim 1024, "
    "--decoder_num_heads 16 and --fix_init_weight never arrive",
    "--decoder_layer_scale_init_value 1e-5 is parsed, and never passed to the model: 0.1 (models/modeling_cae.py)",
)
OFFICIAL_ATTENTIVE = (
    "validation batches are normalised by their own statistics, and go on changing the running ones "
    "(furnace/engine_for_finetuning.py; ours: running statistics of the training data, ADR 3)",
    "batch norm over each GPU's 256 images (ours: ADR 4)",
    "models/modeling_finetune.py calls the probe's block with arguments that it does not take: only the earlier "
    "repository's runs",
)


# What differs from official code whatever the recipe's fields say, and stays, each with its effect.
OFFICIAL_SEGMENTATION = (
    "evaluated every 16k iterations (ours: after the last, ADR 12)",
    "the rate decays from the first iteration on, under its warm-up too (mmcv's poly policy; ours: from the warm-up's "
    "end, so up to 0.9 % higher)",
    "positions go to the crop's grid by bicubic interpolation without antialiasing (ours: with, whose cubic kernel is "
    "another: sin-cos positions differ by up to 0.05)",
)
OFFICIAL_MIXING = (
    "mixup and cutmix draw once for the images of a GPU (ours: for a group of as many, whatever the device holds)",
    "timm 0.3.2 cuts a cutmix box with odd sides one pixel smaller (ours: today's timm; pasted areas and targets "
    "differ by at most 1 % in such draws)",
)
# Of the compared methods' own repositories (ADR 16); what their reference files hold is equal.
OFFICIAL_METHODS: Mapping[str, tuple[str, ...]] = {
    "mae": ("column before row in the sin-cos positions (ours: MoCo v3's order; a permutation of channels)",),
    "beit": ("block masks of at most 75 patches (ours: exactly 75)", "class token is not decayed (ours: it is)"),
    "deit": (
        "the rate changes once an epoch (timm's scheduler; ours: every step, at most 0.5 % of the peak apart)",
        *OFFICIAL_MIXING,
        "three copies of an image lie on three GPUs (ours: in a row, so that two may mix with each other)",
    ),
    "moco_v3": ("everything is decayed (ours: not biases and one-dimensional parameters)",),
    "dino": ("float32 (ours: bf16; losses and similarities in float32)", "the centre moves with each forward pass"),
    "ibot": ("masks of at most the drawn share (ours: exactly)", "the centres move with each forward pass"),
}


def _official_pretraining(like: Any, variant: VariantName) -> Preset:
    target = like.method.target.kind
    config = _at(cae(variant, like.optimization.epochs, target), "fp16")
    notes = (*OFFICIAL_PRETRAINING, *_absent(variant, "scripts/cae_*.sh"))
    if target == "dvae":
        notes += ("--discrete_vae_type customized: neither its weights nor its training is published",)
    if variant not in LARGE:
        return Preset(config, notes)
    method: Any = config.method
    as_run = method.replace(latent_dim=768, latent_num_heads=12, latent_layer_scale=0.1, init="xavier")
    return Preset(config.replace(method=as_run), (*notes, *OFFICIAL_LARGE))


def _official_finetuning(variant: VariantName) -> Preset:
    """scripts/cae_base_finetune.sh: 32 GPUs of 128 images; cae_large_finetune.sh: 32 of 64, accumulated twice."""
    config = _at(finetune(variant), "fp16")
    group = 64 if variant in LARGE else 128  # mixup and cutmix draw once a GPU
    mixed = config.replace(mixing=config.mixing.replace(group=group))
    return Preset(mixed, (*OFFICIAL_MIXING, *_absent(variant, "scripts/cae_*_finetune.sh")))


# Of configs_local/cae/upernet, by pretraining epochs. The paper says: searched for each model.
SEGMENTATION_RATES: Mapping[VariantName, Mapping[int, float]] = {
    "vit_b": {300: 3e-4, 800: 2e-4, 1600: 1e-4},
    "vit_l": {1600: 4e-5},
}


def _official_segmentation(variant: VariantName, epochs: int | None) -> Preset:
    config, notes = _at(ade20k(variant), "fp16"), OFFICIAL_SEGMENTATION
    rates = SEGMENTATION_RATES.get(variant)
    if rates is None:
        return Preset(config, (*notes, *_absent(variant, "configs_local/cae/upernet")))
    lr = rates.get(epochs or 0, config.optimization.lr)
    listed = ", ".join(f"{rate:g} after {number}" for number, rate in rates.items())
    notes += (f"learning rate by epochs of pretraining: {listed} (configs_local/cae/upernet); here {lr:g}",)
    return Preset(config.replace(optimization=config.optimization.replace(lr=lr)), notes)


def _official_detection(like: Any, variant: VariantName) -> Preset:
    if like.head == "cascade_mask_rcnn":
        note = "configs/_base_/models/cascade_mask_rcnn_vit_fpn.py is all there is: schedule and precision are ours"
        return Preset(coco_cascade(variant), (note,))
    config = _at(coco(variant), "fp16")
    if variant not in LARGE:
        return Preset(config, _absent(variant, "configs/mask_rcnn"))
    decayed = config.optimization.replace(layer_decay=0.85)
    notes = ("layer decay 0.85 as in configs/mask_rcnn/vit_large_*; the paper's text says 0.8",)
    return Preset(config.replace(optimization=decayed), (*notes, *_absent(variant, "configs/mask_rcnn")))


def mmpretrain(like: Any, variant: VariantName, epochs: int | None) -> Preset:
    """MMPretrain's config of the same kind. It has ViT-B at 300 epochs alone; for others its changes on our recipe.

    Raises:
        ValueError: it has none.
    """
    other = variant != "vit_b" or (like.optimization.epochs if kind_of(like) == "pretrain" else epochs or 300) != 300
    only = ("it has only ViT-B pretrained for 300 epochs: other sizes and schedules are ours",) if other else ()
    match _name(like):
        case "cae":
            return Preset(_mmpretrain_pretraining(like, variant), (*MMPRETRAIN_PRETRAINING, *only))
        case "finetune" if like.data == IMAGENET:
            config = _mmpretrain_finetuning(variant)
            peak = f"base_lr is for 256 images: the peak is {config.optimization.lr:g}, as ours at our batch"
            return Preset(config, (*MMPRETRAIN_FINETUNING, peak, *only))
        case _:
            raise ValueError(
                f"preset 'mmpretrain': MMPretrain's CAE has no such {_name(like)}. It has pretraining "
                "and ImageNet fine-tuning."
            )


MMPRETRAIN_PRETRAINING = (
    "the target encoder is a copy that lags one optimizer step (mmpretrain/models/selfsup/cae.py)",
)
MMPRETRAIN_FINETUNING = (
    "pixel mean and standard deviation 127.5 (configs/cae/benchmarks/beit-base-p16_8xb128-*; ours: ImageNet's)",
)


def _mmpretrain_pretraining(like: Any, variant: VariantName) -> Spec:
    """configs/cae/cae_beit-base-p16_8xb256-amp-coslr-300e_in1k.py."""
    config = _at(cae(variant, like.optimization.epochs, like.method.target.kind), "fp16")  # AmpOptimWrapper
    method: Any = config.method
    masking = method.masking.replace(ratio=75 / 196)  # num_masking_patches: as in the paper's first version
    return config.replace(method=method.replace(masking=masking, drop_path=0.0))  # drop_path_rate is not set


def _mmpretrain_finetuning(variant: VariantName) -> Any:
    """configs/cae/benchmarks/beit-base-p16_8xb128-coslr-100e_in1k.py."""
    config = _at(finetune(variant), "fp32")  # no AmpOptimWrapper
    batch = 8 * 128
    base_lr = config.optimization.lr * 256 / batch  # the peak stays, 8e-3 for ViT-B
    return config.replace(optimization=config.optimization.replace(global_batch=batch, base_lr=base_lr))


def _at(config: Any, precision: Precision) -> Any:
    return config.replace(optimization=config.optimization.replace(precision=precision))


def _name(config: Any) -> str:
    return kind_of(config.method if kind_of(config) == "pretrain" else config)


def _absent(variant: VariantName, where: str) -> tuple[str, ...]:
    """What to say of a size that the official code has no script for."""
    return () if variant in ("vit_b", "vit_l") else (f"{where}: nothing for {variant}; the values are ours",)


PRESETS: Mapping[str, Callable[[Config, VariantName, int | None], Preset]] = {
    "official": official,
    "mmpretrain": mmpretrain,
}
