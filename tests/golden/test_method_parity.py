"""One step of six methods against their official code, by files that it made (tests/golden/README.md)."""

import json
import re
from functools import cache

import pytest
import torch

from caebench.training.distributed import join_group
from tests.golden.official_steps import STEPS, run_all
from tests.golden.reference import METHODS

# As relative errors: of losses, of outputs by their largest value, of the norms of gradients and of changes.
TOLERANCES = dict.fromkeys(STEPS, (1e-06, 5e-06, 1e-05)) | {"moco_v3": (1e-6, 2e-5, 5e-5)}
PROBE = 1e-4  # of the norm: how far an inner product may be off
# Mathematically zero, so that only rounding is left: batch norm takes a shift of all samples away, and the mean of two
# equal positions is what they are.
ROUNDING = {
    "moco_v3": (r"base_encoder\.norm\.bias$", r"^after/predictor\.1\.running_mean$", r"after_change_.*\.pos_embed$")
}
run_once = cache(run_all)


@pytest.fixture(scope="module", autouse=True)
def group():
    return join_group("cpu")


def errors(method):
    """How far each value is off, as a share of what is allowed; and that every value is there."""
    ours, expected = run_once(method)
    ignored = [re.compile(pattern) for pattern in ROUNDING.get(method, ())]
    known = {name for name in expected if not any(pattern.search(name) for pattern in ignored)}
    assert not known - ours.keys(), f"not computed here: {sorted(known - ours.keys())[:8]}"
    return {name: error(name, ours[name].double(), expected, TOLERANCES[method]) for name in sorted(known)}


def error(name, ours, expected, tolerances):
    """How far a value is off, and how far it may be; both in its own unit."""
    of_loss, of_output, of_norm = tolerances
    theirs = expected[name].double()
    assert ours.shape == theirs.shape or theirs.numel() == 1, name
    off = (ours.reshape(theirs.shape) - theirs).abs().max().item()
    if "_probe/" in name:
        return off, PROBE * expected[name.replace("_probe/", "_norm/")].item()
    if "_norm/" in name:
        return off, of_norm * theirs.item()
    scale = theirs.abs().max().item()
    return off, (of_loss if theirs.ndim == 0 else of_output) * scale


@pytest.mark.parametrize("method", STEPS)
def test_a_step_is_the_official_one(method):
    wrong = {name: pair for name, pair in errors(method).items() if pair[0] > pair[1]}
    assert not wrong, json.dumps(wrong, indent=1)


@pytest.mark.parametrize("method", STEPS)
def test_every_gradient_of_ours_is_compared(method):
    ours, expected = run_once(method)
    assert {name for name in ours if "grad_" in name} == {name for name in expected if "grad_" in name}


def test_every_method_has_its_files():
    present = {path.name.split(".")[0] for path in METHODS.glob("*.expected.safetensors")}
    assert present >= STEPS.keys()
    assert torch.get_default_dtype() == torch.float32
