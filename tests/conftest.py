"""What the tests share: a scale of seconds, and who of pytest's workers runs what."""

import importlib
import os
import warnings
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import Any

import pytest

from caebench.contracts.check import TINY as SIZES
from caebench.specs.evaluations.finetune import FinetuneRule
from caebench.specs.inputs.tokenizer import TokenizerRule
from caebench.specs.scale import DenseShrink, MethodRule, Scale, Shrink

EARLY = {"depths": {1: 1, 2: 2, 4: 3, 5: 4}}
CLOSE = {"divide": {"prototypes": 128, "hidden_dim": 64, "bottleneck_dim": 8, "num_local": 5}, "memory": 10.0}
TINY = replace(
    SIZES,
    rules={
        "pretrain/cae": MethodRule(Shrink(epochs=0.01, batch=128, lr=40.0), **EARLY),
        "pretrain/beit": MethodRule(Shrink(epochs=0.01, batch=128, lr=40.0)),
        "pretrain/mae": MethodRule(
            Shrink(epochs=0.01, batch=256, lr=80.0),
            divide={"decoder_dim": 16, "decoder_depth": 4, "decoder_num_heads": 4},
        ),
        "pretrain/deit": MethodRule(Shrink(epochs=0.01, batch=128, lr=40.0)),
        "pretrain/moco_v3": MethodRule(
            Shrink(epochs=0.01, batch=256, lr=10.0), divide={"hidden_dim": 64, "output_dim": 8}, memory=10.0
        ),
        "pretrain/dino": MethodRule(Shrink(epochs=0.01, batch=64, lr=10.0), **CLOSE),
        "pretrain/ibot": MethodRule(Shrink(epochs=0.01, batch=64, lr=10.0), **CLOSE),
        "dvae": TokenizerRule(
            Shrink(epochs=0.25, batch=64, lr=80.0),
            {
                "vocabulary": 16,
                "codebook_dim": 8,
                "hidden_dim": 8,
                "num_downsamplings": 2,
                "num_residual_blocks": 1,
                "min_perplexity": 1,  # seconds of training give no good codes: here only the wiring counts
            },
        ),
        "linear_probe": Shrink(epochs=0.03, batch=1024, lr=40.0),
        "attentive_probe": Shrink(epochs=0.03, batch=512, lr=64.0),
        "knn": {10: 1, 20: 2, 100: 5, 200: 10},
        "finetune": FinetuneRule(Shrink(epochs=0.02, batch=256, lr=8.0)),
        "segmentation": DenseShrink(
            iterations=1e-4, batch=8, lr=4.0, side=48 / 512, divide={"channels": 32, "aux_channels": 32}
        ),
        "detection": DenseShrink(
            iterations=4e-4,
            batch=16,
            lr=4.0,
            side=48 / 800,
            divide={"channels": 16, "fc_channels": 16, "num_rois": 16, "num_proposals": 16, "num_detections": 16},
        ),
    },
)


HERE = Path(__file__).parent
HEAVY = (
    "torch._dynamo",
    "torchvision.transforms.v2",
    "timm",
    "sklearn.metrics",
    "matplotlib.pyplot",
    "mmengine.runner",
    "imgaug",
    "skimage.io",
)


def pytest_configure(config: pytest.Config) -> None:
    """Import what is large in every worker before the package.

    Bytecode of what a module imports that jaxtyping has hooked is sought under another name, and would be made anew.
    """
    if hasattr(config, "workerinput"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs
            for name in HEAVY:
                importlib.import_module(name)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a case by how long its bytes are: bytes that hold a time would name it anew in each worker."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


FIRST = ("slurm", "contracts/test_methods.py", "slow", "e2e", "contracts")  # what takes longest, or waits for others


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave no long file for the end."""
    items.sort(key=rank)


def rank(item: pytest.Item) -> int:
    """When a test is started, among others."""
    name = str(item.path.relative_to(HERE)) if HERE in item.path.parents else item.path.name
    return next((number for number, first in enumerate(FIRST) if name.startswith(first)), len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Who of several workers runs what, by the groups of this project.

    pytest-xdist 3.8 writes the groups of its own mark where pytest 9.2 does not read them: it would group nothing.
    """
    if config.getvalue("dist") == "loadgroup":
        from tests.groups import Groups

        return Groups(config, log)
    return None


@pytest.fixture(scope="session")
def tiny() -> Scale:
    """A scale at which a whole suite takes seconds."""
    return TINY
