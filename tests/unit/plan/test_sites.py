"""A first site file out of SLURM's words."""

import pytest

from caebench.config.site import Site
from caebench.execution import sites
from caebench.execution.sites import Partition, first_file, partitions

SINFO = """cpu|1-00:00:00|(null)|64|10
gpu*|2-12:30:00|gpu:a100:8(S:0-1)|96+|12
debug|30:00|gpu:2,shard:4|16|1
long|infinite|gpu|16|1
"""
CONFIG = "Configuration data\nMaxArraySize            = 4001\n"


@pytest.fixture
def slurm(monkeypatch):
    monkeypatch.setattr(sites, "ask", lambda command: SINFO if command[0] == "sinfo" else CONFIG)


def test_partitions_are_read_the_default_first(slurm):
    assert partitions() == [
        Partition("gpu", True, 3630, 8, 96, 12),
        Partition("cpu", False, 1440, 0, 64, 10),
        Partition("debug", False, 30, 2, 16, 1),
        Partition("long", False, None, 1, 16, 1),
    ]


@pytest.mark.parametrize("number", range(4))
def test_the_first_file_is_a_site_file(slurm, number, tmp_path, monkeypatch):
    import tomllib

    partition = partitions()[number]
    site = Site.model_validate(tomllib.loads(first_file(tmp_path / "store", partition)) | {"shared_store": True})
    assert site.slurm.partition == partition.name and site.slurm.gpus_per_node == partition.num_gpus
    assert site.slurm.minutes <= 1440 and site.slurm.max_array == 4000
    assert site.slurm.cpus_per_task * max(1, partition.num_gpus) <= partition.num_cpus
