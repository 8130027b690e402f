"""The training loop of every stage: one long read, under banners.

A process group always exists, so there are no "am I distributed?" branches. Nothing here draws a random number: the
order, crops, masks, mixing and stochastic depth all come with the samples. Killed and resumed equals unbroken.
"""

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

from caebench.config.optim import Optimization, Precision
from caebench.config.stage import METRICS_FILE
from caebench.data.crops import CROP
from caebench.data.loading import Samples, Steps, training_loader
from caebench.models.checkpoint import misfits
from caebench.training import checkpoint
from caebench.training.distributed import Group
from caebench.training.hooks import Hooks, Moment
from caebench.training.journal import Journal
from caebench.training.optim import (
    ParamGroup,
    clip_gradients,
    learning_rate,
    make_optimizer,
    set_learning_rate,
    set_weight_decay,
)
from caebench.training.run import Run, log, truncate_metrics
from caebench.training.sharding import is_sharded, share_optimizer_state, share_state, whole
from caebench.training.signals import StopRequest, watch_signals

Batch = dict[str, Any]


@dataclass
class Training:
    """What `fit` trains."""

    module: nn.Module  # forward(batch) -> {"loss": to minimise, other scalars: to log}; only what trains
    groups: list[ParamGroup]
    config: Optimization
    samples: Samples
    seed: int
    per_device: int | None = None  # the most samples a device takes at once; None: never accumulate
    multiple_of: int = 1  # samples that must stay together in a micro-batch
    repeats: int = 1  # each image comes so many times in a row, each time as another sample; an epoch stays as long
    hooks: Hooks = field(default_factory=Hooks)
    after_epoch: Callable[[int], Mapping[str, float]] | None = None  # evaluation, given the epoch

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch.

        Raises:
            ValueError: the split is smaller than one batch.
        """
        steps = len(self.samples) // self.config.global_batch
        if steps == 0:
            raise ValueError(
                f"global_batch {self.config.global_batch}: the training split has only {len(self.samples)} images. "
                "Choose a smaller batch in the recipe, or a larger data set."
            )
        return steps

    def micro(self, group: Group) -> int:
        """Samples that one device takes at once.

        Raises:
            ValueError: no number of them divides the global batch.
        """
        return micro_batch(self.config.global_batch, group, self.per_device, self.multiple_of)


@dataclass
class Position:
    """Where training stands; saved with every checkpoint."""

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry an epoch, from `after_epoch`
    metrics_bytes: int = 0  # length of metrics.jsonl, so that a resumed job does not repeat lines


def micro_batch(global_batch: int, group: Group, per_device: int | None, multiple_of: int = 1) -> int:
    """Samples that one device takes at once: the largest share that fits and divides the global batch.

    Raises:
        ValueError: no share does.
    """
    share, rest = divmod(global_batch, group.size)
    if rest or share % multiple_of:
        raise ValueError(
            f"global_batch {global_batch} does not divide over {group.size} processes "
            f"in groups of {multiple_of}. Use another number of processes."
        )
    limit = min(per_device or share, share)
    fitting = [n for n in range(multiple_of, limit + 1, multiple_of) if share % n == 0]
    if not fitting:
        raise ValueError(
            f"per_device_batch {per_device}: no share of {share} images in groups of {multiple_of} fits. Raise it."
        )
    return fitting[-1]


def fit(training: Training, run: Run) -> list[dict[str, Any]]:
    """Train to the end, or go on from the last checkpoint; returns the history of `after_epoch`.

    Raises:
        Interrupted: a signal asked for a stop, and the state is saved.
        Diverged: the loss is not finite.
    """
    with watch_signals() as stop:
        learner = train(training, run, stop)
        try:
            for batch in _batches(training, run, next(learner)):
                learner.send(batch)
        except StopIteration as end:
            return end.value
    raise AssertionError("the loader has as many batches as the training asks for")


def train(training: Training, run: Run, stop: StopRequest) -> Generator[int, Batch, list[dict[str, Any]]]:
    """The loop itself: it yields the step whose next micro-batch it wants, and is sent that.

    Whoever drives it may drive several, which then share what makes their batches (`tasks.frozen_pass`).

    Raises:
        Interrupted: `stop` asked for a stop, and the state is saved.
        Diverged: the loss is not finite.
    """
    # ---- set up -----------------------------------------------------------------------------------------------------
    config, group, device = training.config, run.group, run.device
    module = training.module.to(device)
    optimizer = make_optimizer(config, training.groups)
    scaler = GradScaler(device.type, enabled=config.precision == "fp16")
    parameters = [p for g in training.groups for p in g["params"]]
    model = distribute(module)
    accumulations = config.global_batch // (group.size * training.micro(group))
    per_epoch = training.steps_per_epoch
    total = config.epochs * per_epoch

    # ---- go on where a checkpoint stands ----------------------------------------------------------------------------
    state = _restore(run, module, optimizer, scaler, total)
    journal = Journal(run, step=state.step, total=total, global_batch=config.global_batch, lr_field="base_lr")

    # ---- step -------------------------------------------------------------------------------------------------------
    while state.step < total:
        module.train()
        moment = Moment(state.step, total, per_epoch)
        lr = learning_rate(config, state.step, per_epoch)
        set_learning_rate(optimizer, lr)
        set_weight_decay(optimizer, config.optimizer, moment)
        training.hooks.is_logged = moment.is_logged
        training.hooks.before_step(moment)
        means: dict[str, Tensor] = {}
        for number in range(accumulations):
            batch = to_device((yield state.step), device)
            sum_gradients(model, number == accumulations - 1)
            with autocast(device, config.precision):
                outputs = model(batch)
            scaler.scale(outputs["loss"] / accumulations).backward()
            add_to_means(means, outputs, accumulations)
        norm = _update(optimizer, scaler, parameters, training, moment)
        training.hooks.after_step(moment)
        state.step += 1

        # ---- epoch's end: evaluate ----------------------------------------------------------------------------------
        if state.step % per_epoch == 0:
            _evaluate(training, run, state)

        # ---- log, stop, save ----------------------------------------------------------------------------------------
        if not moment.is_logged:
            continue
        journal.log(state.step, {**means, "grad_norm": norm}, epoch=state.step / per_epoch, lr=lr)
        stopping, saving = journal.decide(stop)
        if saving and state.step < total:
            _save(run, state, module, optimizer, scaler)
            journal.saved()
        if stopping and state.step < total:
            raise journal.interruption(state.step)
    return state.history


def _batches(training: Training, run: Run, start: int) -> Iterator[Batch]:
    keys = Steps(
        len(training.samples),
        training.config.global_batch,
        seed=training.seed,
        start=start,
        stop=training.config.epochs * training.steps_per_epoch,
        rank=run.group.rank,
        size=run.group.size,
        micro=training.micro(run.group),
        repeats=training.repeats,
    )
    return iter(training_loader(training.samples, keys, run.num_workers))


def _evaluate(training: Training, run: Run, state: Position) -> None:
    if training.after_epoch is not None:
        training.module.eval()
        epoch = state.step // training.steps_per_epoch
        state.history.append({"epoch": epoch, **training.after_epoch(epoch - 1)})
        run.append_metrics(step=state.step, **state.history[-1])


def distribute(module: nn.Module) -> nn.Module:
    """The module in its process group; gradients lie in the buckets that are summed, so that nobody copies them."""
    if is_sharded(module):
        return module
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")  # 1x1 convolutions; harmless
    return DistributedDataParallel(module, broadcast_buffers=False, gradient_as_bucket_view=True)


def sum_gradients(model: nn.Module, wanted: bool) -> None:
    """Whether the next backward pass sums gradients over processes, or leaves that to a later one."""
    if isinstance(model, DistributedDataParallel):
        model.require_backward_grad_sync = wanted
    elif isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(wanted)


def add_to_means(means: dict[str, Tensor], outputs: Mapping[str, Tensor], num: int) -> None:
    """Add one of `num` micro-batches to the means over all of them."""
    for name, value in outputs.items():
        means[name] = means.get(name, 0.0) + value.detach() / num


def _update(
    optimizer: Any, scaler: GradScaler, parameters: list[nn.Parameter], training: Training, moment: Moment
) -> Tensor:
    """One step of the optimizer; returns the norm of the gradient before it is clipped."""
    scaler.unscale_(optimizer)
    norm = clip_gradients(parameters, training.config)
    training.hooks.before_update(moment)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
    return norm


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Mixed precision as the recipe says; float32 is left alone."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch's tensors, and make there the views of its crops."""
    moved = {name: value.to(device, non_blocking=True) for name, value in batch.items() if name != CROP}
    return {**moved, **batch[CROP].to_views(device)} if CROP in batch else moved


