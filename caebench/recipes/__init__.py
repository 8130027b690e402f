"""Recipes: typed functions that return a config at paper scale, each with its source. Suites choose them by name."""

from collections.abc import Callable, Mapping

from caebench.config.stage import Evaluation, Source
from caebench.recipes.beit import beit
from caebench.recipes.cae import cae, pretraining_cost
from caebench.recipes.deit import deit
from caebench.recipes.dense import ade20k, ade20k_grid, coco, coco_cascade, knn_segmentation, linear_segmentation
from caebench.recipes.dino import dino
from caebench.recipes.finetune import clipart, finetune, food101, sketch
from caebench.recipes.ibot import ibot
from caebench.recipes.imported import imported
from caebench.recipes.mae import mae
from caebench.recipes.moco_v3 import moco_v3
from caebench.recipes.probes import attentive_probe, knn, linear_probe, linear_probe_grid
from caebench.recipes.random import random_encoder

SOURCES: Mapping[str, Callable[..., Source]] = {
    "cae": cae,
    "mae": mae,
    "beit": beit,
    "deit": deit,
    "moco_v3": moco_v3,
    "dino": dino,
    "ibot": ibot,
    "random": random_encoder,
    "imported": imported,
}
EVALUATIONS: Mapping[str, Callable[..., Evaluation]] = {
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
}
