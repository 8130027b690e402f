"""An EXIF orientation changes no number: each kind of evaluation, on the same pictures with and without a tag."""

import shutil

import pytest

from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS
from caebench.specs.site import Site
from caebench.stages import run_stage
from caebench.training.distributed import join_group
from caebench.training.run import Run
from tests.helpers import metrics
from tests.pictures import tag_all


def shortened(config):
    if not hasattr(config, "optimization") or not hasattr(config.optimization, "iterations"):
        return config
    return config.replace(optimization=config.optimization.replace(iterations=2, warmup_iterations=1))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
@pytest.mark.parametrize("recipe", ["knn", "knn_segmentation", "linear_segmentation", "coco"])
def test_a_tag_changes_no_number(recipe, tiny, tmp_path):
    """With tag 6, mmcv would turn the pictures by 90 degrees, and not their labels."""
    encoder = make_job(tiny.apply(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224)))
    job = make_job(shortened(tiny.apply(EVALUATIONS[recipe]())), encoder=encoder)

    def begin(name, inputs):
        (tmp_path / name).mkdir()
        return Run(tmp_path / name, inputs, Site(device="cpu"), join_group("cpu"))

    inputs = {}
    for role, needed in job.inputs.items():
        run_stage(needed.config, begin(role, {}))
        (tmp_path / role / "result.json").write_text("{}")
        inputs[role] = tmp_path / role

    def measured(name, inputs):
        """Its metrics, and what its training logged."""
        run = begin(f"{recipe}-{name}", inputs)
        return run_stage(job.config, run), metrics(run.folder)

    plain = measured("plain", inputs)
    tagged = shutil.copytree(inputs["data"], tmp_path / "tagged")
    assert tag_all(tagged, 6) > 10
    assert measured("tagged", {**inputs, "data": tagged}) == plain
    found, logged = plain
    assert len(set(found.values())) > 1 or logged[-1]["loss"] > 0, "there is something to compare"
