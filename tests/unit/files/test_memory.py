"""Limits of memory are read from cgroups: of this process's group and of those above it, in either version."""

import pytest

from caebench.files.memory import machine_memory, memory_limit, usable_memory

GB = 2**30


@pytest.fixture
def make(tmp_path):
    def write(own, **files):
        (tmp_path / "cgroup").write_text(own)
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "fs", tmp_path / "cgroup"

    return write


SECOND = "0::/system.slice/job_7\n"
FIRST = "12:memory:/job_7/step_0\n3:cpu,cpuacct:/\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        (SECOND, {"system.slice/job_7/memory.max": f"{3 * GB}\n"}, 3 * GB),
        (SECOND, {"system.slice/job_7/memory.max": "max\n", "system.slice/memory.max": f"{2 * GB}"}, 2 * GB),
        (SECOND, {"system.slice/job_7/memory.max": f"{3 * GB}", "system.slice/memory.max": f"{2 * GB}"}, 2 * GB),
        (SECOND, {"memory.max": f"{GB}"}, GB),  # a container: the path is the host's
        (SECOND, {"system.slice/job_7/memory.max": "max"}, None),
        (SECOND, {}, None),
        (FIRST, {"memory/job_7/step_0/memory.limit_in_bytes": f"{4 * GB}"}, 4 * GB),
        (FIRST, {"memory/job_7/memory.limit_in_bytes": f"{GB}"}, GB),
        (FIRST, {"memory/memory.limit_in_bytes": "9223372036854771712"}, 9223372036854771712),  # none
        ("12:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": f"{GB}"}, GB),
        ("0::/../../x\n", {"memory.max": f"{GB}"}, None),
        ("0::/\n", {"memory.max": f"{GB}"}, GB),
        ("", {"memory.max": f"{GB}"}, None),
        ("garbled\n:\n0:\n", {"memory.max": "-5"}, None),
        ("0::/\n", {"memory.max": "1e9"}, None),
    ],
)
def test_the_smallest_limit_counts(make, own, files, expected):
    places = make(own, **files)
    assert memory_limit(*places) == expected
    assert usable_memory(*places) == min(machine_memory(), expected or machine_memory())


def test_without_cgroups_it_is_the_machines_memory(tmp_path):
    assert memory_limit(tmp_path / "none", tmp_path / "none") is None
    assert usable_memory(tmp_path / "none", tmp_path / "none") == machine_memory() > 0
