"""Probes of one encoder behind one pass of it (ADR 20): each image and epoch is encoded once, for all heads.

Every probe has a trainer as any other training has, with its own batch, optimizer, checkpoints and folder. They
share the order of the samples, and so an epoch is walked once, in pieces that divide every batch. A probe that fails
leaves the others; probes that were saved at different steps meet again where the last of them stands.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from caebench.data.loading import Samples, Steps, training_loader
from caebench.data.samples.shared_pass import Augmentation, SeveralViews, collate
from caebench.specs.base import Config
from caebench.specs.evaluations.attentive_probe import AttentiveProbe
from caebench.specs.evaluations.linear_probe import LinearProbe
from caebench.specs.evaluations.linear_probe_grid import LinearProbeGrid
from caebench.tasks.linear_grid import make_linear_probe_grid
from caebench.tasks.probes import MakeProbe, Part, Probe, make_attentive_probe, make_linear_probe
from caebench.training.distributed import Group
from caebench.training.hooks import LOG_EVERY
from caebench.training.repeating import Diverged
from caebench.training.run import Run
from caebench.training.signals import Interrupted, watch_signals
from caebench.training.step import Batch, autocast, micro_batch, to_device
from caebench.training.stopping import StopInterval
from caebench.training.trainer import Trainer

MAKERS: Mapping[type[Config], MakeProbe] = {
    LinearProbe: make_linear_probe,
    LinearProbeGrid: make_linear_probe_grid,
    AttentiveProbe: make_attentive_probe,
}
Ended = Callable[[int, dict[str, Any] | Exception], None]  # which job; the numbers of its result, or why it has none


@dataclass(eq=False)
class Learner:
    """One probe of the pass: its trainer, and what has come of its next batch."""

    number: int  # of the job
    probe: Probe
    trainer: Trainer
    pieces: list[Batch] = field(default_factory=list[Batch])

    def wanted(self, piece: int, pieces_per_epoch: int) -> int:
        """The number of the piece that it waits for, from the first epoch on, in pieces of so many images."""
        epoch, within = divmod(self.trainer.position.step, self.trainer.per_epoch)
        return epoch * pieces_per_epoch + within * self._num_pieces(piece) + len(self.pieces)

    def take(self, batch: Batch, piece: int) -> None:
        """Add a piece of its next batch, and train where that is whole.

        Raises:
            Interrupted: a signal asked for a stop, and the state is saved.
            Diverged: the loss is not finite.
        """
        self.pieces.append(batch)
        if len(self.pieces) == self._num_pieces(piece):
            whole = {name: torch.cat([part[name] for part in self.pieces]) for name in batch}
            self.pieces = []
            self.trainer.step([whole])

    def _num_pieces(self, piece: int) -> int:
        return self.trainer.config.global_batch // piece


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
    with watch_signals(*(run.stop for _, run in jobs)):
        Pass(jobs, ended).run_to_end()


class Pass:
    """Trainers of several probes, and the encoder whose features they share."""

    def __init__(self, jobs: Sequence[tuple[Config, Run]], ended: Ended) -> None:
        self.jobs, self.ended, self.run = jobs, ended, jobs[0][1]
        self.learners: list[Learner] = []  # those at work
        self.stopped_by: str | None = None  # the signal; then all are stopped, whatever their step

    def run_to_end(self) -> None:
        """Give every probe its batches until all are over, or stopped."""
        self._start()
        if not self.learners:
            return
        augmentations = list(dict.fromkeys(learner.probe.augmentation for learner in self.learners))
        piece = _piece(self.learners, self.run.group)
        per_epoch = len(self.learners[0].probe.training.samples) // piece
        first = min(learner.wanted(piece, per_epoch) for learner in self.learners)
        interval = StopInterval(self.run.group, first)
        for number, batch in enumerate(_pieces(self.learners, augmentations, piece, first, self.run), first):
            takers = [learner for learner in self.learners if learner.wanted(piece, per_epoch) == number]
            features = _encode(takers, batch, self.run) if takers else {}
            for learner in takers:
                rows = batch["rows"][augmentations.index(learner.probe.augmentation)]
                own = {part: features[part][rows] for part in learner.probe.parts}
                self._advance(learner, partial(learner.take, {**own, **_labels(batch)}, piece))
            self._ask(number, interval)
            self._stop_if_asked()
            if not self.learners:
                return

    def _ask(self, number: int, interval: StopInterval) -> None:
        """Ask between pieces, too: a batch of 16,384 images may take minutes."""
        if number % LOG_EVERY == 0:
            interval.measure(number)
        if interval.is_over(number) and self.stopped_by is None:
            self.stopped_by = self.run.agreed_stop()

    def _start(self) -> None:
        """Make every probe and its trainer; one whose training was over ends here."""
        encoder = None
        for number, (config, run) in enumerate(self.jobs):
            try:
                probe = MAKERS[type(config)](config, run, encoder)
                encoder = probe.frozen.encoder
                learner = Learner(number, probe, Trainer(probe.training, run))
            except Exception as error:  # as any job, it may fail in any way
                self._leave_out(number, error)
                continue
            self.learners.append(learner)
            self._advance(learner, lambda: None)
        self._stop_if_asked()

    def _advance(self, learner: Learner, move: Callable[[], None]) -> None:
        """Move one probe on; its end and its failure are its own."""
        is_over = True
        try:
            move()
            is_over = learner.trainer.is_over
            if is_over:
                self.ended(learner.number, learner.trainer.finish())
        except Exception as error:  # as in `_start`; a stop among them
            self._leave_out(learner.number, error)
        if is_over:
            self.learners.remove(learner)

    def _leave_out(self, number: int, error: Exception) -> None:
        """A job of the pass has failed, or was stopped."""
        check_same_error(error, self.run.group)
        if isinstance(error, Interrupted):
            self.stopped_by = error.signal
        self.ended(number, error)

    def _stop_if_asked(self) -> None:
        """Stop all probes where they are: the processes have agreed on it, in one's evaluation perhaps."""
        if self.stopped_by is not None:
            for learner in list(self.learners):
                self._advance(learner, partial(learner.trainer.stop, self.stopped_by))


def _piece(learners: Sequence[Learner], group: Group) -> int:
    """The most images that fit the devices and divide every batch: no host keeps a batch of 16,384 images either."""
    common = math.gcd(*(learner.trainer.config.global_batch for learner in learners))
    return group.size * micro_batch(common, group, learners[0].probe.frozen.chunk)


def check_same_error(error: Exception, group: Group) -> None:
    """One of several processes cannot leave a probe that the others still train: then the complete pass fails.

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
    epochs = max(learner.trainer.config.epochs for learner in learners)
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
