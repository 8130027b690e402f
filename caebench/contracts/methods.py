"""What every pretraining method promises: it learns, trains all it has, resumes, and does not depend on micro-batches.

The trainings are some steps on a few synthetic images (`check.TINY`).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from caebench.contracts.check import Broken, Check
from caebench.contracts.running import run_inputs
from caebench.data.loading import Samples
from caebench.files.layout import CHECKPOINTS, ENCODER, METRICS, MODEL
from caebench.methods.builders import BUILDERS, build_method
from caebench.methods.method import Method
from caebench.models.tokenizer import DiscreteVAE
from caebench.specs.job import make_job
from caebench.specs.pretrain import Pretrain
from caebench.specs.site import Site
from caebench.tasks import pretrain as task
from caebench.training.distributed import Group, join_group
from caebench.training.hooks import StepInfo
from caebench.training.optim import make_optimizer, set_learning_rate, split_decay
from caebench.training.run import Run

BATCH = 8
MEASURED = ("images_per_second",)  # by a clock
STEPS = 40  # of a training on one batch
HELD = {"momentum": 1.0, "center_momentum": 1.0, "patch_center_momentum": 1.0, "frozen_epochs": 0.0}


def checks(config: Pretrain, root: Path) -> list[Check]:
    """The checks of a pretraining at scale `check.TINY`; `root` keeps its data."""

    def data() -> Path:
        return run_inputs(make_job(config), root)["data"]

    short, group = shorten(config), join_group("cpu")
    return [
        Check("a builder makes the method", lambda _: builds(config)),
        Check("a sample depends on seed, epoch and index alone", lambda _: samples_repeat(short, data())),
        Check("the loss is finite, and every trainable parameter has a gradient", lambda _: trains_all(short, data())),
        Check("the loss falls on a batch that comes again and again", lambda _: learns(short, data())),
        Check("killed and resumed equals uninterrupted", lambda folder: resumes(short, data(), folder, group)),
        Check("two half batches equal one full batch", lambda folder: accumulates(short, data(), folder, group)),
    ]


def shorten(config: Pretrain, epochs: int = 4, **changes: Any) -> Pretrain:
    """Some steps of a small batch, warmed up at once; five steps an epoch of forty images."""
    short = {"epochs": epochs, "global_batch": BATCH, "warmup_epochs": 0.4, **changes}
    rate = config.optimization.lr / BATCH * 256
    optimization = config.optimization.replace(base_lr=rate, **short)
    if (mixing := getattr(config.method, "mixing", None)) is not None:
        config = config.replace(method=config.method.replace(mixing=mixing.replace(group=4)))
    return config.replace(optimization=optimization)


def tokenizer_of(config: Pretrain) -> DiscreteVAE | None:
    """An untrained tokenizer: codes are codes."""
    target: Any = getattr(config.method, "target", None)
    if target is None or target.kind == "pixels":
        return None
    torch.manual_seed(0)
    return DiscreteVAE(target.tokenizer).eval().requires_grad_(False)


def make(config: Pretrain) -> Method:
    """The method as it begins."""
    return build_method(config, tokenizer_of(config))


def make_batch(config: Pretrain, method: Method, data: Path, epoch: int = 0) -> dict[str, Tensor]:
    """The first images of the training split as a batch."""
    split = config.data.dataset.open(config.data.roots({}, {"data": data}), "train", config.data.size)
    samples: Any = Samples(split, method.make_sampler(config))  # pyright: ignore[reportArgumentType] a method reads whole images
    return torch.utils.data.default_collate([samples[epoch, number] for number in range(BATCH)])


def train(config: Pretrain, data: Path, folder: Path, group: Group, stop_at: int | None = None, **site: Any) -> Path:
    """Pretrain as the stage does; an exception in its progress stands for a killed process."""

    def progress(done: int, total: int, shown: object) -> None:
        if stop_at is not None and done >= stop_at:
            raise KeyboardInterrupt

    folder.mkdir(exist_ok=True)
    run = Run(folder, {"data": data}, Site(device="cpu", **site), group, progress)
    with _untrained_tokenizer(config):
        try:
            task.pretrain(config, run)
        except KeyboardInterrupt:
            if stop_at is None:
                raise
    return folder


@contextmanager
def _untrained_tokenizer(config: Pretrain) -> Iterator[None]:
    """In place of one that a job has left."""
    before = task.load_tokenizer
    task.load_tokenizer = lambda *_: tokenizer_of(config)
    try:
        yield
    finally:
        task.load_tokenizer = before


def weights(folder: Path) -> dict[str, Tensor]:
    """What a training has left."""
    return torch.load(folder / MODEL, weights_only=True)


def logged(folder: Path) -> list[dict[str, float]]:
    """The lines of a training's log, without what a clock has measured."""
    lines = (folder / METRICS).read_text(encoding="utf8").splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in MEASURED} for line in lines]


