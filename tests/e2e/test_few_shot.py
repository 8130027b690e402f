"""A linear probe on few-shot data: killed and resumed, and on two processes, it is the same as at one go."""

import pytest

from caebench.specs.inputs.few_shot import FewShot
from tests.e2e.test_processes import assert_same_training, run_in
from tests.e2e.test_resume import assert_equal_runs, finish, kill_at, run_uninterrupted
from tests.helpers import longer, read, variation


@pytest.fixture
def probe(quickstart, bench):
    """Three images of each of ten classes, draw 1: 60 steps of 8 images."""
    found = quickstart.job("linear_probe", "imagenet1k-cae-dvae")
    config = longer(found, epochs=20)
    few = FewShot(shots=3, draw=1)
    return variation(bench, found, config.replace(data=config.data.replace(few=few), selection="last_epoch"))


def test_killed_twice_equals_uninterrupted(bench, probe, kills):
    uninterrupted = run_uninterrupted(bench, probe, "local")
    folder = bench.folder(probe)
    for step in sorted(kills.sample(range(1, 50), 2)):
        kill_at(bench, probe, step, kills)
    finish(bench, probe)
    assert_equal_runs(folder, uninterrupted)
    ours, theirs = read(folder / "result.json"), read(uninterrupted / "result.json")
    assert ours["fingerprints"] == theirs["fingerprints"]
    assert "imagenet1k@3shot draw 1/train" in ours["fingerprints"]


def test_two_processes_draw_and_train_as_one(bench, probe):
    one, two = run_in(bench, probe, 1), run_in(bench, probe, 2)
    assert_same_training(one, two)
    assert read(one / "result.json")["fingerprints"] == read(two / "result.json")["fingerprints"]
