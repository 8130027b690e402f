"""Codes do not depend on the batch around an image (CPU, float32), and rows of the cache are read as written."""

import pickle

import pytest
import torch

from caebench.data.codes import CodeCache, EpochWriter
from caebench.datasets.errors import DataError
from caebench.files.layout import epoch_file
from caebench.models.tokenizer import DALLEEncoder, DiscreteVAE
from caebench.specs.inputs.code_cache import Codes
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.inputs.tokenizer import RULES, dvae
from caebench.specs.targets import DALLETarget
from caebench.specs.world import World
from caebench.tasks.codes import blocks

RENDERED = SyntheticData(kind="synthetic", name="imagenet1k", world=World(kind="world"))
CONFIG = Codes(
    kind="codes",
    target=DALLETarget(kind="dalle"),
    data=RENDERED,
    view_size=16,
    crop_scale_min=0.08,
    color_jitter=0.0,
    epochs=2,
)


@pytest.mark.parametrize("name", ["dvae-nano", "dvae", "dalle"])
def test_codes_are_the_same_in_a_batch_of_any_size(name):
    """The d-VAE at nano's and at the paper's sizes, DALL-E's encoder at a quarter of its width."""
    torch.manual_seed(0)
    tokenizer = {
        "dvae-nano": lambda: DiscreteVAE(dvae().replace(**RULES["nano"].sizes)),
        "dvae": lambda: DiscreteVAE(dvae()),
        "dalle": lambda: DALLEEncoder(8192, 64),
    }[name]().eval()
    images = torch.rand(33, 3, 48, 48)
    whole = tokenizer.codes(images)
    for size in (1, 2, 7, 32):
        assert torch.equal(torch.cat([tokenizer.codes(part) for part in images.split(size)]), whole), size


@pytest.fixture
def cache(tmp_path):
    """Two epochs of five images with four codes each."""
    for epoch in range(2):
        with EpochWriter(tmp_path, epoch, (5, 4)) as writer:
            writer.write(0, torch.arange(12).reshape(3, 4) + 8000 + epoch)
            writer.write(3, torch.arange(12, 20).reshape(2, 4) + 8000 + epoch)
            assert not epoch_file(tmp_path, epoch).exists()
    return CodeCache(tmp_path, CONFIG, 5)


def test_rows_are_read_as_written_in_a_loaders_process_too(cache):
    for found in (cache, pickle.loads(pickle.dumps(cache))):
        assert [found.read((1, index)).tolist()[0] for index in (4, 0, 3)] == [8017, 8001, 8013]
        assert found.read((0, 4)).tolist() == [8016, 8017, 8018, 8019]
        assert found.read((0, 4)).dtype == torch.int64


def test_a_row_of_another_place_is_seen(cache):
    epoch_file(cache.folder, 0).write_bytes(epoch_file(cache.folder, 1).read_bytes())
    with pytest.raises(DataError, match=r"epoch-0000.npy.*image 2 are damaged"):
        cache.read((0, 2))


@pytest.mark.parametrize(("num", "size", "most"), [(40, 1, 7), (40, 2, 7), (41, 3, 5), (2, 4, 8)])
def test_all_processes_together_name_every_image_in_order(num, size, most):
    parts = [blocks(num, 3, rank, size, most) for rank in range(size)]
    assert len({tuple(map(len, part)) for part in parts}) == 1
    gathered = [key for step in zip(*parts, strict=True) for row in zip(*step, strict=True) for key in row]
    first, kept = 0, []
    for step in zip(*parts, strict=True):
        rows = [key for row in zip(*step, strict=True) for key in row]
        kept += rows[: num - first]
        first += len(rows)
    assert kept == [(3, index) for index in range(num)] and len(gathered) - num < size
