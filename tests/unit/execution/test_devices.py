"""How many jobs run at once where nobody says it, and what `doctor` says of the memory."""

import pytest

from caebench.execution import devices, doctor
from caebench.specs.site import Site

GB = 10**9


@pytest.mark.parametrize(
    ("usable", "cores", "expected"), [(100 * GB, 16, 4), (100 * GB, 2, 2), (5 * GB, 16, 2), (1, 8, 1)]
)
def test_as_many_jobs_run_as_have_cores_and_memory(monkeypatch, usable, cores, expected):
    monkeypatch.setattr(devices, "usable_memory", lambda: usable)
    monkeypatch.setattr(devices.os, "cpu_count", lambda: cores)
    assert devices.default_parallel("cpu") == expected


@pytest.mark.parametrize(
    ("usable", "state", "found"),
    [
        (64 * GB, "ok", "64.0 GB"),
        (8 * GB, "ok", "8.0 GB of 64.0 GB, by a cgroup's limit"),
        (GB, "note", "1.0 GB of 64.0 GB, by a cgroup's limit: a nano job is counted with 2.0 GB"),
    ],
)
def test_doctor_names_the_limit_of_the_container(monkeypatch, usable, state, found):
    monkeypatch.setattr(doctor, "usable_memory", lambda: usable)
    monkeypatch.setattr(doctor, "machine_memory", lambda: 64 * GB)
    (finding,) = (one for one in doctor.examine(Site()) if one.what == "memory")
    assert (finding.state, finding.found) == (state, found)
