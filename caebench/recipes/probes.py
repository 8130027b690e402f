"""Evaluations of a frozen encoder on ImageNet-1k."""

from caebench.config.optim import LARS, SGD, Optimization
from caebench.config.stage import KNN, AttentiveProbe, LinearProbe, LinearProbeGrid
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE, IMAGENET


def linear_probe(variant: VariantName = "vit_b") -> LinearProbe:
    """Linear probe, the same for every variant. Source: the official tools/run_linear.py; MAE's FINETUNE.md.

    Expects: 64.1 for CAE* ViT-B at 300 epochs (Table 1).
    """
    optimization = Optimization(
        optimizer=LARS(kind="lars"),
        epochs=90,
        warmup_epochs=10,
        warmup_end="before_peak",
        global_batch=16384,
        base_lr=0.1,
    )
    return LinearProbe(kind="linear_probe", data=IMAGENET, image_size=IMAGE_SIZE, optimization=optimization)


def linear_probe_grid(variant: VariantName = "vit_b") -> LinearProbeGrid:
    """The linear probe at 13 rates, from a 64th to 64 times the paper's, on three features. Not in the paper.

    DINOv2's linear evaluation (arXiv 2304.07193) tries many rates and features at once, too.
    """
    paper = linear_probe(variant).optimization
    return LinearProbeGrid(
        kind="linear_probe_grid",
        data=IMAGENET,
        image_size=IMAGE_SIZE,
        optimization=paper,
        base_lrs=tuple(paper.base_lr * 2.0**power for power in range(-6, 7)),
    )


def attentive_probe(variant: VariantName = "vit_b") -> AttentiveProbe:
    """Attentive probe, the same for every variant. Source: the official tools/run_attentive.py; CAE, Sec. 4.2.

    Expects: 73.8 for CAE* ViT-B at 300 epochs (Table 1).
    Differs from the official code: validation batches never normalise themselves (ADR 3).
    """
    optimization = Optimization(
        optimizer=SGD(kind="sgd"),
        epochs=90,
        warmup_epochs=10,
        global_batch=8192,
        base_lr=0.4 * 256 / 8192,
        min_lr=1e-6,
    )
    return AttentiveProbe(kind="attentive_probe", data=IMAGENET, image_size=IMAGE_SIZE, optimization=optimization)


def knn(variant: VariantName = "vit_b") -> KNN:
    """k-NN as in DINO (arXiv 2104.14294, Sec. 4.2.1). Not in the paper."""
    return KNN(kind="knn", data=IMAGENET, image_size=IMAGE_SIZE)
