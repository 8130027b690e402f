"""mmengine's Runner under caebench's contract: its train loop, optimizer constructor and data are made here.

mmengine's own checkpoints, logs, seeds and resume are off. Killed and resumed equals uninterrupted: step n takes its
samples by (epoch, index), its other random numbers from a generator seeded for it, all else from the checkpoint.
"""

import shutil
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook, ParamSchedulerHook
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import AmpOptimWrapper, LinearLR, MultiStepLR, OptimWrapper, PolyLR
from mmengine.registry import LOOPS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from caebench.checkpoints.encoder_file import stats_of
from caebench.data.loaders import Loader
from caebench.data.loading import Grouping, Key, Steps
from caebench.data.randomness import Purpose, derive, seeded_everywhere
from caebench.files.layout import METRICS
from caebench.models.pyramid import FrozenEncoder, PyramidEncoder
from caebench.models.vit import Encoder
from caebench.specs.dense_optim import DenseOptimization
from caebench.specs.optim import Precision
from caebench.specs.variants import Variant
from caebench.training import checkpoint
from caebench.training.evaluation import interruptible
from caebench.training.hooks import LOG_EVERY
from caebench.training.monitor import Monitor
from caebench.training.optim import ParamGroup, encoder_groups, split_decay
from caebench.training.run import Run, log, truncate_metrics
from caebench.training.signals import watch_signals
from caebench.training.step import add_to_means, autocast, micro_batch

MODELS.register_module(name="CaebenchPyramid", module=PyramidEncoder)
MODELS.register_module(name="CaebenchFrozen", module=FrozenEncoder)


def byte_stats(encoder: Encoder) -> list[tuple[float, ...]]:
    """Mean and deviation of the encoder's pixels, of bytes."""
    return [tuple(255.0 * part for part in values) for values in stats_of(encoder)]


class SeededDataset(Dataset[Any]):
    """An OpenMMLab data set whose augmentation comes from (seed, epoch, index)."""

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Any:
        with seeded_everywhere(derive(Purpose.VIEW, self.seed, *key)):
            return self.dataset[key[1]]


class PrecisionOptimWrapper(OptimWrapper):
    """mmengine's wrapper with autocast that works on a CPU too; float16 needs `AmpOptimWrapper`'s scaler."""

    def __init__(self, precision: Precision, device: torch.device, **options: Any) -> None:
        super().__init__(**options)
        self.precision: Precision = precision
        self.device = device

    def optim_context(self, model: nn.Module) -> Any:
        """Autocast around the forward pass."""
        return autocast(self.device, self.precision)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(name="CaebenchLayerDecay")
class LayerDecayConstructor:
    """AdamW with layer-wise decay in the encoder; everything else at the full rate."""

    def __init__(self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Any = None) -> None:
        self.config = cast(DenseOptimization, optim_wrapper_cfg["config"])
        self.accumulations = int(optim_wrapper_cfg["accumulations"])

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """The wrapper with its optimizer."""
        kind = self.config.optimizer
        groups = [
            {
                "params": group["params"],
                "lr": self.config.lr * group["lr_scale"],
                "weight_decay": kind.weight_decay if group["decays"] else 0.0,
            }
            for group in dense_groups(model, self.config.layer_decay)
        ]
        optimizer = torch.optim.AdamW(groups, self.config.lr, (kind.beta1, kind.beta2), kind.eps)
        options: dict[str, Any] = {"optimizer": optimizer, "accumulative_counts": self.accumulations}
        if self.config.precision == "fp16":
            return AmpOptimWrapper(dtype="float16", **options)
        return PrecisionOptimWrapper(self.config.precision, next(model.parameters()).device, **options)


def dense_groups(model: nn.Module, decay: float) -> list[ParamGroup]:
    """The encoder's groups, unless it is frozen, and what stands on it."""
    model = getattr(model, "module", model)
    backbone = cast(PyramidEncoder | FrozenEncoder, model.backbone)
    heads = [part for name, part in model.named_children() if name != "backbone"]
    heads += [part for name, part in backbone.named_children() if name != "encoder"]
    groups = [group for part in heads for group in split_decay(part)]
    return groups if isinstance(backbone, FrozenEncoder) else encoder_groups(backbone.encoder, decay) + groups


def schedulers(config: DenseOptimization) -> list[dict[str, Any]]:
    """Warm-up and decay, in mmengine's words."""
    warmup, total = config.warmup_iterations, config.iterations
    found: list[dict[str, Any]] = []
    if warmup > 1:  # LinearLR needs two steps to rise: with one it stays at its start
        found.append({"type": LinearLR, "start_factor": config.warmup_ratio, "end": warmup, "by_epoch": False})
    if config.schedule == "poly":
        poly = {"type": PolyLR, "power": 1.0, "eta_min": 0.0, "begin": warmup, "end": total, "by_epoch": False}
        return [*found, poly]
    milestones = [round(share * total) for share in config.milestones]
    return [*found, {"type": MultiStepLR, "milestones": milestones, "gamma": 0.1, "by_epoch": False}]


