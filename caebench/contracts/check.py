"""A check: one property of one method, evaluation, data set or suite."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from caebench.planning.scale import NANO
from caebench.specs.scale import Scale
from caebench.specs.world import World

TINY: Scale = replace(  # nano, on a few dozen images
    NANO,
    variants=dict.fromkeys(("vit_s", "vit_b"), "nano_s") | {"vit_l": "nano_l", "vit_h": "nano_h"},
    world=World(
        kind="world", image_size=24, num_train=40, num_val=20, num_scenes_train=8, num_scenes_val=4, scene_size=48
    ),
    crop_scale_min=0.3,
    init_std=4.0,
)


class Broken(Exception):
    """A property that does not hold: what is wrong, and what to do."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what}. {do}.")
        self.what, self.do = what, do


@dataclass(frozen=True)
class Check:
    """A property by name, and the function that raises `Broken` where it does not hold; it has a folder to write to."""

    name: str
    holds: Callable[[Path], None]
