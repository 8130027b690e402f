"""All processes stop together, and know by which signal, whichever of them heard it."""

import pytest
import torch

from caebench.config.site import Site
from caebench.training.distributed import Group
from caebench.training.journal import Journal
from caebench.training.run import Run
from caebench.training.signals import StopRequest


class Pair(Group):
    """Two processes, of which the other has heard a signal."""

    def any(self, flags):
        return [flag or index == 4 for index, flag in enumerate(flags)]  # overdue, TERM, INT, USR1, USR2


@pytest.mark.parametrize(
    ("group", "own", "expected"),
    [(Group, None, None), (Group, "SIGTERM", "SIGTERM"), (Pair, None, "SIGUSR2"), (Pair, "SIGTERM", "SIGTERM")],
)
def test_a_stop_is_everybodys(tmp_path, monkeypatch, group, own, expected):
    monkeypatch.setattr(Group, "any", lambda self, flags: flags)
    run = Run(tmp_path, {}, Site(device="cpu"), group(0, 1, torch.device("cpu")))
    journal, stop = Journal(run, step=0, total=100, global_batch=8, lr_field="base_lr"), StopRequest()
    stop.name = own
    assert journal.decide(stop) == (expected is not None, expected is not None)
    assert journal.interruption(10).signal == expected
