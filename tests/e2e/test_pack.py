"""`caebench run suite --pack N` here: so many jobs at once on each GPU, or a refusal where there is none."""

import sys

import pytest

from caebench.cli import main, run
from caebench.execution import devices
from caebench.execution.local import Outcomes


@pytest.fixture
def ask(bench, tiny, monkeypatch, capsys):
    """Asks for a run of the quickstart: exit status, output, and how many jobs at once it came to."""
    monkeypatch.setenv("HOME", str(bench.home))
    monkeypatch.setenv("CAEBENCH_STORE", str(bench.store))
    asked = []

    def run_here(setup, jobs, num_parallel, separate):
        asked.append(num_parallel)
        return Outcomes(dict.fromkeys((job.id for job in jobs), "cached"))

    monkeypatch.setattr(run, "run_here", run_here)

    def call(*arguments):
        command = ["caebench", "run", "suite", "quickstart", "--scale", "nano", *arguments]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, "".join(capsys.readouterr()), asked

    return call


@pytest.fixture
def gpus(monkeypatch):
    """Sets which GPUs there are."""

    def put(*names):
        monkeypatch.setattr(devices, "visible_gpus", lambda: list(names))

    return put


def test_each_gpu_takes_as_many_jobs_as_asked(ask, gpus):
    gpus("0", "1")
    assert ask("--pack", "3")[::2] == (0, [6])


def test_a_number_of_jobs_beside_it_is_refused(ask, gpus):
    gpus("0", "1")
    status, output, asked = ask("--pack", "3", "--jobs", "2")
    assert (status, asked) == (2, []) and "--jobs 2: --pack 3 also gives a number of jobs. Keep one." in output


def test_without_a_gpu_nothing_is_packed(ask, gpus):
    gpus()
    status, output, asked = ask("--pack", "2")
    assert (status, asked) == (2, [])
    assert "--pack 2: there is no GPU here to share. Give --jobs, or --site with [slurm]." in output


def test_a_site_on_the_cpu_packs_nothing(ask, gpus):
    gpus("0", "1")
    status, output, asked = ask("--pack", "2", "--site", "eager")
    assert (status, asked) == (2, []) and "there is no GPU here to share" in output


def test_a_pack_of_one_is_none(ask):
    status, output, asked = ask("--pack", "1")
    assert (status, asked) == (2, []) and "--pack" in output and "equal to 2" in output
