"""The cost of a pretraining step compared with another's: both interleaved in one process, on the same images."""

import statistics
import time
from typing import Any

import numpy as np
import torch

from caebench.data.loading import Samples, evaluation_loader
from caebench.methods.builders import build_method
from caebench.specs.evaluations.pretraining_cost import PretrainingCost
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VARIANTS
from caebench.tasks.intervals import Interval
from caebench.tasks.pretrain import load_tokenizer
from caebench.training.optim import make_optimizer, split_decay
from caebench.training.run import Run
from caebench.training.step import Batch, autocast, to_device

WARM_UP = 3  # steps of each that are not counted
RESAMPLES = 1000


def compare_costs(config: PretrainingCost, run: Run) -> dict[str, Any]:
    """Parameters of the model in pretraining, and the median seconds of a step, each as a ratio to `against`.

    A step is what training does with a batch that is there: targets, losses, gradients, update; no data loading. CAE's
    alone: `pretraining_cost` refuses other methods.
    """
    ours, theirs = Stepper(config.pretraining, config, run), Stepper(config.against, config, run)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(WARM_UP + config.num_steps):
        for stepper, seconds in zip((ours, theirs), times, strict=True):
            seconds.append(stepper.step())
        run.progress(number + 1, WARM_UP + config.num_steps, {})
    step, other = (statistics.median(seconds[WARM_UP:]) for seconds in times)
    parameters = ours.num_parameters / theirs.num_parameters
    run.intervals |= {"parameter_ratio": (parameters, parameters), "time_ratio": _interval(*times)}
    return {
        "parameter_ratio": parameters,
        "time_ratio": step / other,
        "num_parameters": ours.num_parameters,
        "step_seconds": step,
        "num_images": ours.num_images,
    }


def _interval(times: list[float], others: list[float]) -> Interval:
    """The middle 95 % of the ratio of medians, over resamples of the turns."""
    turns = np.array([times[WARM_UP:], others[WARM_UP:]])
    draws = np.random.default_rng(0).integers(turns.shape[1], size=(RESAMPLES, turns.shape[1]))
    ours, theirs = np.median(turns[:, draws], axis=2)
    low, high = np.percentile(ours / theirs, (2.5, 97.5)).tolist()
    return low, high


class Stepper:
    """One pretraining's model and optimizer, with a batch that it trains on again and again."""

    def __init__(self, pretraining: Pretrain, config: PretrainingCost, run: Run) -> None:
        self.run, self.optimization = run, pretraining.optimization
        tokenizer = load_tokenizer(pretraining.method, run)
        self.module = build_method(pretraining, tokenizer).to(run.device).train()
        run.adapt([*self.module.blocks, *([tokenizer] if tokenizer else [])])
        self.optimizer = make_optimizer(self.optimization, split_decay(self.module))
        self.num_parameters = self.module.num_parameters
        samples = Samples(run.open_split(pretraining.data, "train"), self.module.make_sampler(pretraining))
        self.num_images = min(config.num_images, run.site.most_images(VARIANTS[pretraining.variant]), len(samples))
        self.batch = self._load(samples)

    def step(self) -> float:
        """One step; its seconds."""
        self._wait()
        started = time.perf_counter()
        with autocast(self.run.device, self.optimization.precision):
            loss = self.module(self.batch)["loss"]
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._wait()
        return time.perf_counter() - started

    def _load(self, samples: Samples) -> Batch:
        batch = next(iter(evaluation_loader(samples, 0, 1, self.num_images, 0)))
        return to_device(batch, self.run.device)

    def _wait(self) -> None:
        if self.run.device.type == "cuda":
            torch.cuda.synchronize()
