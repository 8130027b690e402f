"""Every kind of job, every pretraining method, every recipe: what suites and jobs may name.

Other projects add theirs through the entry points of the group `caebench.specs`, each a `Specs`.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from caebench.specs import scheduler
from caebench.specs.by_kind import read_by_kind
from caebench.specs.evaluations import dense
from caebench.specs.evaluations.attentive_probe import AttentiveProbe, attentive_probe
from caebench.specs.evaluations.detection import Detection, coco, coco_cascade
from caebench.specs.evaluations.finetune import Finetune, clipart, finetune, food101, sketch
from caebench.specs.evaluations.knn import KNN, knn
from caebench.specs.evaluations.knn_segmentation import KNNSegmentation, knn_segmentation
from caebench.specs.evaluations.linear_probe import LinearProbe, linear_probe
from caebench.specs.evaluations.linear_probe_grid import LinearProbeGrid, linear_probe_grid
from caebench.specs.evaluations.lr_grid import LearningRateGrid, ade20k_grid
from caebench.specs.evaluations.pretraining_cost import PretrainingCost, pretraining_cost
from caebench.specs.evaluations.segmentation import Segmentation, ade20k, linear_segmentation
from caebench.specs.inputs.code_cache import Codes
from caebench.specs.inputs.dataset import OwnData, RealData, SyntheticData
from caebench.specs.inputs.imported import Imported, imported
from caebench.specs.inputs.random_encoder import RandomEncoder, random_encoder
from caebench.specs.inputs.tokenizer import DVAE, Released
from caebench.specs.job import EncoderSpec, Spec
from caebench.specs.methods import base
from caebench.specs.methods.base import Method
from caebench.specs.methods.beit import BEiT, beit
from caebench.specs.methods.cae import CAE, cae
from caebench.specs.methods.deit import DeiT, deit
from caebench.specs.methods.dino import DINO, dino
from caebench.specs.methods.ibot import IBOT, ibot
from caebench.specs.methods.mae import MAE, mae
from caebench.specs.methods.moco_v3 import MoCoV3, moco_v3
from caebench.specs.pretrain import Pretrain


class Specs(NamedTuple):
    """Kinds of job, methods and recipes; recipes by the name that suites give them."""

    kinds: tuple[type[Spec], ...] = ()
    methods: tuple[type[Method], ...] = ()
    sources: Mapping[str, Callable[..., EncoderSpec]] = {}
    evaluations: Mapping[str, Callable[..., Spec]] = {}


OWN = Specs(
    kinds=(
        *(RealData, SyntheticData, OwnData, Released, DVAE, Codes),
        *(Pretrain, RandomEncoder, Imported),
        *(LinearProbe, LinearProbeGrid, AttentiveProbe, KNN, Finetune),
        *(Segmentation, KNNSegmentation, LearningRateGrid, Detection, PretrainingCost),
    ),
    methods=(CAE, MAE, BEiT, DeiT, MoCoV3, DINO, IBOT),
    sources={
        "cae": cae,
        "mae": mae,
        "beit": beit,
        "deit": deit,
        "moco_v3": moco_v3,
        "dino": dino,
        "ibot": ibot,
        "random": random_encoder,
        "imported": imported,
    },
    evaluations={
        "linear_probe": linear_probe,
        "linear_probe_grid": linear_probe_grid,
        "attentive_probe": attentive_probe,
        "knn": knn,
        "finetune": finetune,
        "food101": food101,
        "clipart": clipart,
        "sketch": sketch,
        "ade20k": ade20k,
        "ade20k_grid": ade20k_grid,
        "linear_segmentation": linear_segmentation,
        "knn_segmentation": knn_segmentation,
        "coco": coco,
        "coco_cascade": coco_cascade,
        "pretraining_cost": pretraining_cost,
    },
)


def _all() -> Iterator[Specs]:
    yield OWN
    for entry in entry_points(group="caebench.specs"):
        yield entry.load()


def _kind(cls: type[Any]) -> str:
    return str(cls.model_fields["kind"].annotation.__args__[0])


ALL = tuple(_all())
KINDS: dict[str, type[Spec]] = {_kind(cls): cls for each in ALL for cls in each.kinds}
SOURCES: dict[str, Callable[..., EncoderSpec]] = {name: f for each in ALL for name, f in each.sources.items()}
EVALUATIONS: dict[str, Callable[..., Spec]] = {name: f for each in ALL for name, f in each.evaluations.items()}
scheduler.KINDS.extend(KINDS)
base.METHODS.update({_kind(cls): cls for each in ALL for cls in each.methods})
dense.DENSE_TASKS.update({kind: cls for kind, cls in KINDS.items() if issubclass(cls, dense.DenseTask)})


def read_config(content: Mapping[str, Any]) -> Spec:
    """A job's config out of its `job.json`, by the class of its kind.

    Raises:
        ValueError: there is no such kind, or a field is wrong.
    """
    return read_by_kind(content, KINDS)
