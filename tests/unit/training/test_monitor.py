"""All processes stop together, and know by which signal, whichever of them heard it."""

import pytest
import torch

from caebench.specs.site import Site
from caebench.training.distributed import Group
from caebench.training.monitor import Monitor
from caebench.training.run import Run
from caebench.training.signals import Interrupted


class Pair(Group):
    """Two processes, of which the other has heard a signal."""

    def any(self, flags):
        return [*flags[:-1], True]  # perhaps overdue, TERM, INT, USR1, USR2


@pytest.mark.parametrize(
    ("group", "own", "expected"),
    [(Group, None, None), (Group, "SIGTERM", "SIGTERM"), (Pair, None, "SIGUSR2"), (Pair, "SIGTERM", "SIGTERM")],
)
def test_a_stop_is_everybodys(tmp_path, monkeypatch, group, own, expected):
    monkeypatch.setattr(Group, "any", lambda self, flags: flags)
    run = Run(tmp_path, {}, Site(device="cpu"), group(0, 1, torch.device("cpu")))
    monitor = Monitor(run, step=0, total=100, global_batch=8, lr_field="base_lr")
    run.stop.name = own
    assert monitor.decide() == (expected, False)
    if expected is None:
        run.stop_if_asked("anywhere")
    else:
        with pytest.raises(Interrupted, match=f"stopped by {expected} anywhere") as stopped:
            run.stop_if_asked("anywhere")
        assert stopped.value.signal == expected
