"""CAE pretraining on ImageNet-1k, and the tokenizer that the paper's rows called CAE rest on."""

from typing import Literal

from caebench.config.data import RealData
from caebench.config.method import CAE, DVAE, DALLETarget, DVAETarget, PixelTarget, Target
from caebench.config.optim import AdamW, Optimization
from caebench.config.stage import Imported, Pretrain, PretrainingCost, RandomEncoder
from caebench.config.variants import VariantName

IMAGENET = RealData(kind="real", name="imagenet1k")
IMAGE_SIZE = 224
WARMUP_EPOCHS = {300: 10.0, 800: 20.0, 1600: 40.0}  # official scripts/cae_base_*.sh and README
LARGE = ("vit_l", "vit_h")


def cae(
    variant: VariantName = "vit_b", epochs: int = 300, target: Literal["dalle", "dvae", "pixels"] = "dalle"
) -> Pretrain:
    """CAE pretraining. Source: the official scripts/cae_{base,large}_*.sh; CAE, Sec. 4.1.

    Expects (CAE*, ViT-B, 300 epochs; Tables 1 and 5): 64.1 linear, 73.8 attentive, 83.6 fine-tuned. About 2,770
    V100-hours for 800 epochs of ViT-B (official log).
    Differs from the paper: bf16 in place of fp16 (ADR 8). ViT-S: its settings are unpublished; ViT-B's here.
    """
    method = CAE(
        kind="cae",
        target=make_target(target),
        layer_scale=layer_scale(variant),
        latent_layer_scale=layer_scale(variant),  # --decoder_layer_scale_init_value
        init="truncated_normal" if variant in LARGE else "xavier",  # --fix_init_weight
    )
    optimization = Optimization(
        optimizer=AdamW(kind="adamw"),
        epochs=epochs,
        warmup_epochs=WARMUP_EPOCHS.get(epochs, epochs / 40),
        global_batch=2048,  # 32 x 64
        base_lr=1.5e-3 * 256 / 2048,  # --lr 1.5e-3, not scaled by the batch
        min_lr=1e-5,
        clip_grad=3.0,
    )
    return Pretrain(
        kind="pretrain",
        variant=variant,
        method=method,
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=optimization,
    )


def pretraining_cost(
    variant: VariantName = "vit_b", pretraining: Pretrain | RandomEncoder | Imported | None = None
) -> PretrainingCost:
    """A pretraining's step beside that of the same with neither decoder nor alignment. Source: CAE, Sec. 5.1.

    Expects: 1.23 times the parameters and 1.24 times the time for CAE* ViT-B.

    Raises:
        ValueError: the row trains nothing, or something other than CAE.
    """
    if isinstance(pretraining, RandomEncoder | Imported):
        raise ValueError("the column measures a pretraining's cost, and this row trains nothing. Leave the row out")
    full = pretraining or cae(variant)
    if not isinstance(full.method, CAE):
        raise ValueError(f"the column measures CAE's decoder and alignment, and {full.method.kind} has neither")
    bare = full.method.replace(decoder_depth=0, align_weight=0.0)
    return PretrainingCost(kind="pretraining_cost", pretraining=full, against=full.replace(method=bare))


def layer_scale(variant: VariantName) -> float:
    """What layer scale starts from; official --layer_scale_init_value."""
    return 1e-5 if variant in LARGE else 0.1


def make_target(name: str) -> Target:
    """A target by its name in a suite.

    Raises:
        ValueError: there is no such target.
    """
    match name:
        case "dalle":
            return DALLETarget(kind="dalle")
        case "dvae":
            return DVAETarget(kind="dvae", tokenizer=dvae())
        case "pixels":
            return PixelTarget(kind="pixels")
        case _:
            raise ValueError(f"field 'target' is '{name}': choose dalle, dvae or pixels")


def dvae() -> DVAE:
    """The d-VAE trained on ImageNet-1k without labels (CAE, Sec. 4.1).

    Sizes: the official `--discrete_vae_type customized`. Its training is published nowhere; objective, optimizer, rate,
    batch, temperature and divergence follow DALL-E (arXiv 2102.12092, appendix A), over fewer updates: ADR 9.
    """
    return DVAE(
        kind="dvae",
        data=IMAGENET,
        image_size=112,  # the tokenizer's view in CAE pretraining
        optimization=Optimization(
            optimizer=AdamW(kind="adamw", weight_decay=1e-4),
            epochs=20,
            warmup_epochs=0,
            global_batch=512,
            base_lr=1e-4 * 256 / 512,
            min_lr=1.25e-6,
        ),
    )
