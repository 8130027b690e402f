"""One very small world, rendered once; tests that damage it take a copy."""

from pathlib import Path

import pytest

from caebench.config.data import World
from caebench.data.world import render


@pytest.fixture(scope="session")
def small_world() -> World:
    return World(kind="world", image_size=32, num_train=40, num_val=20, num_scenes_train=6, num_scenes_val=4)


@pytest.fixture(scope="session")
def world_root(small_world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    render(small_world, root)
    return root
