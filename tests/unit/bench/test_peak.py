"""The fastest matrix product of a device."""

from caebench.bench import peak


def test_a_peak_is_a_rate(device, monkeypatch):
    monkeypatch.setattr(peak, "SIZES", {"cpu": (64,)})
    monkeypatch.setattr(peak, "SECONDS", {"cpu": 0.01})
    assert 1e6 < peak.measure_peak(device, "fp32") < 1e14
