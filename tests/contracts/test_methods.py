"""One property over every pretraining method: it learns, resumes, scales out, trains all it has, hides what it must."""

import math
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from caebench.checkpoints.encoder_file import read_encoder
from caebench.contracts import methods as contract
from caebench.contracts.methods import make, make_batch, shorten, train
from caebench.contracts.running import run_inputs
from caebench.files.layout import ENCODER
from caebench.methods.builders import BUILDERS
from caebench.methods.method import rankme
from caebench.models.vit import Encoder
from caebench.specs.job import make_job
from caebench.specs.methods.base import METHODS as MEMBERS
from caebench.specs.pretrain import Pretrain
from caebench.specs.registry import SOURCES
from caebench.training.distributed import join_group
from tests.helpers import FORKS, PATIENCE, free_port, planned

SEES_ONLY_VISIBLE = {  # the encoder's first pass must not see what is masked
    "cae": lambda method: method.model.encoder,
    "mae": lambda method: method.encoder,
    "beit": lambda method: method.encoder,
    "ibot": lambda method: method.student.encoder,
}


@pytest.fixture(scope="module", autouse=True)
def group():
    return join_group("cpu")


@pytest.fixture(scope="module")
def data(tiny, tmp_path_factory, group) -> Path:
    """The synthetic data, rendered once, as a finished job."""
    return run_inputs(make_job(planned(tiny, "mae")), tmp_path_factory.mktemp("data"))["data"]


@pytest.fixture(params=MEMBERS)
def config(request, tiny) -> Pretrain:
    return shorten(planned(tiny, request.param))


def test_every_method_has_a_builder_and_a_recipe(tiny):
    assert set(BUILDERS) == set(MEMBERS.values())
    assert {type(planned(tiny, name).method) for name in SOURCES.keys() & MEMBERS.keys()} == set(MEMBERS.values())
    assert {name for name, cls in MEMBERS.items() if "masking" in cls.model_fields} == SEES_ONLY_VISIBLE.keys()


def test_a_gradient_reaches_every_parameter_that_trains(config, data):
    contract.trains_all(config, data)


@pytest.mark.parametrize("kind", SEES_ONLY_VISIBLE)
def test_masked_pixels_never_reach_the_encoder(kind, tiny, data):
    """Other pixels, and no numbers at all, change nothing in what comes out of it."""
    config = shorten(planned(tiny, kind))
    method, seen = make(config), []
    batch = make_batch(config, method, data)
    encoder, images = SEES_ONLY_VISIBLE[kind](method), "views" if "views" in batch else "image"
    encoder.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    masked = batch["masked"].unflatten(-1, (6, 6)).repeat_interleave(8, -1).repeat_interleave(8, -2).unsqueeze(-3)
    assert masked.any()
    for filling in (0.0, 7.0, math.nan):
        first = len(seen)  # CAE's alignment target and the small crops come later
        method({**batch, images: batch[images].masked_fill(masked, filling)})
        torch.testing.assert_close(seen[first], seen[0], rtol=0, atol=0)
    assert seen[0].isfinite().all()


def test_a_sample_depends_on_seed_epoch_and_index_alone(config, data):
    contract.samples_repeat(config, data)


def test_the_loss_falls(config, data, group):
    contract.learns(config, data)


def spread(encoder: Encoder, images: torch.Tensor) -> tuple[float, float]:
    """What of the patch representations depends on the image: its effective rank, and its share of their variance."""
    with torch.no_grad():
        patches = encoder.eval()(images)[:, 1:]
    own = patches - patches.mean(dim=0)  # without what only the place says
    return float(rankme(own.flatten(0, 1))), float(own.var() / patches.var())


COLLAPSE = [pytest.param(name, marks=() if name == "cae" else pytest.mark.slow) for name in MEMBERS]


@pytest.mark.parametrize("config", COLLAPSE, indirect=True)
def test_nothing_collapses(config, data, tmp_path, group):
    """After training images still differ, in many directions (RankMe)."""
    folder = train(shorten(config, epochs=16), data, tmp_path / "run", group)
    samples = make_batch(config, make(config), data)
    images = samples["views"][:, 0] if "views" in samples else samples["image"]
    rank, share = spread(read_encoder(folder / ENCODER), images)
    assert rank > 4.0 and share > 0.05, (rank, share)
    collapsed = read_encoder(folder / ENCODER)
    collapsed.patch_embed.weight.data.mul_(1e-4)
    assert spread(collapsed, images)[1] < 0.01


def test_killed_and_resumed_equals_uninterrupted(config, data, tmp_path, group):
    contract.resumes(config, data, tmp_path, group)


def test_a_full_batch_that_does_not_fit_is_an_error(tiny, data, tmp_path, group):
    config = shorten(planned(tiny, "moco_v3"))
    with pytest.raises(ValueError, match=r"per_device_batch 4: the loss of moco_v3 contrasts a whole batch.*8 images"):
        train(config, data, tmp_path / "run", group, per_device_batch=4)


def enter(rank: int, size: int, port: int, configs: dict[str, Pretrain], data: Path, folder: Path) -> None:
    """A process of a group: trains every method in turn."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    group = join_group("cpu")
    for kind, config in configs.items():
        train(config, data, folder / kind, group)
        dist.barrier()


@pytest.fixture(scope="module")
def trained(tiny, data, tmp_path_factory) -> dict[int, Path]:
    """Every method trained by one process, and by two."""
    configs = {kind: shorten(planned(tiny, kind), epochs=2) for kind in MEMBERS}
    folders = {size: tmp_path_factory.mktemp(f"processes-{size}") for size in (1, 2)}
    for size, folder in folders.items():
        port = free_port()
        ranks = [FORKS.Process(target=enter, args=(rank, size, port, configs, data, folder)) for rank in range(size)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(PATIENCE)
            assert process.exitcode == 0
    return folders


@pytest.mark.parametrize("kind", MEMBERS)
def test_two_processes_train_as_one(kind, tiny, trained):
    contract.compare(planned(tiny, kind), trained[1] / kind, trained[2] / kind)


@pytest.mark.parametrize("kind", [name for name in MEMBERS if name != "moco_v3"])  # it never accumulates
def test_accumulation_trains_as_one_batch(kind, tiny, data, trained, tmp_path, group):
    config = shorten(planned(tiny, kind), epochs=2)
    contract.compare(config, trained[1] / kind, train(config, data, tmp_path / "split", group, per_device_batch=4))