def refuse_other_model(folder: Path, module: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Refuse a checkpoint whose tensors are not the model's.

    Raises:
        ValueError: some are missing, left over or of another shape.
    """
    if wrong := misfits(module.state_dict(), saved):
        raise ValueError(
            f"{folder / checkpoint.FOLDER}: a checkpoint of another model: {'; '.join(wrong[:5])}. "
            "Delete the job's folder to start it afresh."
        )


def _restore(run: Run, module: nn.Module, optimizer: Any, scaler: GradScaler, total: int) -> Position:
    state = Position()
    saved = checkpoint.read_newest(run.folder, run.device)
    if saved is not None:
        refuse_other_model(run.folder, module, saved["module"])
        module.load_state_dict(share_state(saved["module"], module))
        optimizer.load_state_dict(share_optimizer_state(saved["optimizer"], optimizer))
        scaler.load_state_dict(saved["scaler"])
        torch.set_rng_state(saved["rng"].cpu())
        state = Position(**saved["progress"])
        log.info("resuming at step %d of %d", state.step, total)
    if run.group.is_main:
        truncate_metrics(run, state.metrics_bytes)
    return state


def _save(run: Run, state: Position, module: nn.Module, optimizer: Any, scaler: GradScaler) -> None:
    parts = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict()}
    parts = whole(parts, keep=run.group.is_main)
    if run.group.is_main:
        state.metrics_bytes = (run.folder / METRICS_FILE).stat().st_size
        rest = {"progress": vars(state), "rng": torch.get_rng_state()}
        checkpoint.write(run.folder, state.step, {**parts, **rest})
