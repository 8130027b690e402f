"""Probes behind one pass of their encoder, measured."""

import json

import pytest

from caebench.bench import shared_pass
from caebench.bench.shared_pass import bench_pass
from caebench.cli.show_bench import pass_rows


def test_a_pass_of_probes_is_measured_beside_one(settings, device, monkeypatch):
    monkeypatch.setattr(shared_pass, "EPOCHS", 2)
    monkeypatch.setattr(shared_pass, "SIDE", 48)
    found = json.loads(json.dumps(bench_pass(settings._replace(batch=20, repeats=2), device)))
    assert found["images"] == {"train": 20, "val": 10, "side": 48}
    assert found["with_knn_over_linear"]["median"] > found["pass_over_linear"]["median"] > 0.5
    assert {len(row) for row in pass_rows(found)} == {3}
    with pytest.raises(ValueError, match=r"--batch 3: .*even"):
        bench_pass(settings._replace(batch=3), device)
