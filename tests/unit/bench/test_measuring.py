"""Turns, ratios, peaks, memory, the other benches, and what is kept of them."""

import json

import numpy as np
import pytest
import torch

from caebench.bench import device as devices
from caebench.bench import shared_pass
from caebench.bench.documents import document, save
from caebench.bench.frozen import bench_probe
from caebench.bench.loading import bench_data
from caebench.bench.memory import held_bytes, peak_bytes
from caebench.bench.peak import measure_peak
from caebench.bench.planning import bench_plan
from caebench.bench.settings import paper_settings
from caebench.bench.shared_pass import bench_pass
from caebench.bench.timing import Seconds, paired, take_turns
from caebench.cli.show_bench import data_rows, pass_rows, plan_rows, probe_rows


def test_things_take_turns_and_the_first_changes(device):
    order = []
    things = {name: lambda name=name: order.append(name) for name in "ab"}
    times = take_turns(things, device, warm_up=1, repeats=2)
    assert "".join(order) == "ab" + "ba" + "ab"
    assert [len(seconds.turns) for seconds in times.values()] == [2, 2]


def test_a_ratio_is_of_turns_not_of_medians():
    """A machine that slows down for both alike changes no ratio."""
    slow = np.array([1.0, 1.0, 5.0, 9.0, 1.0])
    ratio = paired(Seconds(tuple(0.8 * slow)), Seconds(tuple(slow)))
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((0.8, 0.8, 0.8))


def test_an_interval_holds_the_median():
    rng = np.random.default_rng(0)
    ratio = paired(Seconds(tuple(rng.uniform(1, 2, 15))), Seconds(tuple(rng.uniform(1, 2, 15))))
    assert ratio.low < ratio.median < ratio.high


def test_shared_storage_counts_once():
    one = torch.zeros(100)
    assert held_bytes([one, one[:50], torch.zeros(10)]) == 440


def test_the_peak_of_a_step_is_what_it_needed(device):
    needed = peak_bytes(lambda: torch.ones(30_000_000).sum(), device)
    if needed is None:
        pytest.skip("nobody counts resident memory here")
    assert needed == pytest.approx(120e6, rel=0.3)


def test_a_peak_is_a_rate(device, monkeypatch):
    from caebench.bench import peak

    monkeypatch.setattr(peak, "SIZES", {"cpu": (64,)})
    monkeypatch.setattr(peak, "SECONDS", {"cpu": 0.01})
    assert 1e6 < measure_peak(device, "fp32") < 1e14


def test_the_frozen_encoder_equals_its_plain_form(settings, device):
    found = json.loads(json.dumps(bench_probe(settings, device)))
    assert found["largest_difference"] < 1e-4 and set(found["heads"]) == {"linear", "attentive"}
    assert {len(row) for row in probe_rows(found)} == {3}


def test_a_pass_of_probes_is_measured_beside_one(settings, device, monkeypatch):
    monkeypatch.setattr(shared_pass, "EPOCHS", 2)
    monkeypatch.setattr(shared_pass, "SIDE", 48)
    found = json.loads(json.dumps(bench_pass(settings._replace(batch=20, repeats=2), device)))
    assert found["images"] == {"train": 20, "val": 10, "side": 48}
    assert found["with_knn_over_linear"]["median"] > found["pass_over_linear"]["median"] > 0.5
    assert {len(row) for row in pass_rows(found)} == {3}
    with pytest.raises(ValueError, match=r"--batch 3: .*even"):
        bench_pass(settings._replace(batch=3), device)


def test_data_is_measured_beside_decoding(settings):
    found = bench_data(settings._replace(repeats=2))
    kinds = {"pretraining", "probe"}
    assert set(found["images_per_second"]) == {
        "decoding",
        "decoding by Pillow",
        "evaluation",
        *kinds,
        *(f"{kind}, resize on device" for kind in kinds),
    }
    assert all(found["time_over_decoding"][kind]["median"] > 1.0 for kind in kinds)
    assert {len(row) for row in data_rows(found)} == {3}


def test_planning_counts_jobs():
    found = bench_plan("paper", 300, repeats=1)
    assert found["jobs"] >= 300 and found["seconds"] > 0
    assert {len(row) for row in plan_rows(found)} == {5}


def test_a_document_says_what_it_was_made_on(tmp_path, settings):
    found = document("pretrain", devices.cpu_name(2), settings.facts(), {"seconds": {"ours": 1.0}})
    assert found["on_cpu"] and found["device"].endswith(", 2 threads") and found["packages"]["torch"]
    path = save(found, tmp_path / "bench")
    assert path.name.startswith("pretrain-nano_s-4-cpu-") and json.loads(path.read_text()) == found
    assert not document("pretrain", "NVIDIA H100 80GB HBM3", {}, {})["on_cpu"]


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match=r"--variant 'vit_bb': unknown. Did you mean 'vit_b'\?"):
        paper_settings("vit_bb", 4, "fp32", "none")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="--device cuda: PyTorch finds no GPU here"):
        devices.find_device("cuda")
