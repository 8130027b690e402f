"""Data sets: the real ones, and the embedded world that stands in for them in the same on-disk layouts."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from caebench.config.base import Config

DatasetName = Literal["imagenet1k", "food101", "clipart", "sketch"]
Split = Literal["train", "val"]


class World(Config):
    """The embedded data: digits on photographs, rendered from a seed into every layout that caebench reads.

    The images come from packages (scikit-learn's digits, scikit-image's photographs): nothing is fetched.
    """

    kind: Literal["world"]
    seed: int = 0
    image_size: PositiveInt = 48
    num_train: PositiveInt = 1500  # ImageNet, Food-101, Clipart and Sketch layouts, each
    num_val: PositiveInt = 500
    num_scenes_train: PositiveInt = 200  # ADE20K and COCO layouts, each
    num_scenes_val: PositiveInt = 60


class RealData(Config):
    """A real data set; its folder is named by the site file, its size and classes are those published."""

    kind: Literal["real"]
    name: DatasetName


class EmbeddedData(Config):
    """One layout of the embedded world, in place of the real data set of that name."""

    kind: Literal["embedded"]
    name: DatasetName
    world: World


Data = Annotated[RealData | EmbeddedData, Field(discriminator="kind")]