class QuietRunner(Runner):
    """A Runner that keeps its environment, config and hooks to itself."""

    job: "DenseJob"

    def setup_env(self, env_cfg: Any) -> None:
        """Nothing but the rank: start method, threads and file limits stay as caebench has them."""
        self._rank, self._world_size = get_dist_info()
        self._timestamp = ""

    def _log_env(self, env_cfg: Any) -> None:
        pass

    def dump_config(self) -> None:
        """Nothing: the job's own files say it."""


@LOOPS.register_module(name="CaebenchTrainLoop")
class TrainLoop(BaseLoop):
    """mmengine's iteration loop with resuming, logging and stopping as in `training.trainer`."""

    def __init__(self, runner: QuietRunner, dataloader: Any, max_iters: int) -> None:
        self._runner, self.dataloader = runner, dataloader
        self._iter, self._max_iters = 0, max_iters
        self._epoch = 0

    iter = property(lambda self: self._iter)
    epoch = property(lambda self: self._epoch)
    max_iters = property(lambda self: self._max_iters)
    max_epochs = property(lambda self: 1)

    def run(self) -> nn.Module:
        """Train from where the checkpoint stands to the end."""
        runner, job = cast(QuietRunner, self._runner), cast(QuietRunner, self._runner).job
        runner.call_hook("before_train")
        self._iter = job.restore(runner)
        counts = (self._iter * job.accumulations, self._max_iters * job.accumulations)
        cast(OptimWrapper, runner.optim_wrapper).initialize_count_status(runner.model, *counts)
        batches = job.batches(self._iter, self._max_iters)
        total, batch = self._max_iters, job.config.global_batch
        monitor = Monitor(job.run, step=self._iter, total=total, global_batch=batch, lr_field="lr")
        with watch_signals(job.run.stop):
            while self._iter < self._max_iters:
                values = self.run_iter(batches)
                self._iter += 1
                if self._iter % LOG_EVERY == 0 or self._iter == self._max_iters:
                    self._after_step(monitor, values)
                elif signal := monitor.stop_between(self._iter, values):
                    job.save(runner, self._iter)
                    raise monitor.interruption(self._iter, signal)
        runner.call_hook("after_train")
        return runner.model

    def _after_step(self, monitor: Monitor, values: Mapping[str, Tensor]) -> None:
        """Log, save, stop; the last step is always saved, so that an evaluation can be repeated."""
        runner, is_over = cast(QuietRunner, self._runner), self._iter == self._max_iters
        monitor.log(self._iter, monitor.means(values), lr=peak_rate(runner))
        signal, saving = monitor.decide()
        if saving or signal is not None or is_over:
            runner.job.save(runner, self._iter)
            monitor.saved()
        if signal is not None and not is_over:
            raise monitor.interruption(self._iter, signal)

    def run_iter(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        """One optimizer step, in one or more micro-batches."""
        runner, job = cast(QuietRunner, self._runner), cast(QuietRunner, self._runner).job
        model: Any = runner.model
        model.train()
        values: dict[str, Tensor] = {}
        for micro in range(job.accumulations):
            data = next(batches)
            torch.manual_seed(derive(Purpose.DEPTH, job.seed, self._iter, job.run.group.rank, micro))
            add_to_means(values, model.train_step(data, runner.optim_wrapper), job.accumulations)
        runner.call_hook("after_train_iter", batch_idx=self._iter)
        return values


class DenseJob:
    """What the Runner lacks: caebench's batches, checkpoints, metrics and progress."""

    def __init__(
        self,
        run: Run,
        config: DenseOptimization,
        dataset: Any,
        seed: int,
        variant: Variant,
        grouping: Grouping | None = None,
    ) -> None:
        self.run, self.config, self.seed, self.grouping = run, config, seed, grouping
        self.dataset = SeededDataset(dataset, seed)
        if len(self.dataset) < config.global_batch:
            raise ValueError(f"global_batch {config.global_batch}: the split has only {len(self.dataset)} images.")
        self.micro = micro_batch(config.global_batch, run.group, run.site.most_images(variant))
        self.accumulations = config.global_batch // (run.group.size * self.micro)

    @property
    def sync_norm(self) -> bool:
        """Whether batch norm spans the processes: torch has that on GPUs only."""
        return self.run.group.size > 1 and self.run.device.type == "cuda"

    def batches(self, start: int, stop: int) -> Iterator[Any]:
        """The micro-batches of this process from a step on."""
        keys = Steps(
            len(self.dataset),
            self.config.global_batch,
            seed=self.seed,
            start=start,
            stop=stop,
            rank=self.run.group.rank,
            size=self.run.group.size,
            micro=self.micro,
            grouping=self.grouping,
        )
        return iter(
            Loader(self.dataset, batch_sampler=keys, num_workers=self.run.num_workers, collate_fn=pseudo_collate)
        )

    def restore(self, runner: Runner) -> int:
        """Load the newest checkpoint; returns the steps done."""
        saved = checkpoint.read_newest(self.run.folder, self.run.group)
        if saved is not None:
            checkpoint.check_same_model(self.run.folder, bare(runner.model), saved["module"])
            bare(runner.model).load_state_dict(saved["module"])
            cast(OptimWrapper, runner.optim_wrapper).load_state_dict(saved["optimizer"])
            for scheduler, state in zip(cast(list[Any], runner.param_schedulers), saved["schedulers"], strict=True):
                scheduler.load_state_dict(state)
            log.info("resuming at step %d of %d", saved["step"], self.config.iterations)
        if self.run.group.is_main:
            truncate_metrics(self.run, saved["metrics_bytes"] if saved else 0)
        return saved["step"] if saved else 0

    def save(self, runner: Runner, step: int) -> None:
        """Write a checkpoint; the main process only."""
        if self.run.group.is_main:
            state = {
                "step": step,
                "module": bare(runner.model).state_dict(),
                "optimizer": cast(OptimWrapper, runner.optim_wrapper).state_dict(),
                "schedulers": [scheduler.state_dict() for scheduler in cast(list[Any], runner.param_schedulers)],
                "metrics_bytes": (self.run.folder / METRICS).stat().st_size,
            }
            checkpoint.write(self.run.folder, step, state)


def peak_rate(runner: Runner) -> float:
    """The learning rate of what stands on the encoder, which no decay lowers."""
    return max(group["lr"] for group in cast(OptimWrapper, runner.optim_wrapper).param_groups)


def bare(model: nn.Module) -> nn.Module:
    """The model without its wrapper."""
    return getattr(model, "module", model)


def train_and_evaluate(runner: QuietRunner, pictures: Hook) -> dict[str, Any]:
    """Train to the end, or resume; evaluate once; leave nothing of mmengine's.

    Raises:
        Interrupted: a signal asked for a stop; what is lost of an evaluation is repeated.
    """
    run = runner.job.run
    runner.train()
    if run.group.is_main:
        runner.register_hook(pictures)
    found = runner.val()
    if run.group.is_main:
        shutil.rmtree(runner.work_dir)
    return found


def initialise_heads(model: nn.Module) -> None:
    """Give all but the backbone, whose weights are loaded, its first weights; mmengine leaves them alone then."""
    for name, part in model.named_children():
        if name not in ("backbone", "data_preprocessor"):
            cast(Any, part).init_weights()
    cast(Any, model)._is_init = True


class ValidationLoader(DataLoader[Any]):
    """Each image alone, in order, with progress; a signal ends the walk, and is left to the process after it.

    Processes take turns, and the last may repeat an image, which the metric drops: so each has equally many.
    """

    def __init__(self, dataset: Any, run: Run) -> None:
        self.run = run
        sampler = DefaultSampler(dataset, shuffle=False)
        super().__init__(dataset, batch_size=1, sampler=sampler, collate_fn=pseudo_collate)

    def __iter__(self) -> Any:  # torch names the type of its own iterators
        with watch_signals(self.run.stop):
            for number, sample in enumerate(interruptible(super().__iter__(), len(self), self.run), start=1):
                yield sample
                self.run.progress(number, len(self), {})


def make_runner(job: DenseJob, model: nn.Module, val_dataset: Any, evaluator: Any, scope: str) -> QuietRunner:
    """A Runner for a job, on caebench's device and process group."""
    group, config = job.run.group, job.config
    model = model.to(group.device)
    if group.size > 1:
        model = MMDistributedDataParallel(model, broadcast_buffers=False)
    hooks: Any = dict.fromkeys(("runtime_info", "timer", "sampler_seed", "logger", "checkpoint"))
    hooks["param_scheduler"] = ParamSchedulerHook()
    runner = QuietRunner(
        model=model,
        work_dir=str(job.run.folder / "mmengine"),
        train_dataloader=DataLoader(job.dataset, batch_size=1, collate_fn=pseudo_collate),  # the loop has its own
        train_cfg={"type": "CaebenchTrainLoop", "max_iters": config.iterations},
        optim_wrapper={"constructor": "CaebenchLayerDecay", "config": config, "accumulations": job.accumulations},
        param_scheduler=schedulers(config),
        val_dataloader=ValidationLoader(val_dataset, job.run),
        val_cfg={"type": "ValLoop"},
        val_evaluator=evaluator,
        default_hooks=hooks,
        visualizer={"type": "Visualizer", "vis_backends": []},
        log_level="ERROR",
        default_scope=scope,
        randomness={"seed": derive(Purpose.INITIALISATION, job.seed) % 2**31},
        experiment_name=job.run.folder.name,
    )
    runner.job = job
    return runner
