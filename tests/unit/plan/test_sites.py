"""A first site file out of SLURM's words."""

import pytest

from caebench.config.site import Site, Slurm
from caebench.config.variants import VARIANTS
from caebench.execution import sites
from caebench.execution.sites import Partition, first_file, last_words, partitions
from caebench.execution.slurm import interpreter, parameters
from caebench.execution.submissions import Submission

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


def test_a_variant_may_have_a_batch_of_its_own():
    site = Site.model_validate({"per_device_batch": 128, "per_device_batch_of": {"vit_l": 48}})
    assert site.most_images(VARIANTS["vit_l"]) == 48 and site.most_images(VARIANTS["vit_b"]) == 128


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({}, None),
        ({"python": "python3.12"}, "python3.12"),
        ({"venv": "/shared/my env"}, "python"),
        (
            {"container": "/shared/torch.sif", "binds": ["/data"]},
            "apptainer exec --nv --bind /store,/data /shared/torch.sif python",
        ),
    ],
)
def test_a_job_runs_in_the_interpreter_that_the_site_names(given, command, tmp_path):
    assert interpreter(Slurm.model_validate(given), type(tmp_path)("/store")) == command


def test_an_environment_is_activated_after_the_modules_and_before_the_code(tmp_path):
    settings = Slurm.model_validate({"setup": ["module load cuda"], "venv": "/shared/my env", "srun": ["--mpi=none"]})
    asked = parameters(settings, Submission(()), {}, tmp_path)
    modules, activation, path = asked["slurm_setup"]
    assert modules == "module load cuda" and activation == "source '/shared/my env/bin/activate'"
    assert str(tmp_path) in path and asked["slurm_srun_args"][1:] == ["--mpi=none"]


def test_two_interpreters_are_refused():
    with pytest.raises(ValueError, match="venv and container both say"):
        Slurm.model_validate({"venv": "/a", "container": "/b"})


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"Job failed:\n{'-' * 22}\nTraceback\nOSError: no\n{'-' * 22}\nlogs at\n - a path", "OSError: no"),
        ("Job 12 has no output\nlook into\n - a path", "Job 12 has no output look into - a path"),
    ],
)
def test_a_probe_that_failed_says_what_of(said, shown):
    assert last_words(said) == shown
