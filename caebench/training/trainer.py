"""The training loop of every stage, in sections under banners.

A process group always exists, so there are no "am I distributed?" branches. No random numbers are generated here:
order, crops, masks, mixing and drop-path uniforms come with the samples. So a killed and resumed training equals an
uninterrupted one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from caebench.data.loading import Samples, Steps, training_loader
from caebench.files.layout import METRICS
from caebench.specs.optim import Optimization
from caebench.training import checkpoint
from caebench.training.distributed import Group
from caebench.training.hooks import Hooks, StepInfo
from caebench.training.monitor import GRADIENT, SPEED, Monitor
from caebench.training.optim import (
    ParamGroup,
    clip_gradients,
    learning_rate,
    make_optimizer,
    set_learning_rate,
    set_weight_decay,
)
from caebench.training.run import Run, log, truncate_metrics
from caebench.training.sharding import full_state, shard_optimizer_state, shard_state
from caebench.training.signals import Interrupted, watch_signals
from caebench.training.step import Batch, add_to_means, autocast, distribute, micro_batch, sum_gradients, to_device

History = list[dict[str, Any]]
T = TypeVar("T")


@dataclass
class Training:
    """What `fit` trains."""

    module: nn.Module  # forward(batch) -> {"loss": to minimise, other scalars: to log}; only what trains
    groups: list[ParamGroup]
    config: Optimization
    samples: Samples
    seed: int
    per_device: int | None = None  # the largest micro-batch of a device; None: never accumulate
    batch_multiple: int = 1  # a micro-batch is a multiple of so many consecutive samples
    repeats: int = 1  # consecutive samples of each image; the length of an epoch does not change
    hooks: Hooks = field(default_factory=Hooks)
    after_epoch: Callable[[int], Mapping[str, float]] | None = None  # evaluation, given the epoch
    finish: Callable[[History], dict[str, Any]] = lambda history: {}  # the result's numbers; may evaluate once more

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
        """The micro-batch of one device.

        Raises:
            ValueError: no micro-batch divides the global batch.
        """
        return micro_batch(self.config.global_batch, group, self.per_device, self.batch_multiple)


@dataclass
class Position:
    """The training's position; saved with every checkpoint."""

    step: int = 0
    history: History = field(default_factory=list)  # one entry per epoch, from `after_epoch`
    metrics_bytes: int = 0  # length of metrics.jsonl, so that a resumed job does not repeat lines
    line: dict[str, float] = field(default_factory=dict)  # of metrics, to be written after a pending evaluation
    skipped: list[int] = field(default_factory=list)  # steps that were left out

    def contents(self) -> dict[str, Any]:
        """Its part of a checkpoint: `line` only if a stop interrupted an evaluation, `skipped` if there is any."""
        return {name: value for name, value in vars(self).items() if name not in ("line", "skipped") or value}


def fit(training: Training, run: Run) -> dict[str, Any]:
    """Train to the end, starting from the last checkpoint if there is one; returns the numbers of the result.

    Raises:
        Interrupted: a signal asked for a stop, and the state is saved.
        Diverged: the loss is not finite.
    """
    with watch_signals(run.stop):
        trainer = Trainer(training, run)
        batches = trainer.batches()
        while not trainer.is_over:
            trainer.step(islice(batches, trainer.accumulations))
        return trainer.finish()


