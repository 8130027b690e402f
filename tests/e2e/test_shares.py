"""A model in shares over two processes: the training of one that is whole, and checkpoints that suit both."""

import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from caebench.methods.builders import build_method
from caebench.specs.job import make_job
from caebench.training.distributed import join_group
from caebench.training.sharding import full_state, is_sharded, shard
from tests.helpers import last_step, longer, metrics, planned, read, variation

SHARED = 'device = "cpu"\nshard = true\ncheckpoint_minutes = 1e-9\n'


@pytest.fixture
def pretraining(request, quickstart, bench, tiny):
    """CAE on codes, BEiT with its one bias for all blocks, DeiT with its mixing: 60 steps and more each."""
    job = quickstart.job("pretrain", "cae-dvae")
    batch = {}
    if request.param == "deit":
        job = make_job(planned(tiny, "deit").replace(data=job.config.data))
        batch = {"global_batch": 2 * job.config.method.mixing.group, "epochs": 30}  # a group a process
    if request.param == "beit":
        config = planned(tiny, "beit")
        config = config.replace(data=job.config.data, method=config.method.replace(target=job.config.method.target))
        job = make_job(config)
    bench.write_site("shares", SHARED)
    return variation(bench, job, longer(job, **batch))


def kill_at(bench, job, step, num_processes, site):
    """Start the job and SIGKILL its processes after the step."""
    commands = bench.start_processes(num_processes, "run", "job", job.id, "--site", site)
    assert commands[0].wait_until(lambda: last_step(bench.folder(job)) >= step), commands[0].output
    for command in commands:
        os.kill(command.process.pid, signal.SIGKILL)
        command.wait()
    assert not (bench.folder(job) / "result.json").exists()


def known(name, tensor):
    """Without biases of keys: softmax ignores them, their gradient is rounding, and Adam walks by its sign."""
    return torch.cat(tensor.chunk(3)[::2]) if name.endswith("attn.qkv.bias") else tensor


WHOLE, IN_SHARES = (1, "eager"), (2, "shares")
ONCE = ([(10, *IN_SHARES)], WHOLE)
OFTEN = ([(10, *WHOLE), (30, *IN_SHARES), (40, *WHOLE)], IN_SHARES)


@pytest.mark.parametrize(
    ("pretraining", "turns"),
    [("cae", ONCE), *(pytest.param(name, OFTEN, marks=pytest.mark.slow) for name in ("cae", "beit", "deit"))],
    indirect=["pretraining"],
)
def test_sharded_and_unsharded_training_are_equal(bench, pretraining, turns):
    """In shares on two processes and whole, in turns; each goes on from the other's checkpoint."""
    assert bench.run("run", "job", pretraining.id, "--site", "local").wait() == 0
    folder, kept = bench.folder(pretraining), bench.set_aside(pretraining, "kept")
    killed, (num_processes, site) = turns
    for turn in killed:
        kill_at(bench, pretraining, *turn)
    for command in bench.run_processes(num_processes, "run", "job", pretraining.id, "--site", site):
        assert command.process.exitcode == 0, command.output
    assert read(folder / "provenance.json")["processes"] == num_processes
    assert len(metrics(folder)) == len(metrics(kept)) >= 6
    for ours, theirs in zip(metrics(folder), metrics(kept), strict=True):
        for name in ours.keys() - {"rankme"}:  # of the micro-batch
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-4), (name, ours, theirs)
    ours, theirs = (load_file(where / "encoder.safetensors") for where in (folder, kept))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(known(name, ours[name]), known(name, tensor), rtol=1e-3, atol=1e-4)
    ours, theirs = (torch.load(where / "model.pt", weights_only=True) for where in (folder, kept))
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


def test_every_parameter_is_sharded_and_gathered_again(tiny):
    group = join_group("cpu")
    method = build_method(planned(tiny, "mae"))
    before = {name: value.clone() for name, value in method.state_dict().items()}
    num = sum(1 for _ in method.parameters())
    shard(method, method.blocks, group)
    assert is_sharded(method) and sum(1 for _ in method.parameters()) == num
    assert all(hasattr(parameter, "placements") for parameter in method.parameters())
    after = full_state(method.state_dict(), keep=True)
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    assert set(full_state(dict(method.named_parameters()), keep=False).values()) == {None}


@pytest.mark.parametrize("name", ["moco_v3", "dino", "ibot"])
def test_methods_with_a_momentum_branch_are_not_sharded(tiny, name):
    """Their second branch follows parameter by parameter, outside any forward pass."""
    assert not build_method(planned(tiny, name)).shardable
