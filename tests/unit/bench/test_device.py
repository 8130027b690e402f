"""What a figure is measured on."""

import pytest
import torch

from caebench.bench import device as devices


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="--device cuda: PyTorch finds no GPU here"):
        devices.find_device("cuda")
