"""A first site file out of SLURM's words."""

import pytest

from caebench.execution.schedulers.slurm import site_check as sites
from caebench.execution.schedulers.slurm.sbatch import interpreter, parameters
from caebench.execution.schedulers.slurm.site_check import Partition, first_file, last_words, partitions
from caebench.execution.schedulers.slurm.submissions import Submission
from caebench.specs import site as site_file
from caebench.specs.site import Site
from caebench.specs.slurm import Slurm
from caebench.specs.variants import VARIANTS

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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[data]\nimagenet = "/data"\n', "data set 'imagenet': unknown. Did you mean 'imagenet1k'? Known: imagenet1k,"),
        ('[data]\nbroad = "/data"\n', "data set 'broad': unknown"),
        ('[extras]\nv2 = "/data"\n', "[extras] is no section any more. Name in [data] what it had: imagenet_v2 (the"),
    ],
)
def test_a_wrong_data_set_or_a_section_of_old_is_told_what_to_write(text, said, tmp_path, monkeypatch):
    (tmp_path / "here.toml").write_text(text)
    monkeypatch.setattr(site_file, "SITES", tmp_path)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is compared below
        site_file.load_site("here")
    assert said in str(caught.value) and str(tmp_path / "here.toml") in str(caught.value)


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
    _, _, modules, activation, _, path, *_ = asked["slurm_setup"]
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


@pytest.fixture
def site(tmp_path, fake_slurm):
    """A site on a cluster of stand-ins, whose sbatch rejects the partition `debug`."""
    (tmp_path / "sinfo.txt").write_text(SINFO)
    reject = 'grep -q "partition=debug" "$1" && { echo "sbatch: error: Invalid qos specification" >&2; exit 1; }'
    fake_slurm.put(sinfo=f"cat {tmp_path}/sinfo.txt", srun="", sbatch=f"{reject}; echo Submitted batch job 7")
    return Site(store=tmp_path / "store", shared_store=True, slurm=Slurm(partition="gpu"))


def test_a_probe_of_an_unknown_partition_is_refused_in_a_line(site):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is compared below
        sites.probe(site, ["gpus"])
    said = "site file, [slurm] partition = 'gpus': unknown. Did you mean 'gpu'? Known: gpu, cpu, debug, long."
    assert str(caught.value) == said and not site.store.exists()


def test_a_partition_that_rejects_the_probe_says_so_and_the_others_answer(site, monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")  # as inside an allocation
    monkeypatch.setattr(sites, "_answer", lambda job: {"host": "n1"} if not isinstance(job, str) else {"failed": job})
    found = sites.probe(site, ["gpu", "debug"])
    assert found["gpu"] == {"time limit, minutes": 3630, "host": "n1"}
    assert "Invalid qos specification" in found["debug"]["failed"] and "\n" not in found["debug"]["failed"]


def test_a_machine_without_srun_cannot_probe(site, fake_slurm, monkeypatch):
    (fake_slurm.bin / "srun").unlink()
    monkeypatch.setattr("shutil.which", lambda name: None if name == "srun" else name)
    with pytest.raises(ValueError, match=r"^srun: not installed on this machine\. Submit from a login node"):
        sites.probe(site, ["gpu"])
