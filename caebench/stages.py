"""The one door from planning to training: a config's type, and the function that does its work."""

from collections.abc import Callable, Sequence
from typing import Any

from caebench.specs.base import Config
from caebench.specs.evaluations.detection import Detection
from caebench.specs.evaluations.finetune import Finetune
from caebench.specs.evaluations.knn import KNN
from caebench.specs.evaluations.knn_segmentation import KNNSegmentation
from caebench.specs.evaluations.lr_grid import LearningRateGrid
from caebench.specs.evaluations.pretraining_cost import PretrainingCost
from caebench.specs.evaluations.segmentation import Segmentation
from caebench.specs.inputs.code_cache import Codes
from caebench.specs.inputs.dataset import OwnData, RealData, SyntheticData
from caebench.specs.inputs.imported import Imported
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.inputs.tokenizer import DVAE, Released
from caebench.specs.plugins import fill
from caebench.specs.pretrain import Pretrain
from caebench.tasks.codes import cache_codes
from caebench.tasks.cost import compare_costs
from caebench.tasks.data import check_data, render_data
from caebench.tasks.dvae import train_dvae
from caebench.tasks.finetune import finetune
from caebench.tasks.frozen_pass import MAKERS, Ended, probe, run_pass
from caebench.tasks.imported import import_encoder
from caebench.tasks.knn import knn
from caebench.tasks.lr_grid import select_rate
from caebench.tasks.pretrain import pretrain, random_encoder
from caebench.tasks.released import read_released
from caebench.training.distributed import device_name as device_name
from caebench.training.distributed import join_group as join_group
from caebench.training.repeating import Diverged as Diverged
from caebench.training.repeating import Repetition as Repetition
from caebench.training.run import Run
from caebench.training.signals import Interrupted as Interrupted


def _segment(config: Segmentation, run: Run) -> dict[str, Any]:
    from caebench.tasks.dense.segmentation import segment  # mmsegmentation takes ten seconds to import

    return segment(config, run)


def _segment_by_neighbours(config: KNNSegmentation, run: Run) -> dict[str, Any]:
    from caebench.tasks.dense.knn_segmentation import segment_by_neighbours

    return segment_by_neighbours(config, run)


def _detect(config: Detection, run: Run) -> dict[str, Any]:
    from caebench.tasks.dense.detection import detect

    return detect(config, run)


STAGES: dict[type[Config], Callable[[Any, Run], dict[str, Any]]] = {
    RealData: check_data,
    OwnData: check_data,
    SyntheticData: render_data,
    Released: read_released,
    DVAE: train_dvae,
    Codes: cache_codes,
    Pretrain: pretrain,
    RandomEncoder: random_encoder,
    Imported: import_encoder,
    **dict.fromkeys(MAKERS, probe),
    KNN: knn,
    Finetune: finetune,
    Segmentation: _segment,
    KNNSegmentation: _segment_by_neighbours,
    LearningRateGrid: select_rate,
    Detection: _detect,
    PretrainingCost: compare_costs,
}


def run_stage(config: Config, run: Run) -> dict[str, Any]:
    """Do a job's work; returns the numbers of its result."""
    return STAGES[type(config)](config, run)


def run_stages(stages: Sequence[tuple[Config, Run]], ended: Ended) -> None:
    """The work of one job, or of several that share a pass; `ended` is told the numbers of each."""
    if len(stages) == 1:
        ended(0, run_stage(*stages[0]))
    elif stages:
        run_pass(stages, ended)


fill("stages", "stage of", STAGES)  # of other projects: a dict as above
