"""Tensors that are no plain numbers: one clear line where they are the encoder's, and no crash where they are not."""

import re

import pytest
import torch

from caebench.checkpoints import load_encoder
from caebench.checkpoints.inspection import inspect
from caebench.checkpoints.tensors import not_finite
from tests.unit.checkpoints.layouts import make, plain
from tests.unit.checkpoints.test_loading import save

KEY = "blocks.0.mlp.fc1.weight"
INDEX = "rel_pos_bias.relative_position_index"
QUANTISED = torch.quantize_per_tensor(torch.ones(192, 48), 0.1, 0, torch.qint8)
DENSE = "is not a dense tensor"
FAULTS = {
    "sparse": (lambda t: t.to_sparse(), f"{DENSE} (torch.sparse_coo). Give a checkpoint of plain tensors."),
    "nested": (
        lambda t: torch.nested.nested_tensor([t.flatten(), t.flatten()[:2]]),
        f"{DENSE} (nested). Give a checkpoint of plain tensors.",
    ),
    "quantised": (
        lambda t: QUANTISED,
        f"{DENSE} (quantised, torch.qint8). Give the file from before quantisation.",
    ),
    "meta": (lambda t: t.to("meta"), "has no numbers (device meta). Save it from a model that has its weights."),
    "claims": (
        lambda t: torch.zeros(1).expand(10**6, 10**6),
        "claims more numbers than the file has. Do not use it.",
    ),
    **{
        str(kind): (
            lambda t, kind=kind: t.to(kind),
            f"has type {kind}, expected floating-point numbers. Give the file before it was converted.",
        )
        for kind in (torch.int8, torch.int64, torch.bool, torch.complex64)
    },
}


@pytest.fixture
def state():
    return plain(make(positions="learnt", layer_scale=None))


@pytest.mark.parametrize("read", [load_encoder, inspect])
@pytest.mark.parametrize("key", [KEY, "pos_embed", "patch_embed.proj.weight"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:.*prototype")
def test_a_tensor_that_is_no_plain_numbers_is_one_clear_line(tmp_path, state, fault, key, read):
    change, said = FAULTS[fault]
    path = save({**state, key: change(state[key])}, tmp_path)
    line = re.escape(f"{path}: '{key}' {said}")
    with pytest.raises(ValueError, match=f"^{line}$"):
        read(path, num_heads=3)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:.*prototype")
def test_an_unused_tensor_may_be_anything(tmp_path, state, fault):
    found = inspect(save({**state, "head.weight": FAULTS[fault][0](torch.ones(192, 48))}, tmp_path), 3)
    assert (found["problems"], found["not_finite"]) == ([], {})


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:.*prototype")
def test_an_index_that_cannot_be_read_is_in_another_order(tmp_path, state, fault):
    path = save({**state, INDEX: FAULTS[fault][0](torch.ones(192, 48))}, tmp_path)
    (problem,) = inspect(path, 3, "timm")["problems"]
    assert f"{INDEX}: has the offsets in another order than this bias" in problem


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_float8_becomes_float32(tmp_path, state, kind, name):
    path = save({key: tensor.to(kind) for key, tensor in state.items()}, tmp_path, name)
    loaded = load_encoder(path, num_heads=3)
    assert torch.equal(loaded.blocks[0].mlp.fc1.weight, state[KEY].to(kind).float())
    assert inspect(path, 3)["precision"] == [str(kind).removeprefix("torch.")]


def test_nan_in_float8_is_named(tmp_path, state):
    state[KEY][0, 0] = float("nan")
    path = save({**state, KEY: state[KEY].to(torch.float8_e4m3fn)}, tmp_path)
    assert inspect(path, 3)["problems"] == [
        f"{path}: NaN or Inf in 1 of the encoder's tensors, first in '{KEY}'. Get the file again."
    ]


def test_a_view_of_a_larger_storage_is_read_and_not_more(tmp_path, state):
    state[KEY] = torch.cat([state[KEY], state[KEY] + 1])[192:]
    loaded = load_encoder(save(state, tmp_path), num_heads=3)
    assert torch.equal(loaded.blocks[0].mlp.fc1.weight, state[KEY])


@pytest.mark.parametrize("shape", [(0, 3, 16, 16), (48, 3, 0, 0)])
def test_a_patch_embedding_without_numbers_is_refused(tmp_path, state, shape):
    path = save({**state, "patch_embed.proj.weight": torch.zeros(shape)}, tmp_path)
    said = re.escape(f"{path}: patch embedding {shape}, expected (dim, 3, patch, patch).")
    with pytest.raises(ValueError, match=f"^{said}$"):
        load_encoder(path, num_heads=3)


def test_a_grid_whose_index_of_the_bias_would_fill_the_memory_is_refused(tmp_path, state):
    state["pos_embed"] = torch.zeros(1, 500**2 + 1, 4)
    state["cls_token"] = torch.zeros(1, 1, 4)
    path = save({**state, "rel_pos_bias.relative_position_bias_table": torch.zeros(8, 3)}, tmp_path)
    with pytest.raises(ValueError, match="a relative position bias on 500 x 500 patches; 100 is the largest"):
        load_encoder(path, num_heads=3)


def test_numbers_that_float32_does_not_have_are_not_finite():
    assert not_finite({"a": torch.full((2,), 1e300, dtype=torch.float64)}) == {"a": 2}
