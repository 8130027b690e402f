"""An evaluation's batches, with a check for a stop between them: an evaluation may outlast a cluster's warning."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from caebench.data.loading import Samples, evaluation_loader
from caebench.training.run import Run
from caebench.training.step import Batch, to_device

T = TypeVar("T")


def evaluation_batches(samples: Samples, run: Run, size: int) -> Iterator[Batch]:
    """This process's share of a split, on its device, each image once.

    Raises:
        Interrupted: a signal asked for a stop, in any process.
    """
    loader = evaluation_loader(samples, run.group.rank, run.group.size, size, run.num_workers)
    for batch in interruptible(loader, most_batches(samples, run, size), run):
        yield to_device(batch, run.device)


def most_batches(samples: Samples, run: Run, size: int) -> int:
    """The largest number of batches that any process has."""
    return -(-len(samples) // (run.group.size * size))


def interruptible(batches: Iterable[T], most: int, run: Run, where: str = "in an evaluation") -> Iterator[T]:
    """The same batches; each process checks `most` times whether to stop, even if it has fewer batches.

    Raises:
        Interrupted: a signal asked for a stop, in any process.
    """
    asked = 0
    for batch in batches:
        run.stop_if_asked(where)
        asked += 1
        yield batch
    for _ in range(asked, most):
        run.stop_if_asked(where)
