"""`caebench ckpt` as it is typed: exit status, what is printed, what is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).parents[1] / "golden" / "encoders"
FAMILIES = ["beit", "cae", "deit", "dino", "ibot", "mae", "moco_v3", "simmim"]


@pytest.mark.parametrize("family", ["cae", "mae"])
def test_inspect_says_what_is_in_a_file(bench, family):
    command = bench.run("ckpt", "inspect", str(GOLDEN / f"{family}.pth"), "--json")
    assert command.process.exitcode == 0, command.output
    found = json.loads(command.output)
    assert (found["family"], found["width"], found["blocks"], found["num_heads"]) == (family, 48, 2, None)
    assert (found["grid"], found["precision"], found["not_finite"]) == ([6, 6], ["float32"], {})
    assert len(found["sha256"]) == 64 and found["problems"] == []
    assert bench.run("ckpt", "inspect", str(GOLDEN / f"{family}.pth"), "--num-heads", "3").process.exitcode == 0


def content(name):
    return torch.load(GOLDEN / f"{name}.pth", weights_only=False)


def hostile(path, trace):
    path.write_bytes(b"cposix\nsystem\n(S'touch " + str(trace).encode() + b"'\ntR.")


def truncated(path, trace):
    path.write_bytes((GOLDEN / "mae.pth").read_bytes()[:5000])


def with_nan(path, trace):
    file = content("mae")
    file["model"]["blocks.0.norm1.weight"][0] = float("nan")
    torch.save(file, path)


def left_over(path, trace):
    file = content("mae")
    file["model"]["blocks.0.attn.q_norm.weight"] = torch.ones(16)
    torch.save(file, path)


def missing(path, trace):
    file = content("mae")
    del file["model"]["blocks.0.norm1.weight"]
    torch.save(file, path)


def resnet(path, trace):
    save_file({"layer1.0.conv1.weight": torch.ones(4, 3, 3, 3)}, path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (hostile, "posix.system"),
        (truncated, "cannot be read"),
        (with_nan, "blocks.0.norm1.weight"),
        (left_over, "blocks.0.attn.q_norm.weight"),
        (missing, "blocks.0.norm1.weight"),
        (resnet, "no family fits"),
    ],
)
@pytest.mark.parametrize("verb", ["inspect"])
def test_a_bad_file_is_one_clear_error_and_exit_status_2(bench, tmp_path, verb, make, said):
    path, trace = tmp_path / "x.pth", tmp_path / "trace"
    make(path, trace)
    command = bench.run("ckpt", verb, str(path), "--num-heads", "3")
    assert command.process.exitcode == 2, command.output
    error = command.output.strip().splitlines()[-1]
    assert error.startswith("error: ") and said in error
    assert not trace.exists() and "Traceback" not in command.output


def test_a_wrong_family_is_exit_status_2(bench):
    command = bench.run("ckpt", "inspect", str(GOLDEN / "mae.pth"), "--family", "beit")
    assert command.process.exitcode == 2
    assert "It looks like MAE" in command.output
