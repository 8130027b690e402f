"""What a step holds, and what it needs at its peak."""

import pytest
import torch

from caebench.bench.memory import bytes_of, peak_bytes


def test_shared_storage_counts_once():
    one = torch.zeros(100)
    assert bytes_of([one, one[:50], torch.zeros(10)]) == 440


def test_the_peak_of_a_step_is_what_it_needed(device):
    needed = peak_bytes(lambda: torch.ones(30_000_000).sum(), device)
    if needed is None:
        pytest.skip("this system does not report the peak memory of a process")
    assert needed == pytest.approx(120e6, rel=0.3)
