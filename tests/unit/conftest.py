"""One very small world, rendered once; tests that damage it take a copy."""

from pathlib import Path

import pytest

from caebench.datasets.synthetic.world import render
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.job import make_job
from caebench.specs.scale import Scale
from caebench.specs.site import Site
from caebench.specs.world import World


@pytest.fixture(scope="session")
def small_world() -> World:
    return World(kind="world", image_size=32, num_train=40, num_val=20, num_scenes_train=6, num_scenes_val=4)


@pytest.fixture(scope="session")
def world_root(small_world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    render(small_world.amounts(), root)
    return root


@pytest.fixture(scope="session")
def input_folders(tiny: Scale, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Rendered data and a random encoder, as finished jobs leave them for an evaluation."""
    from caebench.stages import run_stage  # torch: tests of the planning half do without
    from caebench.training.distributed import join_group
    from caebench.training.run import Run

    root = tmp_path_factory.mktemp("inputs")
    encoder = make_job(tiny.apply(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224)))
    data = make_job(tiny.apply(linear_probe()), encoder=encoder).inputs["data"]
    for role, job in (("data", data), ("encoder", encoder)):
        (root / role).mkdir()
        run_stage(job.config, Run(root / role, {}, Site(device="cpu"), join_group("cpu")))
        (root / role / "result.json").write_text("{}")
    return {role: root / role for role in ("data", "encoder")}
