"""A stop is heard among the validation images of dense tasks: what training left is kept, the evaluation repeated."""

import os
import shutil
import signal

import pytest

from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS
from caebench.specs.site import Site
from caebench.stages import run_stage
from caebench.training.distributed import join_group
from caebench.training.run import Run
from caebench.training.signals import Interrupted


@pytest.fixture(params=["linear_segmentation", "knn_segmentation", "coco"])
def job(request, tiny):
    """A frozen head, a bank of patches, a detector; of few steps."""
    config = tiny.apply(EVALUATIONS[request.param]())
    if hasattr(config, "optimization"):
        config = config.replace(optimization=config.optimization.replace(iterations=2, warmup_iterations=1))
    encoder = make_job(tiny.apply(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224)))
    return make_job(config, encoder=encoder)


@pytest.fixture
def begin(job, tmp_path):
    def begin(name, inputs, **options):
        folder = tmp_path / f"{job.kind}-{name}"  # mmengine keeps things by this name, as long as a process lives
        folder.mkdir(exist_ok=True)
        return Run(folder, inputs, Site(device="cpu"), join_group("cpu"), **options)

    inputs = {}
    for role, needed in job.inputs.items():
        run = begin(role, {})
        run_stage(needed.config, run)
        (run.folder / "result.json").write_text("{}")
        inputs[role] = run.folder
    return lambda name, **options: begin(name, inputs, **options)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_an_evaluation_that_was_stopped_is_repeated(job, begin):
    seen = []

    def progress(done, total, shown):
        """One of the four validation images, or of a bank's eight, has been predicted."""
        seen.append(done)
        if not shown and done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    expected = run_stage(job.config, begin("uninterrupted"))
    stopped, handler = begin("stopped", progress=progress), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM in an evaluation"):
        run_stage(job.config, stopped)
    assert seen[-1] == 2 and signal.getsignal(signal.SIGTERM) == handler
    resumed = begin("resumed")
    shutil.copytree(stopped.folder, resumed.folder, dirs_exist_ok=True)
    kept = checkpoints(resumed)
    assert len(kept) == hasattr(job.config, "optimization")
    assert run_stage(job.config, resumed) == expected
    assert checkpoints(resumed) == kept  # nothing was trained again


def checkpoints(run):
    return [(path.name, path.stat().st_mtime_ns) for path in (run.folder / "checkpoints").glob("*.pt")]
