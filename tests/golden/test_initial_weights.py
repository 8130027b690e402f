"""How the official ViT-B models start, parameter by parameter (tests/golden/README.md)."""

import csv
import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from caebench.methods.builders import build_method
from caebench.models.heads import AttentiveHead, FinetuneHead
from caebench.specs.registry import SOURCES
from tests.golden.official_names import part, rename
from tests.golden.reference import METHODS

SAMPLING = 5.0  # standard errors of the difference of two samples
CUT = 2.2  # largest value in deviations: of uniform numbers 1.73, of a normal cut at one of them 1.85, of others more


class Row(NamedTuple):
    """What is known of a parameter at its start."""

    name: str
    size: int
    std: float
    mean: float
    highest: float  # of the absolute values


def read_rows() -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    with (METHODS / "initial_weights.csv").open(encoding="utf8", newline="") as file:
        for line in csv.DictReader(file):
            size = math.prod(int(side) for side in line["shape"].split("x"))
            numbers = (float(line[name]) for name in ("std", "mean", "max"))
            rows.setdefault(line["method"], []).append(Row(line["official_parameter"], size, *numbers))
    return rows


ROWS = read_rows()


@pytest.fixture(scope="module", params=sorted(ROWS))
def started(request):
    """A method's name, and the tensors of its ViT-B as it starts, by our names."""
    return request.param, build_method(SOURCES[request.param]("vit_b")).state_dict()


def find(method: str, state: dict[str, Tensor], row: Row) -> Tensor | None:
    """Our tensor for a row, with the zeros that stand for a fixed position of the class token."""
    prefix = "student/" if method in ("dino", "ibot") else ""
    tensor = state.get(rename(method, prefix + row.name))
    if tensor is None:
        assert (row.std, row.mean) == (0.0, 1.0), f"{row.name}: no tensor of ours, and no fixed length of one"
        return None
    tensor = part(row.name, tensor).double()
    missing = row.size - tensor.numel()
    assert missing in (0, tensor.shape[-1]), row.name
    return torch.cat([tensor.flatten(), torch.zeros(missing, dtype=torch.float64)])


def differences(tensor: Tensor, row: Row) -> list[str]:
    """How a tensor's start differs from the official one: spread, mean, range."""
    std, mean, highest = tensor.std(correction=0).item(), tensor.mean().item(), tensor.abs().max().item()
    near = max(0.03, SAMPLING / math.sqrt(row.size))
    found = [f"std {std:.5g}, official {row.std:.5g}"] if abs(std - row.std) > near * row.std + 1e-7 else []
    if abs(mean - row.mean) > SAMPLING * row.std * math.sqrt(2 / row.size) + 1e-7:
        found.append(f"mean {mean:.5g}, official {row.mean:.5g}")
    whole = row.highest > CUT * row.std > 0
    if (highest < CUT * std) if whole else (abs(highest - row.highest) > 0.03 * row.highest):
        found.append(f"largest {highest:.5g}, official {row.highest:.5g}")
    return found


def test_every_parameter_starts_as_officially(started):
    method, state = started
    wrong = {
        row.name: found
        for row in ROWS[method]
        if (tensor := find(method, state, row)) is not None and (found := differences(tensor, row))
    }
    assert wrong == {}


def test_the_table_speaks_of_every_method():
    assert sorted(ROWS) == ["beit", "deit", "dino", "ibot", "mae", "moco_v3"]
    assert all(len(rows) > 100 for rows in ROWS.values())


@pytest.mark.parametrize(
    "layer",
    [
        lambda: AttentiveHead(256, 8, 10).attn.q,
        lambda: AttentiveHead(256, 8, 10).attn.proj,
        lambda: FinetuneHead(256, 256, init_scale=1.0).linear,
    ],
)
def test_heads_of_evaluations_start_with_a_normal_that_is_not_cut(layer):
    """timm's `trunc_normal_`, whose bounds are two, not two deviations (official modeling_finetune.py)."""
    row = Row("weight", 256 * 256, 0.02, 0.0, 0.09)
    assert differences(layer().weight.detach().double(), row) == []