def builds(config: Pretrain) -> None:
    """The method's class has a builder, whose result is a `Method`.

    Raises:
        Broken: it has none, or another result.
    """
    cls = type(config.method)
    if cls not in BUILDERS:
        raise Broken(f"nothing trains {cls.__name__}", f"Add {{{cls.__name__}: YourMethod}} to METHODS of the plug-in")
    if not isinstance(made := make(config), Method):
        raise Broken(f"the builder makes a {type(made).__name__}", "Derive it from caebench.methods.method.Method")


def trains_all(config: Pretrain, data: Path) -> None:
    """A finite loss sends a finite gradient that is not zero to every parameter that trains, and to no other.

    Raises:
        Broken: it does not.
    """
    method = make(config)
    loss = method(make_batch(config, method, data))["loss"]
    if not bool(loss.isfinite()):
        raise Broken(f"the loss is {float(loss.detach())}", "Look for a division by zero, or a logarithm of it")
    loss.backward()
    parameters = dict(method.named_parameters())
    trained = {name: p for name, p in parameters.items() if p.requires_grad}
    silent = [name for name, p in trained.items() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]
    if silent:
        what = f"no finite gradient other than zero reaches {_some(silent)}"
        raise Broken(what, "Use it in the loss, or set requires_grad to False")
    if wrong := [name for name in parameters.keys() - trained.keys() if parameters[name].grad is not None]:
        raise Broken(f"{_some(wrong)} has a gradient, and requires_grad is False", "Detach it")
    if method.num_parameters != (counted := sum(p.numel() for p in trained.values())):
        raise Broken(f"num_parameters is {method.num_parameters}, and {counted} train", "Correct the property")


def samples_repeat(config: Pretrain, data: Path) -> None:
    """A sample is the same for the same seed, epoch and index, and another for another seed or epoch.

    Raises:
        Broken: it is not.
    """
    method = make(config)
    once, again, later = (make_batch(config, method, data, epoch) for epoch in (0, 0, 1))
    other = make_batch(config.replace(seed=1), method, data)
    for name, value in once.items():
        if not torch.equal(value, again[name]):
            do = "Draw from the generators that caebench.data.randomness makes of (seed, epoch, index)"
            raise Broken(f"'{name}' of a sample differs when it is made again", do)
        if value.dtype == torch.float32 and value.numel() > 0:
            for what, changed in (("epoch", later), ("seed", other)):
                if torch.equal(value, changed[name]):
                    raise Broken(f"'{name}' of a sample does not depend on the {what}", "Give the key to the sampler")


def hold_teacher(config: Pretrain) -> Pretrain:
    """A teacher and centres that stay: else the targets move while the student follows them, and no loss need fall."""
    own = type(config.method).model_fields.keys() if "frozen_epochs" in type(config.method).model_fields else ()
    return config.replace(method=config.method.replace(**{name: HELD[name] for name in HELD.keys() & own}))


