"""One property over every pretraining method: it learns, resumes, scales out, trains all it has, hides what it must."""

import json
import math
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from caebench.checkpoints.encoder_file import read_encoder
from caebench.data.loading import Samples
from caebench.files.layout import ENCODER
from caebench.methods.builders import BUILDERS, build_method
from caebench.methods.method import Method, rankme
from caebench.models.tokenizer import DiscreteVAE
from caebench.models.vit import Encoder
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.methods.base import METHODS as MEMBERS
from caebench.specs.pretrain import Pretrain
from caebench.specs.registry import SOURCES
from caebench.specs.site import Site
from caebench.stages import run_stage
from caebench.tasks import pretrain as task
from caebench.training.distributed import join_group
from caebench.training.hooks import StepInfo
from caebench.training.optim import make_optimizer, set_learning_rate, split_decay
from caebench.training.run import Run
from tests.helpers import FORKS, PATIENCE, free_port, metrics, planned

BATCH = 8
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
    folder = tmp_path_factory.mktemp("data")
    config = SyntheticData(kind="synthetic", name="imagenet1k", world=tiny.world)
    run_stage(config, Run(folder, {}, Site(device="cpu"), group))
    (folder / "result.json").write_text(json.dumps({"fingerprints": {}}))
    return folder


@pytest.fixture(params=MEMBERS)
def config(request, tiny) -> Pretrain:
    return shorten(planned(tiny, request.param))


def shorten(config: Pretrain, epochs: int = 4, **changes) -> Pretrain:
    """Some steps of a small batch, warmed up at once; five steps an epoch."""
    short = {"epochs": epochs, "global_batch": BATCH, "warmup_epochs": 0.4, **changes}
    rate = config.optimization.lr / BATCH * 256
    optimization = config.optimization.replace(base_lr=rate, **short)
    if hasattr(config.method, "mixing"):
        config = config.replace(method=config.method.replace(mixing=config.method.mixing.replace(group=4)))
    return config.replace(optimization=optimization)


def tokenizer_of(config: Pretrain) -> DiscreteVAE | None:
    """An untrained tokenizer: codes are codes."""
    target = getattr(config.method, "target", None)
    if target is None or target.kind == "pixels":
        return None
    torch.manual_seed(0)
    return DiscreteVAE(target.tokenizer).eval().requires_grad_(False)


def make(config: Pretrain) -> Method:
    return build_method(config, tokenizer_of(config))


def make_batch(config: Pretrain, method: Method, data: Path, epoch: int = 0) -> dict[str, torch.Tensor]:
    split = config.data.dataset.open(config.data.roots({}, {"data": data}), "train", config.data.size)
    samples = Samples(split, method.make_sampler(config))
    return torch.utils.data.default_collate([samples[epoch, number] for number in range(BATCH)])


def train(config: Pretrain, data: Path, folder: Path, group, stop_at: int | None = None, **site) -> Path:
    """Pretrain as the stage does; an exception in its progress stands for a killed process."""

    def progress(done: int, total: int, shown: object) -> None:
        if stop_at is not None and done >= stop_at:
            raise KeyboardInterrupt

    folder.mkdir(exist_ok=True)
    run = Run(folder, {"data": data}, Site(device="cpu", **site), group, progress)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "load_tokenizer", lambda *_: tokenizer_of(config))
        try:
            task.pretrain(config, run)
        except KeyboardInterrupt:
            assert stop_at is not None
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "model.pt", weights_only=True)


def test_every_method_has_a_builder_and_a_recipe(tiny):
    assert set(BUILDERS) == set(MEMBERS.values())
    assert {type(planned(tiny, name).method) for name in SOURCES.keys() & MEMBERS.keys()} == set(MEMBERS.values())
    assert {name for name, cls in MEMBERS.items() if "masking" in cls.model_fields} == SEES_ONLY_VISIBLE.keys()


def test_a_gradient_reaches_every_parameter_that_trains(config, data):
    method = make(config)
    method(make_batch(config, method, data))["loss"].backward()
    parameters = dict(method.named_parameters())
    trained = {name: p for name, p in parameters.items() if p.requires_grad}
    silent = [name for name, p in trained.items() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]
    assert silent == []
    assert [name for name in parameters.keys() - trained.keys() if parameters[name].grad is not None] == []
    assert method.num_parameters == sum(p.numel() for p in trained.values())


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
    method = make(config)
    once, again, later = (make_batch(config, method, data, epoch) for epoch in (0, 0, 1))
    other = make_batch(config.replace(seed=1), method, data)
    for name, value in once.items():
        assert torch.equal(value, again[name])
        if value.dtype == torch.float32 and value.numel() > 0:
            assert not torch.equal(value, later[name]) and not torch.equal(value, other[name])


def hold_teacher(config: Pretrain) -> Pretrain:
    """A teacher and centres that stay: else the targets move while the student follows them, and no loss need fall."""
    still = {"momentum": 1.0, "center_momentum": 1.0, "patch_center_momentum": 1.0, "frozen_epochs": 0.0}
    own = type(config.method).model_fields.keys() if "frozen_epochs" in type(config.method).model_fields else ()
    return config.replace(method=config.method.replace(**{name: still[name] for name in still.keys() & own}))


def test_the_loss_falls(config, data, group):
    """On a batch of the synthetic data that comes again and again, so that nothing but learning moves it."""
    config = hold_teacher(config)
    method, losses, num_steps = make(config).train(), [], 40
    batch = make_batch(config, method, data)
    optimizer = make_optimizer(config.optimization, split_decay(method))
    set_learning_rate(optimizer, 2e-3)
    for step in range(num_steps):
        info = StepInfo(step, num_steps, steps_per_epoch=5)
        method.before_step(info)
        loss = method(batch)["loss"]
        loss.backward()
        method.before_update(info)
        optimizer.step()
        optimizer.zero_grad()
        method.after_step(info)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0], losses


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
    """Bit for bit: weights, momentum copies, centres, metrics; killed one step of logging after a checkpoint."""
    config = shorten(config, epochs=5)
    unbroken = train(config, data, tmp_path / "unbroken", group)
    killed = train(config, data, tmp_path / "killed", group, stop_at=20, checkpoint_minutes=1e-9)
    assert (killed / "checkpoints").exists() and not (killed / ENCODER).exists()
    train(config, data, killed, group)
    ours, theirs = weights(killed), weights(unbroken)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert metrics(killed) == metrics(unbroken)


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
    assert_close(planned(tiny, kind), trained[1] / kind, trained[2] / kind)


@pytest.mark.parametrize("kind", [name for name in MEMBERS if name != "moco_v3"])  # it never accumulates
def test_accumulation_trains_as_one_batch(kind, tiny, data, trained, tmp_path, group):
    config = shorten(planned(tiny, kind), epochs=2)
    assert_close(config, trained[1] / kind, train(config, data, tmp_path / "split", group, per_device_batch=4))


def assert_close(config: Pretrain, one: Path, other: Path) -> None:
    """The same lines and the same way from the same start, to rounding; `rankme` is of the micro-batch.

    Not number by number: of a gradient that is nothing but rounding, as of a bias on keys, AdamW makes whole steps.
    """
    states = weights(one), weights(other), make(config).network.state_dict()
    for ours, theirs in zip(metrics(one), metrics(other), strict=True):
        for name in ours.keys() - {"rankme"}:
            assert ours[name] == pytest.approx(theirs[name], rel=2e-4, abs=1e-5), (name, ours, theirs)
    ours, theirs, start = (torch.cat([v.flatten().double() for v in w.values()]) for w in states)
    assert (ours - theirs).norm() < 0.01 * (ours - start).norm()
