"""The training loop of every stage: one long read, under banners.

A process group always exists, so there are no "am I distributed?" branches. Nothing here draws a random number: the
order, crops, masks, mixing and stochastic depth all come with the samples. Killed and resumed equals unbroken.
"""

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.parallel import DistributedDataParallel

from caebench.config.optim import Optimization, Precision
from caebench.data.loading import Samples, Steps, training_loader
from caebench.models.checkpoint import misfits
from caebench.training import checkpoint
from caebench.training.distributed import Group
from caebench.training.optim import ParamGroup, learning_rate, make_optimizer, set_learning_rate
from caebench.training.run import METRICS, Run, log, truncate_metrics
from caebench.training.signals import Interrupted, StopRequest, watch_signals

LOG_EVERY = 10  # steps; also how often processes agree on stopping and saving
Batch = dict[str, Any]


class Diverged(ArithmeticError):
    """A loss that is not finite."""


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


@dataclass
class Position:
    """Where training stands; saved with every checkpoint."""

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)  # one entry an epoch, from `after_epoch`
    metrics_bytes: int = 0  # length of metrics.jsonl, so that a resumed job does not repeat lines


def micro_batch(config: Optimization, group: Group, per_device: int | None, multiple_of: int) -> int:
    """Samples that one device takes at once: the largest share that fits and divides the global batch.

    Raises:
        ValueError: no share does.
    """
    share, rest = divmod(config.global_batch, group.size)
    if rest or share % multiple_of:
        raise ValueError(
            f"global_batch {config.global_batch} does not divide over {group.size} processes "
            f"in groups of {multiple_of}. Use another number of processes."
        )
    limit = min(per_device or share, share)
    fitting = [n for n in range(multiple_of, limit + 1, multiple_of) if share % n == 0]
    if not fitting:
        raise ValueError(
            f"per_device_batch {per_device}: no share of {share} images in groups of {multiple_of} fits. Raise it."
        )
    return fitting[-1]


def fit(training: Training, run: Run) -> list[dict[str, float]]:
    """Train to the end, or go on from the last checkpoint; returns the history of `after_epoch`.

    Raises:
        Interrupted: a signal asked for a stop, and the state is saved.
        Diverged: the loss is not finite.
    """
    # ---- set up -----------------------------------------------------------------------------------------------------
    config, group, device = training.config, run.group, run.device
    module = training.module.to(device)
    optimizer = make_optimizer(config, training.groups)
    scaler = GradScaler(device.type, enabled=config.precision == "fp16")
    parameters = [p for g in training.groups for p in g["params"]]
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")  # 1x1 convolutions; harmless
    model = DistributedDataParallel(module, broadcast_buffers=False)
    micro = micro_batch(config, group, training.per_device, training.multiple_of)
    accumulations = config.global_batch // (group.size * micro)
    per_epoch = training.steps_per_epoch
    total = config.epochs * per_epoch

    # ---- go on where a checkpoint stands ----------------------------------------------------------------------------
    state = Position()
    saved = checkpoint.read_newest(run.folder, device)
    if saved is not None:
        if wrong := misfits(module.state_dict(), saved["module"]):
            raise ValueError(
                f"{run.folder / checkpoint.FOLDER}: a checkpoint of another model: {'; '.join(wrong[:5])}. "
                "Delete the job's folder to start it afresh."
            )
        module.load_state_dict(saved["module"])
        optimizer.load_state_dict(saved["optimizer"])
        scaler.load_state_dict(saved["scaler"])
        torch.set_rng_state(saved["rng"].cpu())
        state = Position(**saved["progress"])
        log.info("resuming at step %d of %d", state.step, total)
    if group.is_main:
        truncate_metrics(run, state.metrics_bytes)

    keys = Steps(
        len(training.samples),
        config.global_batch,
        seed=training.seed,
        start=state.step,
        stop=total,
        rank=group.rank,
        size=group.size,
        micro=micro,
    )
    batches = iter(training_loader(training.samples, keys, run.num_workers))
    last_save = last_log = time.monotonic()
    logged_step = state.step

    # ---- step -------------------------------------------------------------------------------------------------------
    with watch_signals() as stop:
        while state.step < total:
            module.train()
            lr = learning_rate(config, state.step, per_epoch)
            set_learning_rate(optimizer, lr)
            sums: dict[str, Tensor] = {}
            for number in range(accumulations):
                batch = to_device(next(batches), device)
                model.require_backward_grad_sync = number == accumulations - 1
                with autocast(device, config.precision):
                    outputs = model(batch)
                scaler.scale(outputs["loss"] / accumulations).backward()
                for name, value in outputs.items():
                    sums[name] = sums.get(name, 0.0) + value.detach() / accumulations
            scaler.unscale_(optimizer)
            norm = nn.utils.clip_grad_norm_(parameters, config.clip_grad or math.inf)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            state.step += 1

            # ---- epoch's end: evaluate ------------------------------------------------------------------------------
            epoch_ended = state.step % per_epoch == 0
            if epoch_ended and training.after_epoch is not None:
                module.eval()
                epoch = state.step // per_epoch
                state.history.append({"epoch": epoch, **training.after_epoch(epoch - 1)})
                run.append_metrics(step=state.step, **state.history[-1])

            # ---- log, stop, save ------------------------------------------------------------------------------------
            if state.step % LOG_EVERY and state.step < total:
                continue
            values = _reduced({**sums, "grad_norm": norm}, group)
            now = time.monotonic()
            speed = (state.step - logged_step) * config.global_batch / max(now - last_log, 1e-9)
            epochs_done = state.step / per_epoch
            run.append_metrics(step=state.step, epoch=epochs_done, lr=lr, images_per_second=round(speed, 1), **values)
            run.progress(state.step, total, values)
            if not math.isfinite(values["loss"]):
                raise Diverged(
                    f"{run.folder}: loss is {values['loss']} at step {state.step} of {total}. "
                    f"See {METRICS}; lower base_lr or use fp32, and run the suite again."
                )
            last_log, logged_step = now, state.step
            overdue = now - last_save > 60.0 * run.site.checkpoint_minutes
            stopping, saving = group.any([stop.name is not None, overdue])
            if (stopping or saving) and state.step < total:
                _save(run, state, module, optimizer, scaler)
                last_save = time.monotonic()
            if stopping and state.step < total:
                raise Interrupted(_describe_stop(stop, state.step, total))
    return state.history


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Mixed precision as the recipe says; float32 is left alone."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch's tensors."""
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def _reduced(values: Mapping[str, Tensor], group: Group) -> dict[str, float]:
    """Scalars, averaged over processes in one exchange."""
    stacked = group.mean(torch.stack([value.detach().float() for value in values.values()]))
    return dict(zip(values, stacked.tolist(), strict=True))


def _save(run: Run, state: Position, module: nn.Module, optimizer: Any, scaler: GradScaler) -> None:
    if not run.group.is_main:
        return
    state.metrics_bytes = (run.folder / METRICS).stat().st_size
    checkpoint.write(
        run.folder,
        state.step,
        {
            "progress": vars(state),
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict(),
            "rng": torch.get_rng_state(),
        },
    )


def _describe_stop(stop: StopRequest, step: int, total: int) -> str:
    return f"stopped by {stop.name or 'a signal to another process'} at step {step} of {total}, saved"
