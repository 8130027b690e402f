"""What the tests share: a scale of seconds, and a world rendered once."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from caebench.config.data import World
from caebench.plan.scale import Scale
from caebench.plan.shrink import DenseShrink, MethodShrink, Shrink

TINY = Scale(
    "nano",
    variants={"vit_s": "nano_s", "vit_b": "nano_s", "vit_l": "nano_l", "vit_h": "nano_h"},
    world=World(
        kind="world", image_size=24, num_train=40, num_val=20, num_scenes_train=8, num_scenes_val=4, scene_size=48
    ),
    image_size=48,
    pretrain=Shrink(epochs=0.01, batch=128, lr=40.0),
    methods={
        "mae": Shrink(epochs=0.01, batch=256, lr=80.0),
        "deit": Shrink(epochs=0.01, batch=128, lr=40.0),
        "moco_v3": Shrink(epochs=0.01, batch=256, lr=10.0),
        "dino": Shrink(epochs=0.01, batch=64, lr=10.0),
        "ibot": Shrink(epochs=0.01, batch=64, lr=10.0),
    },
    sizes=MethodShrink(
        decoder_dim=16,
        decoder_depth=4,
        decoder_num_heads=4,
        hidden_dim=64,
        output_dim=8,
        prototypes=128,
        num_local=5,
        memory=10.0,
    ),
    dvae=Shrink(epochs=0.25, batch=64, lr=80.0),
    linear=Shrink(epochs=0.03, batch=1024, lr=40.0),
    attentive=Shrink(epochs=0.03, batch=512, lr=64.0),
    finetune=Shrink(epochs=0.02, batch=256, lr=8.0),
    segmentation=DenseShrink(iterations=1e-4, batch=8, lr=4.0, side=48 / 512, channels=32),
    detection=DenseShrink(iterations=4e-4, batch=16, lr=4.0, side=48 / 800, channels=16, boxes=16),
    depths={1: 1, 2: 2, 4: 3, 5: 4},
    tokenizer={
        "vocabulary": 16,
        "codebook_dim": 8,
        "hidden_dim": 8,
        "num_downsamplings": 2,
        "num_residual_blocks": 1,
        "min_perplexity": 1,  # seconds of training give no good codes: here only the wiring counts
    },
    crop_scale_min=0.3,
    init_std=4.0,
    k={10: 1, 20: 2, 100: 5, 200: 10},
    precision="fp32",
)


@pytest.fixture(scope="session")
def tiny() -> Scale:
    """A scale at which a whole suite takes seconds."""
    return TINY
