"""Probes of one encoder behind one pass of it (ADR 20): each image and epoch is encoded once, for all heads.

Every probe is trained by the loop of every training, with its own batch, optimizer, checkpoints and folder. They
share the order of the samples, and so an epoch is walked once, in pieces that divide every batch. A probe that fails
leaves the others; probes that were saved at different steps meet again where the last of them stands.
"""

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from caebench.config.base import Config
from caebench.config.stage import AttentiveProbe, LinearProbe, LinearProbeGrid
from caebench.data.crops import collate as collate_crops
from caebench.data.loading import Key, Samples, Steps, training_loader
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.transforms import Crop, Pixels
from caebench.tasks.linear_grid import make_linear_probe_grid
from caebench.tasks.probes import (
    Augmentation,
    MakeProbe,
    Part,
    Probe,
    make_attentive_probe,
    make_linear_probe,
    show,
)
from caebench.training.distributed import Group
from caebench.training.journal import Diverged
from caebench.training.loop import Batch, autocast, micro_batch, to_device, train
from caebench.training.run import Run
from caebench.training.signals import Interrupted, StopRequest, watch_signals

MAKERS: Mapping[type[Config], MakeProbe] = {
    LinearProbe: make_linear_probe,
    LinearProbeGrid: make_linear_probe_grid,
    AttentiveProbe: make_attentive_probe,
}
Ended = Callable[[int, dict[str, Any] | Exception], None]  # which job; the numbers of its result, or why it has none


class SeveralViews:
    """An image as each augmentation shows it; views that are equal, as most are, are one (collated by `collate`)."""

    def __init__(self, augmentations: Sequence[Augmentation], seed: int) -> None:
        self.transforms, self.seed = [augmentation.transform() for augmentation in augmentations], seed
        self.takes_pixels = True

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key) -> dict[str, Any]:
        """The different views, or the crops that the device makes them of, and which of them each augmentation made."""
        views: list[dict[str, Tensor | Crop]] = []
        places: list[int] = []
        for transform in self.transforms:
            with seeded(derive(Purpose.VIEW, self.seed, *key)):
                view = show(image, transform)
            same = (place for place, other in enumerate(views) if _equal(view, other))
            places.append(next(same, len(views)))
            views += [view] if places[-1] == len(views) else []
        return {"views": views, "places": places, "label": label, "index": key[1]}


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """All different views in a row, or their crops; and each augmentation's batch, as rows of them."""
    rows: list[list[int]] = []
    views: list[dict[str, Any]] = []
    for sample in samples:
        rows.append([len(views) + place for place in sample["places"]])
        views += sample["views"]
    numbers = {name: torch.tensor([sample[name] for sample in samples]) for name in ("label", "index")}
    return {**collate_crops(views), "rows": torch.tensor(rows).T.contiguous(), **numbers}


def _equal(one: Mapping[str, Tensor | Crop], other: Mapping[str, Tensor | Crop]) -> bool:
    (ours,), (theirs,) = one.values(), other.values()
    if isinstance(ours, Crop) and isinstance(theirs, Crop):
        return ours.flipped == theirs.flipped and torch.equal(ours.pixels, theirs.pixels)
    return isinstance(ours, Tensor) and isinstance(theirs, Tensor) and torch.equal(ours, theirs)


@dataclass
class Learner:
    """One probe of the pass: its loop, and what has come of its next batch."""

    number: int  # of the job
    probe: Probe
    steps: Generator[int, Batch, list[dict[str, Any]]]
    step: int  # that it wants next
    pieces: list[Batch] = field(default_factory=list[Batch])
    is_over: bool = False

    def begin(self) -> None:
        """Go to the first step, or to the one after the last checkpoint.

        Raises:
            StopIteration: the training was over; with its history.
        """
        self.step = next(self.steps)

    def wanted(self, piece: int, pieces_per_epoch: int) -> int:
        """The number of the piece that it waits for, from the first epoch on, in pieces of so many images."""
        epoch, within = divmod(self.step, self.probe.training.steps_per_epoch)
        return epoch * pieces_per_epoch + within * self._num_pieces(piece) + len(self.pieces)

    def take(self, batch: Batch, piece: int) -> None:
        """Add a piece of its next batch, and train where that is whole.

        Raises:
            StopIteration: the training is over; with its history.
        """
        self.pieces.append(batch)
        if len(self.pieces) == self._num_pieces(piece):
            whole = {name: torch.cat([part[name] for part in self.pieces]) for name in batch}
            self.pieces = []
            self.step = self.steps.send(whole)

    def _num_pieces(self, piece: int) -> int:
        return self.probe.training.config.global_batch // piece


