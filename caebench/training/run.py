"""What a stage gets in addition to its config: its folder, its inputs, the machine."""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from caebench.data.few_shot import draw
from caebench.datasets.errors import DataError
from caebench.datasets.splits import SPLITS, ImageSplit, SceneSplit, Split
from caebench.files.atomic import check_guard
from caebench.files.layout import METRICS
from caebench.files.lines import append_line
from caebench.files.result import read_result
from caebench.specs.inputs.dataset import Data, SyntheticData
from caebench.specs.progress import Progress, no_progress
from caebench.specs.site import LOADERS, Site
from caebench.training.distributed import Group
from caebench.training.repeating import Repetition
from caebench.training.signals import Interrupted, StopRequest, first_raised

log = logging.getLogger("caebench")


@dataclass
class Run:
    """One attempt at one job."""

    folder: Path
    inputs: Mapping[str, Path]  # role ("data", "encoder", "tokenizer") -> folder of the finished job
    site: Site
    group: Group
    progress: Progress = no_progress
    fingerprints: dict[str, str] = field(default_factory=dict)  # "imagenet1k/train" -> fingerprint, as the job saw it
    optional_inputs: Mapping[str, Path] = field(
        default_factory=dict[str, Path]
    )  # role ("codes") -> folder; may be gone
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)  # 95 %, of metrics; in the main process
    protocol: dict[str, str] = field(default_factory=dict[str, str])  # aspect -> how it was, where the encoder decides
    repetition: Repetition = field(default_factory=Repetition)  # of steps whose loss was not finite
    skipped_steps: list[int] = field(default_factory=list[int])  # steps that the training has left out
    stop: StopRequest = field(default_factory=StopRequest)  # of this process; set by `watch_signals`

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.group.device

    @property
    def num_workers(self) -> int:
        """Data loading processes of this process."""
        default = LOADERS if self.device.type == "cuda" else 0
        return default if self.site.num_workers is None else self.site.num_workers

    def agreed_stop(self) -> str | None:
        """The signal to stop for, from any process of the group; all processes must call this equally often."""
        return first_raised(self.group.any(self.stop.flags))

    def stop_if_asked(self, where: str) -> None:
        """Stop work that can be repeated; all processes of the group must call this equally often.

        Raises:
            Interrupted: a signal asked for a stop, in any process.
        """
        if signal := self.agreed_stop():
            raise Interrupted(f"stopped by {signal} {where}", signal)

    def open_split(self, data: Data, split: Split) -> ImageSplit:
        """List a split of images that have a label each; of few-shot data the drawn training images. See `open`.

        Raises:
            DataError: as `open`; and a class has fewer images than are to be drawn.
        """
        found = self.open(data, split)
        assert isinstance(found, ImageSplit), "a spec has refused other labels"
        if data.few is None or split != "train":
            return found
        drawn = draw(data.few, found, data.size.num_classes)
        self.fingerprints[f"{data.words} draw {data.few.draw}/{split}"] = drawn.fingerprint
        return drawn

    def open_scenes(self, data: Data) -> tuple[SceneSplit, SceneSplit]:
        """Describe both splits of pictures with labels below the image, whose classes are numbered alike; see `open`.

        Raises:
            DataError: the splits name other classes, or in another order.
        """
        train, val = (self.open(data, split) for split in SPLITS)
        assert isinstance(train, SceneSplit) and isinstance(val, SceneSplit), "a spec has refused other labels"
        if train.classes != val.classes:
            what = f"its classes are {', '.join(val.classes)}; those of {train.labels} are {', '.join(train.classes)}"
            raise DataError(val.root / val.labels, what, "Number the classes of both splits alike.")
        return train, val

    def open(self, data: Data, split: Split) -> ImageSplit | SceneSplit:
        """Read a whole split, and note its fingerprint under the name of the data set whose split it is.

        Raises:
            DataError: something is missing or wrong, or an input job saw another content under the same name.
        """
        try:
            found = data.dataset.open(data.roots(self.site.roots, self.inputs), split, data.whole_size)
        except DataError as error:
            if not isinstance(data, SyntheticData) or isinstance(error.__cause__, PermissionError):
                raise
            advice = f"A job rendered it: delete the folder {self.inputs['data']} and run the suite again."
            raise DataError(error.where, error.what, advice) from error
        self._note(f"{data.dataset.owner(split).name}/{split}", found)
        return found

    def _note(self, name: str, found: ImageSplit | SceneSplit) -> None:
        """Record a split's fingerprint, and compare it with those of the input jobs."""
        for role, folder in {**self.inputs, **self.optional_inputs}.items():
            seen = read_result(folder).get("fingerprints", {}).get(name)
            if seen not in (None, found.fingerprint):
                what = f"{name} has fingerprint {found.fingerprint}, but the {role} job saw {seen} ({folder})"
                raise DataError(found.root, what, "Point the site file to the data that job saw, or run it again.")
        self.fingerprints[name] = found.fingerprint

    def adapt(self, modules: Iterable[nn.Module]) -> None:
        """Compile modules, and recompute an encoder's blocks, if the site asks for it; no number changes."""
        for module in modules:
            module.recomputed = self.site.activation_checkpointing  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType] a plain attribute, which `models.vit.through` reads
            if self.site.compile:
                module.compile()

    def append_metrics(self, **values: Any) -> None:
        """Add one line to `metrics.jsonl`, in the main process only."""
        if self.group.is_main:
            check_guard(self.folder / METRICS)
            append_line(self.folder / METRICS, values)


def truncate_metrics(run: Run, num_bytes: int) -> None:
    """Remove the lines that were written after the checkpoint."""
    path = run.folder / METRICS
    if path.exists():
        os.truncate(path, min(num_bytes, path.stat().st_size))
