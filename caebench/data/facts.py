"""What is published about each data set: how many images and classes, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from caebench.config.data import EMBEDDED_NUM_CLASSES, REAL_SIZES, DatasetName, World


@dataclass(frozen=True)
class Facts:
    """The size of a data set, and the sentence that says where to get it."""

    train: int
    val: int
    classes: int
    source: str


_DOMAINNET = "Get the cleaned version and its lists from the DomainNet site (ai.bu.edu/M3SDA)"


def _sized(name: DatasetName, source: str) -> Facts:
    size = REAL_SIZES[name]
    return Facts(size.train, size.val, size.num_classes, source)


PUBLISHED: Mapping[str, Facts] = {
    "imagenet1k": _sized("imagenet1k", "Get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from image-net.org"),
    "ade20k": _sized("ade20k", "Get ADEChallengeData2016.zip (SceneParse-150) from sceneparsing.csail.mit.edu"),
    "coco": _sized("coco", "Get train2017.zip, val2017.zip and annotations_trainval2017.zip from cocodataset.org"),
    "food101": _sized("food101", "Get food-101.tar.gz from data.vision.ee.ethz.ch/cvl/datasets_extra/food-101"),
    "clipart": _sized("clipart", _DOMAINNET),
    "sketch": _sized("sketch", _DOMAINNET),
}


def embedded_counts(name: str, world: World) -> dict[str, int]:
    """The counts that `check` should expect of a rendered world."""
    if name in ("ade20k", "coco"):
        train, val = world.num_scenes_train, world.num_scenes_val
    else:
        train, val = world.num_train, world.num_val
    return {"train": train, "val": val, "classes": EMBEDDED_NUM_CLASSES[name]}


def facts_for(name: str, expected: Mapping[str, int] | None = None) -> Facts:
    """The published facts, with some counts replaced: `train`, `val` or `classes`."""
    if name not in PUBLISHED:
        raise ValueError(f"unknown data set {name!r}. Known: {', '.join(PUBLISHED)}.")
    unknown = set(expected or ()) - {"train", "val", "classes"}
    if unknown:
        raise ValueError(f"expected={sorted(unknown)}: unknown count. Known: train, val, classes.")
    return replace(PUBLISHED[name], **(expected or {}))
