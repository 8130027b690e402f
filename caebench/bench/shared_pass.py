"""A shared-encoder pass (13 linear probes on 3 features, an attentive probe) and k-NN, compared with a linear probe."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from caebench.bench.frozen import make_encoder
from caebench.bench.settings import Settings
from caebench.bench.timing import Seconds, interleave, paired
from caebench.checkpoints.encoder_file import save_encoder
from caebench.datasets.synthetic.world import render
from caebench.files.layout import ENCODER, RESULT, WORLD
from caebench.specs.base import Config
from caebench.specs.evaluations.attentive_probe import attentive_probe
from caebench.specs.evaluations.knn import knn
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.evaluations.linear_probe_grid import linear_probe_grid
from caebench.specs.inputs.dataset import SyntheticData
from caebench.specs.optim import Optimization
from caebench.specs.site import Site
from caebench.specs.world import World
from caebench.stages import run_stages
from caebench.training.distributed import Group, join_group
from caebench.training.run import Run

EPOCHS = 5  # of the recipes' 90
SIDE = 500  # pixels of an image
CLASSES = 10  # of the synthetic images, each of which has one at least


class Jobs:
    """Rendered images, an encoder, and the probes on them; each run has its own folder."""

    def __init__(self, folder: Path, settings: Settings, device: torch.device) -> None:
        self.folder, self.settings, self.numbers = folder, settings, count()
        self.group: Group = join_group(device.type)
        self.site = Site(store=folder, device="cpu" if device.type == "cpu" else "cuda", compile=settings.compiled)
        num_val = max(CLASSES, settings.batch // 4)
        world = World(kind="world", image_size=SIDE, num_train=settings.batch, num_val=num_val)
        self.data = SyntheticData(kind="synthetic", name="imagenet1k", world=world)
        self.inputs = {"data": folder / "data", "encoder": folder / "encoder"}
        render(world.amounts([self.data.name]), self.inputs["data"] / WORLD)
        self.inputs["encoder"].mkdir()
        save_encoder(make_encoder(settings._replace(compiled=False), device), self.inputs["encoder"] / ENCODER)
        for finished in self.inputs.values():
            (finished / RESULT).write_text("{}", encoding="utf8")

    def run(self, *configs: Config) -> None:
        """Run probes in one shared-encoder pass, or another job alone.

        Raises:
            Exception: one failed.
        """
        runs = [self._run() for _ in configs]
        run_stages(list(zip(configs, runs, strict=True)), _raise)

    def _run(self) -> Run:
        folder = self.folder / f"run-{next(self.numbers)}"
        folder.mkdir()
        return Run(folder, self.inputs, self.site, self.group)

    def linear(self) -> list[Config]:
        """The linear probe alone."""
        found = linear_probe()
        return [found.replace(**self._small(found.optimization, 1))]

    def pass_jobs(self) -> list[Config]:
        """The probes of the pass: the grid, and the attentive probe with the same crop."""
        grid, attentive = linear_probe_grid(), attentive_probe().replace(crop="one_try")
        return [
            grid.replace(**self._small(grid.optimization, 1)),
            attentive.replace(**self._small(attentive.optimization, 2)),
        ]

    def neighbours(self) -> list[Config]:
        """k-NN, which reads each image once."""
        precision = self.settings.config.optimization.precision
        size = self.settings.config.image_size
        return [knn().replace(data=self.data, image_size=size, k=(1,), precision=precision)]

    def _small(self, optimization: Optimization, divisor: int) -> dict[str, Any]:
        small = optimization.replace(
            epochs=EPOCHS,
            warmup_epochs=1,
            global_batch=self.settings.batch // divisor,
            precision=self.settings.config.optimization.precision,
        )
        return {"data": self.data, "image_size": self.settings.config.image_size, "optimization": small}


def _raise(number: int, found: dict[str, Any] | Exception) -> None:
    if isinstance(found, Exception):
        raise found


def bench_pass(settings: Settings, device: torch.device) -> dict[str, Any]:
    """The pass, k-NN and the linear probe, interleaved; k-NN is weighted as once in 90 epochs.

    Raises:
        ValueError: the batch is odd, or too small.
    """
    if settings.batch % 2 or settings.batch < CLASSES:
        raise ValueError(
            f"--batch {settings.batch}: the attentive probe's batch is half of it, and there are {CLASSES} classes. "
            f"Give an even number of at least {CLASSES}."
        )
    with TemporaryDirectory() as name:
        jobs = Jobs(Path(name), settings, device)
        lists = {"linear": jobs.linear(), "pass": jobs.pass_jobs(), "knn": jobs.neighbours()}
        things: dict[str, Callable[[], None]] = {key: lambda some=some: jobs.run(*some) for key, some in lists.items()}
        times = interleave(things, device, warm_up=min(1, settings.warm_up), repeats=settings.repeats)
        epochs = linear_probe().optimization.epochs
    share = EPOCHS / epochs
    all_of_it = Seconds(tuple(a + share * b for a, b in zip(times["pass"].rounds, times["knn"].rounds, strict=True)))
    return {
        "epochs": EPOCHS,
        "images": {"train": settings.batch, "val": jobs.data.world.num_val, "side": SIDE},
        "seconds": {key: seconds.median for key, seconds in times.items()},
        "rounds": {key: list(seconds.rounds) for key, seconds in times.items()},
        "pass_over_linear": paired(times["pass"], times["linear"])._asdict(),
        "with_knn_over_linear": paired(all_of_it, times["linear"])._asdict(),
    }
