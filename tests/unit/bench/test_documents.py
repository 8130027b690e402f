"""What a measurement leaves."""

import json

from caebench.bench import device as devices
from caebench.bench.documents import document, save


def test_a_document_says_what_it_was_made_on(tmp_path, settings):
    found = document("pretrain", devices.cpu_name(2), settings.facts(), {"seconds": {"ours": 1.0}})
    assert found["on_cpu"] and found["device"].endswith(", 2 threads") and found["packages"]["torch"]
    path = save(found, tmp_path / "bench")
    assert path.name.startswith("pretrain-nano_s-4-cpu-") and json.loads(path.read_text()) == found
    assert not document("pretrain", "NVIDIA H100 80GB HBM3", {}, {})["on_cpu"]
