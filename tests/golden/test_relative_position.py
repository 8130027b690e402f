"""Bias tables on other grids, as the official loaders of BEiT and CAE make them (tests/golden/README.md)."""

import re

import pytest
import torch
from safetensors.torch import load_file

from caebench.models.attention import RelativePositionBias, resample_table
from tests.golden.reference import FOLDER

TABLES = load_file(FOLDER / "relative_position.safetensors")
PAIRS = sorted({name.split("/")[0] for name in TABLES})


def test_there_is_something_to_compare():
    assert len(PAIRS) >= 3


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_table_is_resampled_as_by_the_official_loaders(pair, dtype):
    target = int(re.fullmatch(r"\d+to(\d+)", pair)[1])
    table, expected = TABLES[f"{pair}/table"], TABLES[f"{pair}/resampled"]
    class_token = torch.randn(3, table.shape[1], dtype=torch.float64)
    ours = resample_table(torch.cat([table, class_token]).to(dtype), (target, target)).double()
    torch.testing.assert_close(ours[:-3], expected, rtol=0, atol=1e-6 * expected.abs().max().item())
    torch.testing.assert_close(ours[-3:], class_token.to(dtype).double(), rtol=0, atol=0)


@pytest.mark.parametrize("grid", [(9, 9), (5, 12), (3, 3)])
def test_neighbours_keep_their_bias_on_any_grid(grid):
    table = torch.randn(11**2 + 3, 2)
    ours = resample_table(table, grid)[:-3].unflatten(0, [2 * side - 1 for side in grid])
    centre = [side - 1 for side in grid]
    middle = table[:-3].unflatten(0, (11, 11))[4:7, 4:7]
    near = ours[centre[0] - 1 : centre[0] + 2, centre[1] - 1 : centre[1] + 2]
    torch.testing.assert_close(near, middle, rtol=0, atol=1e-6)


def test_a_gradient_reaches_every_entry_of_a_resampled_table():
    bias = RelativePositionBias(6, num_heads=2)
    bias((8, 8)).sum().backward()
    assert bool((bias.table.grad != 0).all())
