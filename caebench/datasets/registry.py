"""Every data set by name.

Other projects add theirs, each a tuple of data sets: see `specs.plugins`.
"""

from caebench.datasets.ade20k import ADE20K
from caebench.datasets.base import Dataset
from caebench.datasets.broad import BROAD
from caebench.datasets.coco import COCO
from caebench.datasets.domainnet import CLIPART, SKETCH
from caebench.datasets.food101 import FOOD101
from caebench.datasets.imagenet1k import IMAGENET1K
from caebench.datasets.imagenet_real import IMAGENET_REAL
from caebench.datasets.imagenet_subsets import IMAGENET_1PCT, IMAGENET_10PCT
from caebench.datasets.imagenet_v2 import IMAGENET_V2

OWN: tuple[Dataset, ...] = (
    *(IMAGENET1K, FOOD101, CLIPART, SKETCH, ADE20K, COCO),
    *(IMAGENET_V2, IMAGENET_REAL, IMAGENET_1PCT, IMAGENET_10PCT, BROAD),
)
DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in OWN}
PUBLISHED: dict[str, Dataset] = {name: dataset for name, dataset in DATASETS.items() if dataset.published is not None}
