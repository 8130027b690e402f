"""Data sets: the real ones, and the embedded world that stands in for them in the same on-disk layouts."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveInt

from caebench.config.base import Config

DatasetName = Literal["imagenet1k", "food101", "clipart", "sketch", "ade20k", "coco"]
EmbeddedName = Literal["imagenet1k", "food101", "clipart", "sketch", "ade20k", "coco", "broad"]
Split = Literal["train", "val"]

EMBEDDED_NUM_CLASSES: dict[str, int] = {
    "imagenet1k": 10,
    "food101": 20,
    "clipart": 10,
    "sketch": 10,
    "ade20k": 5,  # 2 grounds and 3 digits; "other" is no class
    "coco": 3,
    "broad": 5,  # kinds of picture; nobody learns them
}


class World(Config):
    """The embedded data: digits on photographs, rendered from a seed into every layout that caebench reads.

    The images come from packages (scikit-learn's digits, scikit-image's photographs): nothing is fetched.
    """

    kind: Literal["world"]
    seed: NonNegativeInt = 0
    image_size: PositiveInt = 48
    num_train: PositiveInt = 1500  # ImageNet, Food-101, Clipart and Sketch layouts and the broad set, each
    num_val: PositiveInt = 500
    num_scenes_train: PositiveInt = 400  # ADE20K and COCO layouts, each
    num_scenes_val: PositiveInt = 240
    scene_size: PositiveInt = 64  # pixels of a scene's side


class RealData(Config):
    """A real data set; its folder is named by the site file, its size and classes are those published."""

    kind: Literal["real"]
    name: DatasetName


class EmbeddedData(Config):
    """One layout of the embedded world, in place of the real data set of that name.

    `broad` stands in for what DALL-E's tokenizer saw: pictures of every kind.
    """

    kind: Literal["embedded"]
    name: EmbeddedName
    world: World

    @property
    def layouts(self) -> tuple[EmbeddedName, ...]:
        """What its job renders: `broad` lies beside ImageNet's stand-in, so that a scale adds no job."""
        return ("imagenet1k", "broad") if self.name == "imagenet1k" else (self.name,)

    @property
    def rendered_by(self) -> "EmbeddedData":
        """The config of the job that renders it."""
        return self.replace(name="imagenet1k") if self.name == "broad" else self


Data = Annotated[RealData | EmbeddedData, Field(discriminator="kind")]


class Size(NamedTuple):
    """Images and classes of a data set."""

    num_classes: int
    train: int
    val: int


# Published: ImageNet-1k (arXiv 1409.0575), Food-101 (ECCV 2014), DomainNet cleaned (arXiv 1812.01754), SceneParse-150
# (arXiv 1608.05442), COCO 2017 (arXiv 1405.0312).
REAL_SIZES: dict[DatasetName, Size] = {
    "imagenet1k": Size(1000, 1_281_167, 50_000),
    "food101": Size(101, 75_750, 25_250),
    "clipart": Size(345, 33_525, 14_604),
    "sketch": Size(345, 48_212, 20_916),
    "ade20k": Size(150, 20_210, 2_000),
    "coco": Size(80, 118_287, 5_000),
}


def size_of(data: RealData | EmbeddedData) -> Size:
    """Images and classes of a data set, known without reading it."""
    if isinstance(data, RealData):
        return REAL_SIZES[data.name]
    world = data.world
    if data.name in ("ade20k", "coco"):
        return Size(EMBEDDED_NUM_CLASSES[data.name], world.num_scenes_train, world.num_scenes_val)
    return Size(EMBEDDED_NUM_CLASSES[data.name], world.num_train, world.num_val)
