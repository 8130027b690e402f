"""The frozen encoder of the probes, measured."""

import json

from caebench.bench.frozen import bench_probe
from caebench.cli.show_bench import probe_rows


def test_the_frozen_encoder_equals_its_plain_form(settings, device):
    found = json.loads(json.dumps(bench_probe(settings, device)))
    assert found["largest_difference"] < 1e-4 and set(found["heads"]) == {"linear", "attentive"}
    assert {len(row) for row in probe_rows(found)} == {3}
