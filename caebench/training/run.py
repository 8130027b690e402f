"""What a stage is given besides its config: its folder, its inputs, the machine."""

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from caebench.config.data import Data, Split
from caebench.config.site import LOADERS, Site
from caebench.config.stage import METRICS_FILE, RESULT
from caebench.data.datasets import ImageSplit, open_split
from caebench.data.errors import DataError
from caebench.data.scenes import SceneSplit, open_scenes
from caebench.training.distributed import Group

log = logging.getLogger("caebench")
Progress = Callable[[int, int, Mapping[str, float]], None]  # done, total, what to show


def no_progress(done: int, total: int, shown: Mapping[str, float]) -> None:
    """For callers that watch nothing."""


@dataclass
class Run:
    """One attempt at one job."""

    folder: Path
    inputs: Mapping[str, Path]  # role ("data", "encoder", "tokenizer") -> folder of the finished job
    site: Site
    group: Group
    progress: Progress = no_progress
    fingerprints: dict[str, str] = field(default_factory=dict)  # "imagenet1k/train" -> fingerprint, as the job saw it
    aids: Mapping[str, Path] = field(default_factory=dict[str, Path])  # role ("codes") -> folder; may be gone
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)  # 95 %, of metrics; in the main process

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.group.device

    @property
    def num_workers(self) -> int:
        """Data loading processes of this process."""
        default = LOADERS if self.device.type == "cuda" else 0
        return default if self.site.num_workers is None else self.site.num_workers

    def open_split(self, data: Data, split: Split) -> ImageSplit:
        """List a split, and note its fingerprint.

        Raises:
            DataError: the split is missing, or an input job saw another content under the same name.
        """
        found = open_split(data, split, self.site.data, self.inputs.get("data"))
        self._note(f"{data.name}/{split}", found)
        return found

    def open_scenes(self, data: Data, split: Split) -> SceneSplit:
        """Check and describe a split of ADE20K, and note its fingerprint.

        Raises:
            DataError: it is not as published, or an input job saw another content under the same name.
        """
        found = open_scenes(data, split, self.site.data, self.inputs.get("data"))
        self._note(f"{data.name}/{split}", found)
        return found

    def _note(self, name: str, found: ImageSplit | SceneSplit) -> None:
        """Keep a split's fingerprint, and compare it with what the input jobs saw."""
        for role, folder in {**self.inputs, **self.aids}.items():
            seen = json.loads((folder / RESULT).read_text(encoding="utf8")).get("fingerprints", {}).get(name)
            if seen not in (None, found.fingerprint):
                what = f"{name} has fingerprint {found.fingerprint}, but the {role} job saw {seen} ({folder})"
                raise DataError(found.root, what, "Point the site file to the data that job saw, or run it again.")
        self.fingerprints[name] = found.fingerprint

    def adapt(self, modules: Iterable[nn.Module]) -> None:
        """Compile modules, and have an encoder's blocks recomputed, where the site asks for it: no number changes."""
        for module in modules:
            module.recomputed = self.site.activation_checkpointing  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType] a plain mark, which `models.vit.through` reads
            if self.site.compile:
                module.compile()

    def append_metrics(self, **values: Any) -> None:
        """Add a line to `metrics.jsonl`; the main process only."""
        if self.group.is_main:
            with (self.folder / METRICS_FILE).open("a", encoding="utf8") as file:
                file.write(json.dumps(values) + "\n")


def truncate_metrics(run: Run, num_bytes: int) -> None:
    """Forget the lines that were written after the checkpoint."""
    path = run.folder / METRICS_FILE
    if path.exists():
        os.truncate(path, min(num_bytes, path.stat().st_size))
