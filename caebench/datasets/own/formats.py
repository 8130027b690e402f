"""The formats of users' data sets by name: one line each."""

from collections.abc import Callable, Mapping
from functools import cache, partial

from caebench.datasets.base import Dataset
from caebench.datasets.own.imagefolder import ImageFolder
from caebench.datasets.own.layout import Layout
from caebench.datasets.own.lists import ImageLists
from caebench.datasets.own.objects import OwnObjects
from caebench.datasets.own.parquet import ParquetFolder
from caebench.datasets.own.scenes import OwnScenes

FORMATS: Mapping[str, Callable[..., Dataset]] = {
    "imagefolder": ImageFolder,
    "list": ImageLists,
    "parquet": ParquetFolder,
    "segmentation": partial(OwnScenes, labels="map"),
    "coco": partial(OwnObjects, labels="instances"),
}
WHAT: Mapping[str, str] = {
    "imagefolder": "the folder that holds the splits' folders, or the classes' folders",
    "list": "the folder that holds the lists, and below it the images",
    "parquet": "the folder that holds the .parquet files, or a folder data/ of them",
    "segmentation": "the folder that holds the images' and the masks' folders, or the splits' folders",
    "coco": "the folder that holds the annotation files and the images",
}
NO_NUMBER = "the data say how many classes there are"
UNUSED: Mapping[str, Mapping[str, str]] = {  # format: field of a site file that it has no use for: why
    "imagefolder": {"num_classes": NO_NUMBER},
    "list": {"num_classes": NO_NUMBER},
    "parquet": {"num_classes": NO_NUMBER},
    "coco": {
        "num_classes": NO_NUMBER,
        "val_share": "no share of an annotation file is held out: give a file of validation images",
    },
}


@cache
def own_dataset(name: str, form: Layout) -> Dataset:
    """A user's data set, by the name and the layout that a site file gives it."""
    return FORMATS[form.format](
        name=name,
        published=None,
        layout=WHAT[form.format],
        source=f"Correct the folder, or [data.{name}] in the site file",
        folder=name,
        num_rendered_classes=0,
        form=form,
    )