class Trainer:
    """A running training: it starts, or resumes from the newest checkpoint, and gets the micro-batches of each step.

    A caller can drive several trainers that share the work of making their batches (`tasks.frozen_pass`).
    """

    # ---- start, or resume -------------------------------------------------------------------------------------------

    def __init__(self, training: Training, run: Run) -> None:
        config = training.config
        self.training, self.run, self.config = training, run, config
        self.module = training.module.to(run.device)
        self.optimizer: Any = make_optimizer(config, training.groups)
        self.scaler = GradScaler(run.device.type, enabled=config.precision == "fp16")
        self.parameters = [parameter for group in training.groups for parameter in group["params"]]
        self.model = distribute(self.module)
        self.accumulations = config.global_batch // (run.group.size * training.micro(run.group))
        self.per_epoch = training.steps_per_epoch
        self.total = config.epochs * self.per_epoch
        self.position = self._restore()
        step, batch = self.position.step, config.global_batch
        self.monitor = Monitor(run, step=step, total=self.total, global_batch=batch, lr_field="base_lr")
        self.monitor.may_skip, self.monitor.is_scaled = config.max_skipped_steps, self.scaler.is_enabled()

    def _restore(self) -> Position:
        position = Position()
        if (saved := checkpoint.read_newest(self.run.folder, self.run.group)) is not None:
            checkpoint.check_same_model(self.run.folder, self.module, saved["module"])
            self.module.load_state_dict(shard_state(saved["module"], self.module))
            self.optimizer.load_state_dict(shard_optimizer_state(saved["optimizer"], self.optimizer))
            self.scaler.load_state_dict(saved["scaler"])
            torch.set_rng_state(saved["rng"].cpu())
            position = Position(**saved["progress"])
            log.info("resuming at step %d of %d", position.step, self.total)
        if self.run.group.is_main:
            truncate_metrics(self.run, position.metrics_bytes)
        return position

    @property
    def is_over(self) -> bool:
        """Whether the last step is done."""
        return self.position.step == self.total

    def batches(self) -> Iterator[Batch]:
        """This process's micro-batches, from the next step to the last."""
        training, group = self.training, self.run.group
        steps = Steps(
            len(training.samples),
            self.config.global_batch,
            seed=training.seed,
            start=self.position.step,
            stop=self.total,
            rank=group.rank,
            size=group.size,
            micro=training.micro(group),
            repeats=training.repeats,
        )
        yield from training_loader(training.samples, steps, self.run.num_workers)

    # ---- step -------------------------------------------------------------------------------------------------------

    def step(self, micro_batches: Iterable[Batch]) -> None:
        """One optimizer step from its micro-batches, then evaluation, logging and saving.

        Raises:
            Interrupted: a signal asked for a stop, and the state is saved.
            Diverged: the loss is not finite.
        """
        self._after_step()  # does nothing unless a stop interrupted it after the last step
        if self.position.step + 1 in self.run.repetition.skipped:
            self._skip(micro_batches)
            return
        info = StepInfo(self.position.step, self.total, self.per_epoch)
        self._prepare(info)
        means = self._accumulate(micro_batches)
        norm = self._update(info)
        self.training.hooks.after_step(info)
        self.position.step += 1
        values = {**means, GRADIENT: norm}
        if info.is_logged:
            self.position.line = self.monitor.means(values)
        self._after_step()
        if not info.is_logged and (signal := self.monitor.stop_between(self.position.step, values)):
            self.stop(signal)

    def _skip(self, micro_batches: Iterable[Batch]) -> None:
        """Leave a step out: the samples are taken, and nothing is learnt from them."""
        for _ in micro_batches:
            pass
        self.position.step += 1
        self.position.skipped.append(self.position.step)
        log.warning("%s: step %d is left out: its loss is not finite", self.run.folder.name, self.position.step)
        self._after_step()

    def _prepare(self, info: StepInfo) -> None:
        self.module.train()
        set_learning_rate(self.optimizer, learning_rate(self.config, info.step, self.per_epoch))
        set_weight_decay(self.optimizer, self.config.optimizer, info)
        self.training.hooks.is_logged = info.is_logged
        self.training.hooks.before_step(info)

    def _accumulate(self, micro_batches: Iterable[Batch]) -> dict[str, Tensor]:
        """Sum the gradients of a step; returns the means of the outputs of its forward passes."""
        means: dict[str, Tensor] = {}
        number = 0
        for number, batch in enumerate(micro_batches, start=1):
            sum_gradients(self.model, number == self.accumulations)
            on_device = to_device(batch, self.run.device)
            with autocast(self.run.device, self.config.precision):
                outputs = self.model(on_device)
            self.scaler.scale(outputs["loss"] / self.accumulations).backward()
            add_to_means(means, outputs, self.accumulations)
        assert number == self.accumulations, "the loader has too few batches"
        return means

    def _update(self, info: StepInfo) -> Tensor:
        """Update the parameters; returns the norm of the gradient before clipping."""
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.parameters, self.config)
        self.training.hooks.before_update(info)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    # ---- after a step: evaluate, log, stop, save --------------------------------------------------------------------

    def _after_step(self) -> None:
        if self._evaluation_is_due:
            self._evaluate()
        if not self.position.line:
            return
        self._log()
        signal, saving = self.monitor.decide()
        if signal is not None and not self.is_over:
            self.stop(signal)
        if saving and not self.is_over:
            self.save()

    @property
    def _evaluation_is_due(self) -> bool:
        epochs, rest = divmod(self.position.step, self.per_epoch)
        return self.training.after_epoch is not None and rest == 0 and len(self.position.history) < epochs

    def _evaluate(self) -> None:
        evaluate, epoch = self.training.after_epoch, self.position.step // self.per_epoch
        assert evaluate is not None, "an evaluation is due only if there is one"
        self.module.eval()
        found = self._repeatable(lambda: evaluate(epoch - 1))
        self.position.history.append({"epoch": epoch, **found})
        self.run.append_metrics(step=self.position.step, **self.position.history[-1])

    def _log(self) -> None:
        step, line = self.position.step, self.position.line
        self.position.line = {}
        lr = learning_rate(self.config, step - 1, self.per_epoch)
        self.monitor.log(step, line, epoch=step / self.per_epoch, lr=lr)

    def finish(self) -> dict[str, Any]:
        """The numbers of the result, after the last step.

        Raises:
            Interrupted: a signal asked for a stop in an evaluation, and the state before it is saved.
        """
        self._after_step()  # as in `step`
        self.run.skipped_steps = self.position.skipped
        return self._repeatable(lambda: self.training.finish(self.position.history))

    def _repeatable(self, evaluate: Callable[[], T]) -> T:
        """Run an evaluation; if a stop interrupts it, the state before it is saved, and a resumed job repeats it."""
        try:
            return evaluate()
        except Interrupted as interrupted:
            if self.position.line:
                self.position.line[SPEED] = self.monitor.speed(self.position.step)
            self.stop(interrupted.signal)

    def stop(self, signal: str) -> NoReturn:
        """Save and stop, after every process of the group has agreed.

        Raises:
            Interrupted: always.
        """
        self.save()
        raise self.monitor.interruption(self.position.step, signal)

    def save(self) -> None:
        """Write a checkpoint; every process must take part."""
        stateful = {"module": self.module, "optimizer": self.optimizer, "scaler": self.scaler}
        states = full_state({name: part.state_dict() for name, part in stateful.items()}, keep=self.run.group.is_main)
        if self.run.group.is_main:
            path = self.run.folder / METRICS
            self.position.metrics_bytes = path.stat().st_size if path.exists() else 0
            rest = {"progress": self.position.contents(), "rng": torch.get_rng_state()}
            checkpoint.write(self.run.folder, self.position.step, {**states, **rest})
        self.monitor.saved()
