"""Every kind of job, every pretraining method, every recipe: what suites and jobs may name.

Other projects add theirs, each a `Specs`: see `plugins`.
"""

from collections.abc import Callable, Mapping
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
from caebench.specs.plugin import Plugin, PluginError
from caebench.specs.plugins import Addition, add_to, connect, owner_of, typed
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


KINDS: dict[str, type[Spec]] = {}
SOURCES: dict[str, Callable[..., EncoderSpec]] = {}
EVALUATIONS: dict[str, Callable[..., Spec]] = {}


def tables(specs: Specs) -> list[Addition]:
    """What some specs add to each table."""
    return [
        Addition("kind of job", KINDS, {_kind(cls): cls for cls in specs.kinds}),
        Addition("method", base.METHODS, {_kind(cls): cls for cls in specs.methods}),
        Addition("recipe", SOURCES, specs.sources),
        Addition("evaluation", EVALUATIONS, specs.evaluations),
    ]


def add(plugin: Plugin, content: Any) -> None:
    """Add what another project has.

    Raises:
        PluginError: it is no `Specs`, or a name is taken.
    """
    specs: Specs = typed(plugin, "specs", content, Specs, "a caebench.specs.registry.Specs")
    try:
        additions = tables(specs)
    except (AttributeError, TypeError, IndexError, KeyError) as error:  # of a class that has no kind, or is none
        why = f"a kind or method in it has no field `kind: Literal[...]` ({error})"
        raise PluginError(f"{plugin}: SPECS is damaged: {why}. Correct it.") from error
    _refuse_both(plugin, "recipe", specs.sources, "evaluation", {**EVALUATIONS, **specs.evaluations})
    _refuse_both(plugin, "evaluation", specs.evaluations, "recipe", SOURCES)
    add_to(plugin, additions)
    _note(specs)


def _refuse_both(plugin: Plugin, what: str, new: Mapping[str, Any], other: str, known: Mapping[str, Any]) -> None:
    """Refuse a name that a recipe and an evaluation would share: `diff` and `check` take either."""
    if both := sorted(new.keys() & known.keys()):
        owner = owner_of(other, both[0]) or "caebench itself"
        raise PluginError(
            f"{plugin}: {what} '{both[0]}' is also the {other} '{both[0]}' of {owner}. Choose another name."
        )


def _note(specs: Specs) -> None:
    """Tell of new kinds those who have tables of their own."""
    kinds = {_kind(cls): cls for cls in specs.kinds}
    scheduler.KINDS.extend(kind for kind in kinds if kind not in scheduler.KINDS)
    dense.DENSE_TASKS.update({kind: cls for kind, cls in kinds.items() if issubclass(cls, dense.DenseTask)})


def _kind(cls: type[Any]) -> str:
    return str(cls.model_fields["kind"].annotation.__args__[0])


for addition in tables(OWN):
    addition.table.update(addition.new)
_note(OWN)
connect("specs", add)


def read_config(content: Mapping[str, Any]) -> Spec:
    """A job's config out of its `job.json`, by the class of its kind.

    Raises:
        ValueError: there is no such kind, or a field is wrong.
    """
    return read_by_kind(content, KINDS)
