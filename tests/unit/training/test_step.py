"""Shares of the batch."""

import pytest
import torch

from caebench.training.distributed import Group
from caebench.training.step import micro_batch


def shares(global_batch, size, per_device, batch_multiple=1):
    return micro_batch(global_batch, Group(0, size, torch.device("cpu")), per_device, batch_multiple)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((64, 1, None), 64),
        ((64, 2, 256), 32),
        ((64, 1, 48), 32),  # the largest that divides
        ((96, 2, 20), 16),
        ((96, 1, 20, 8), 16),
        ((7, 1, 3), 1),
    ],
)
def test_the_largest_share_that_fits_and_divides(arguments, expected):
    assert shares(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((64, 3, None), "over 3 processes"), ((64, 4, 32, 32), "groups of 32"), ((64, 1, 8, 16), "per_device_batch 8")],
)
def test_a_batch_that_cannot_be_shared_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        shares(*arguments)
