"""The one door from planning to training: a config's type, and the function that does its work."""

from collections.abc import Callable, Sequence
from typing import Any

from caebench.config.base import Config
from caebench.config.codes import Codes
from caebench.config.data import EmbeddedData, RealData
from caebench.config.dense import Detection, KNNSegmentation, LearningRateGrid, Segmentation
from caebench.config.method import DVAE, Released
from caebench.config.stage import (
    KNN,
    AttentiveProbe,
    Finetune,
    Imported,
    LinearProbe,
    LinearProbeGrid,
    Pretrain,
    PretrainingCost,
    RandomEncoder,
)
from caebench.tasks.codes import cache_codes
from caebench.tasks.cost import compare_costs
from caebench.tasks.data import check_data, render_data
from caebench.tasks.dvae import train_dvae
from caebench.tasks.finetune import finetune
from caebench.tasks.frozen_pass import Ended, probe, run_pass
from caebench.tasks.imported import import_encoder
from caebench.tasks.knn import knn
from caebench.tasks.lr_grid import select_rate
from caebench.tasks.pretrain import pretrain, random_encoder
from caebench.tasks.released import read_released
from caebench.training.run import Run


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
    EmbeddedData: render_data,
    Released: read_released,
    DVAE: train_dvae,
    Codes: cache_codes,
    Pretrain: pretrain,
    RandomEncoder: random_encoder,
    Imported: import_encoder,
    LinearProbe: probe,
    LinearProbeGrid: probe,
    AttentiveProbe: probe,
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
