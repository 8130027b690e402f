"""`caebench run suite`: what a dry run prints, and flags that do not apply."""

import pytest

from caebench.planning.graph import make_plan
from caebench.suites import loading as suites


@pytest.fixture
def no_run(monkeypatch):
    """A run on this machine is an error."""

    def run_here(*_):
        raise AssertionError("it has run")

    monkeypatch.setattr("caebench.cli.run.run_here", run_here)


def test_a_dry_run_here_prints_every_job_and_runs_and_writes_nothing(desk, no_run, tiny):
    jobs = make_plan(suites.load("quickstart"), tiny, [0]).jobs
    answer = desk("run", "suite", "quickstart", "--dry-run", "--jobs", "3")
    assert answer.status == 0, answer.error
    assert [job.name for job in jobs if job.name not in answer.out] == []
    assert answer.out.splitlines()[-1] == f"{len(jobs)} jobs would run on this machine, at most 3 at once. Nothing ran."
    assert not desk.store.exists()


def test_a_dry_run_shows_shared_passes_unless_each_probe_runs_alone(desk, no_run):
    shared, alone = (desk("run", "suite", "frozen-probes", "--dry-run", *more).out for more in ((), ("--separate",)))
    assert " + " in shared and " + " not in alone


@pytest.mark.parametrize("site", ["local", "cluster"])
@pytest.mark.parametrize("flags", [("--jobs", "2"), ("--parallelism", "2"), ("--dirty",)])
def test_a_flag_that_a_site_does_not_serve_is_an_error(desk, fake_slurm, no_run, monkeypatch, site, flags):
    fake_slurm.put(squeue="", srun="", sbatch="")
    monkeypatch.setattr("caebench.execution.snapshot.planned", lambda root, dirty: root / "snapshots" / str(dirty))
    answer = desk("run", "suite", "quickstart", "--dry-run", "--site", site, *flags)
    is_served = (flags[0] == "--jobs") == (site == "local")
    if is_served:
        assert answer.status == 0, answer
        assert site == "local" or f"export PYTHONPATH={desk.store}/snapshots/{'--dirty' in flags}" in answer.out
    else:
        assert answer.status == 2
        assert answer.error.startswith(f"error: {' '.join(flags)}: site '{site}' "), answer.error
    assert not desk.store.exists(), "a dry run writes nothing"


def test_two_numbers_of_concurrent_jobs_are_an_error(desk, no_run):
    answer = desk("run", "suite", "quickstart", "--dry-run", "--jobs", "2", "--pack", "3")
    assert (answer.status, answer.error) == (2, "error: --jobs 2: --pack 3 also gives a number of jobs. Keep one.\n")


def test_a_machine_without_srun_says_so_in_a_line(desk, fake_slurm, monkeypatch):
    fake_slurm.put(squeue="", sbatch="")
    monkeypatch.setenv("PATH", str(fake_slurm.bin))
    monkeypatch.setattr("caebench.execution.snapshot.planned", lambda root, dirty: root)
    answer = desk("run", "suite", "quickstart", "--dry-run", "--site", "cluster")
    assert (answer.status, answer.error) == (
        2,
        "error: srun: not installed on this machine. Submit from a login node of the cluster.\n",
    )


def test_a_store_that_jobs_could_not_use_is_refused_before_anything_is_written(desk, fake_slurm):
    fake_slurm.put(squeue="", srun="", sbatch="")
    answer = desk("run", "suite", "quickstart", "--site", "cluster", "--yes", "--store", str(desk.home / "a:b"))
    assert answer.status == 2 and "':' cannot be in it, because it separates folders in PYTHONPATH" in answer.error
    assert not (desk.home / "a:b").exists()


@pytest.mark.parametrize("name", ["here", ""])
def test_a_folder_that_is_no_jobs_is_refused_and_left_alone(desk, name, monkeypatch):
    monkeypatch.chdir(desk.home)
    (desk.home / "here").mkdir()
    answer = desk("run", "job", name)
    assert answer.status == 2 and answer.error.count("\n") == 1, answer
    assert not list((desk.home / "here").iterdir()) and not (desk.home / "attempts.jsonl").exists()
