"""The scales. `paper` is the identity; each kind of job defines how it shrinks at the other scales."""

from collections.abc import Mapping
from dataclasses import replace

from caebench.specs.did_you_mean import suggest
from caebench.specs.scale import Scale
from caebench.specs.site import ScaleName
from caebench.specs.world import World

NANO = Scale(
    "nano",  # two CPU cores, minutes: tests the pipeline, not the science
    variants={"vit_s": "nano_s", "vit_b": "nano_b", "vit_l": "nano_l", "vit_h": "nano_h"},
    world=World(kind="world"),
    image_size=48,
    crop_scale_min=0.5,
    init_std=3.5,
    precision="fp32",
)

LAB = Scale(
    "lab",  # one large GPU, 25 minutes: tests claims over several seeds
    variants={"vit_s": "lab_s", "vit_b": "lab_b", "vit_l": "lab_l", "vit_h": "lab_h"},
    world=World(
        kind="world",
        image_size=96,
        num_train=40_000,
        num_val=5_000,
        num_scenes_train=4_000,
        num_scenes_val=500,
        scene_size=192,
    ),
    image_size=96,
    crop_scale_min=0.2,
    init_std=1.7,
)

NANO_ON_REAL = replace(NANO, name="nano-real", world=None)
LAB_ON_REAL = replace(LAB, name="lab-real", world=None)
ALL = (NANO, LAB, NANO_ON_REAL, LAB_ON_REAL, Scale("paper"))
SCALES: Mapping[ScaleName, Scale] = {scale.name: scale for scale in ALL}


def find_scale(name: str) -> Scale:
    """A scale by name.

    Raises:
        ValueError: there is none.
    """
    for known, scale in SCALES.items():
        if known == name:
            return scale
    raise ValueError(f"--scale '{name}': unknown.{suggest(name, SCALES)} Known: {', '.join(SCALES)}.")
