"""Comparing what a file holds with what a model has."""

import torch

from caebench.models.checkpoint import misfits


def test_misfits_name_each_tensor_and_both_shapes():
    expected = {"weight": torch.zeros(4, 8), "bias": torch.zeros(4), "scale": torch.zeros(4)}
    found = {"weight": torch.zeros(4, 6), "scale": torch.zeros(4), "extra": torch.zeros(1)}
    assert misfits(expected, found) == [
        "bias: missing",
        "extra: not part of the model",
        "weight: (4, 6), expected (4, 8)",
    ]
