"""A pretraining of milliseconds."""

import pytest

from caebench.bench.settings import Settings
from caebench.specs.methods.cae import cae
from caebench.specs.targets import DALLETarget
from caebench.training.distributed import join_group


@pytest.fixture
def device():
    return join_group("cpu").device


@pytest.fixture
def settings():
    config = cae("nano_s")
    method = config.method.replace(
        target=DALLETarget(kind="dalle", vocabulary=16), regressor_depth=2, decoder_depth=1, drop_path=0.3
    )
    return Settings(config.replace(image_size=48, method=method), batch=4, warm_up=1, repeats=4).at("fp32")