def probe(config: Config, run: Run) -> dict[str, Any]:
    """Train one probe: a pass of its own."""
    found: list[dict[str, Any] | Exception] = []
    run_pass([(config, run)], lambda _, end: found.append(end))
    (end,) = found
    if isinstance(end, Exception):
        raise end
    return end


def run_pass(jobs: Sequence[tuple[Config, Run]], ended: Ended) -> None:
    """Train the probes of one encoder together; `ended` hears of each as it ends, or fails, or was stopped."""
    with watch_signals() as stop:
        learners = list(_start(jobs, stop, ended))
        if not learners:
            return
        augmentations = list(dict.fromkeys(learner.probe.augmentation for learner in learners))
        group = jobs[0][1].group
        piece = _piece(learners, group)
        per_epoch = len(learners[0].probe.training.samples) // piece
        first = min(learner.wanted(piece, per_epoch) for learner in learners)
        for number, batch in enumerate(_pieces(learners, augmentations, piece, first, jobs[0][1]), first):
            takers = [learner for learner in learners if learner.wanted(piece, per_epoch) == number]
            features = _encode(takers, batch, jobs[0][1]) if takers else {}
            for learner in takers:
                rows = batch["rows"][augmentations.index(learner.probe.augmentation)]
                own = {part: features[part][rows] for part in learner.probe.parts}
                _advance(learner, partial(learner.take, {**own, **_labels(batch)}, piece), group, ended)
            learners = [learner for learner in learners if not learner.is_over]
            if not learners:
                return


def _start(jobs: Sequence[tuple[Config, Run]], stop: StopRequest, ended: Ended) -> Iterator[Learner]:
    encoder = None
    for number, (config, run) in enumerate(jobs):
        try:
            probe = MAKERS[type(config)](config, run, encoder)
        except Exception as error:  # as any job, it may fail in any way
            _refuse_to_part(error, run.group)
            ended(number, error)
            continue
        encoder = probe.frozen.encoder
        learner = Learner(number, probe, train(probe.training, run, stop), 0)
        _advance(learner, learner.begin, run.group, ended)
        if not learner.is_over:
            yield learner


def _piece(learners: Sequence[Learner], group: Group) -> int:
    """The most images that fit the devices and divide every batch: no host keeps a batch of 16,384 images either."""
    common = math.gcd(*(learner.probe.training.config.global_batch for learner in learners))
    return group.size * micro_batch(common, group, learners[0].probe.frozen.chunk)


def _advance(learner: Learner, move: Callable[[], None], group: Group, ended: Ended) -> None:
    """Let one probe go on; its end and its failure are its own."""
    learner.is_over = True
    try:
        move()
        learner.is_over = False
    except StopIteration as end:
        try:
            ended(learner.number, learner.probe.finish(end.value))
        except Exception as error:  # as in `_start`
            _refuse_to_part(error, group)
            ended(learner.number, error)
    except Exception as error:  # as in `_start`; a stop among them
        _refuse_to_part(error, group)
        ended(learner.number, error)


def _refuse_to_part(error: Exception, group: Group) -> None:
    """Of several processes, one cannot leave a probe that the others go on with: then the whole pass fails.

    Raises:
        Exception: the error, unless every process has it.
    """
    if group.size > 1 and not isinstance(error, Interrupted | Diverged):
        raise error


def _pieces(
    learners: Sequence[Learner], augmentations: Sequence[Augmentation], piece: int, first: int, run: Run
) -> Iterator[Batch]:
    """The epochs in pieces, from `first` on to the longest schedule's end: this process's share of each."""
    training = learners[0].probe.training
    samples = Samples(training.samples.split, SeveralViews(augmentations, training.seed), run.site.resize)
    epochs = max(learner.probe.training.config.epochs for learner in learners)
    steps = Steps(
        len(samples),
        piece,
        seed=training.seed,
        start=first,
        stop=epochs * (len(samples) // piece),
        rank=run.group.rank,
        size=run.group.size,
        micro=piece // run.group.size,
    )
    for batch in training_loader(samples, steps, run.num_workers, collate):
        yield to_device(batch, run.device)


def _encode(takers: Sequence[Learner], batch: Batch, run: Run) -> dict[Part, Tensor]:
    """What any of the probes reads, of every view."""
    parts: list[Part] = list(dict.fromkeys(part for learner in takers for part in learner.probe.parts))
    first = takers[0].probe
    with autocast(run.device, first.training.config.precision):
        return first.frozen.read(batch["image"], parts)


def _labels(batch: Batch) -> Batch:
    return {name: batch[name] for name in ("label", "index")}
