"""A config out of a file: the class of its kind reads it, in fields that hold several kinds too."""

import re

import pytest

from caebench.specs.evaluations.detection import coco
from caebench.specs.evaluations.lr_grid import ade20k_grid
from caebench.specs.methods.cae import cae
from caebench.specs.registry import read_config

GRID = ade20k_grid()


@pytest.mark.parametrize("config", [cae(), GRID, GRID.replace(task=coco())], ids=["method", "task", "another task"])
def test_what_is_written_is_read_again(config):
    read = read_config(config.model_dump(mode="json"))
    assert read == config and type(getattr(read, "task", None)) is type(getattr(config, "task", None))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("segmentatoin", "task\n  Value error, kind 'segmentatoin': unknown. Did you mean 'segmentation'? Known:"),
        ("knn", "kind 'knn': unknown."),
        (7, "kind '7': unknown."),
    ],
)
def test_a_task_of_no_kind_is_refused_with_the_known_ones(kind, said):
    content = GRID.model_dump(mode="json")
    content["task"]["kind"] = kind
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        read_config(content)
    assert "Known: segmentation, detection." in str(refused.value)