def learns(config: Pretrain, data: Path) -> None:
    """The loss falls on a batch of the synthetic data that comes again and again, so that only learning moves it.

    Raises:
        Broken: it does not.
    """
    config = hold_teacher(config)
    method, losses = make(config).train(), list[float]()
    batch = make_batch(config, method, data)
    optimizer = make_optimizer(config.optimization, split_decay(method))
    set_learning_rate(optimizer, 2e-3)
    for step in range(STEPS):
        info = StepInfo(step, STEPS, steps_per_epoch=5)
        method.before_step(info)
        loss = method(batch)["loss"]
        loss.backward()
        method.before_update(info)
        optimizer.step()
        optimizer.zero_grad()
        method.after_step(info)
        losses.append(float(loss.detach()))
    if not losses[-1] < 0.9 * losses[0]:
        what = f"the loss went from {losses[0]:.4g} to {losses[-1]:.4g} in {STEPS} steps"
        raise Broken(what, "Check targets, masks and learning rate")


def resumes(config: Pretrain, data: Path, folder: Path, group: Group) -> None:
    """Killed and resumed equals uninterrupted, bit for bit: weights, momentum copies, centres, metrics.

    It is killed one step of logging after a checkpoint.

    Raises:
        Broken: they differ.
    """
    config = shorten(config, epochs=5)
    uninterrupted = train(config, data, folder / "uninterrupted", group)
    killed = train(config, data, folder / "killed", group, stop_at=20, checkpoint_minutes=1e-9)
    if not (killed / CHECKPOINTS).exists() or (killed / ENCODER).exists():
        raise Broken("the training did not stop at step 20", "Report this: the check itself does not work")
    train(config, data, killed, group)
    ours, theirs = weights(killed), weights(uninterrupted)
    differing = [name for name in ours.keys() | theirs.keys() if not _equal(ours.get(name), theirs.get(name))]
    do = "Keep all that changes between steps in parameters and buffers, and draw no numbers of your own"
    if differing:
        raise Broken(f"after a kill and a resume {_some(sorted(differing))} differs", do)
    if logged(killed) != logged(uninterrupted):
        raise Broken("after a kill and a resume the logged metrics differ", do)


def accumulates(config: Pretrain, data: Path, folder: Path, group: Group) -> None:
    """Two half batches train as one full batch.

    Raises:
        Broken: they do not.
    """
    config = shorten(config, epochs=2)
    if make(config).needs_full_batch:
        return
    one = train(config, data, folder / "one", group)
    compare(config, one, train(config, data, folder / "halves", group, per_device_batch=BATCH // 2))


def compare(config: Pretrain, one: Path, other: Path) -> None:
    """The same lines and the same way from the same start, to rounding; `rankme` is of the micro-batch.

    Not number by number: of a gradient that is nothing but rounding, as of a bias on keys, AdamW makes whole steps.

    Raises:
        Broken: they differ.
    """
    do = "Take the loss as a mean over the images, and let no image see another"
    for ours, theirs in zip(logged(one), logged(other), strict=True):
        for name in ours.keys() - {"rankme"}:
            if abs(ours[name] - theirs[name]) > max(2e-4 * abs(theirs[name]), 1e-5):
                raise Broken(f"at step {ours['step']} '{name}' is {ours[name]:.6g} and {theirs[name]:.6g}", do)
    states = weights(one), weights(other), make(config).network.state_dict()
    ours, theirs, start = (torch.cat([v.flatten().double() for v in w.values()]) for w in states)
    if not (gap := float((ours - theirs).norm())) < 0.01 * (way := float((ours - start).norm())):
        raise Broken(f"the weights differ by {gap:.3g}, on a way of {way:.3g}", do)


def _equal(ours: Tensor | None, theirs: Tensor | None) -> bool:
    return ours is not None and theirs is not None and torch.equal(ours, theirs)


def _some(names: list[str]) -> str:
    return f"'{names[0]}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
