"""The script that sbatch gets, and the environment in which it runs."""

import os
import subprocess
import sys

import pytest

from caebench.execution.schedulers.slurm.sbatch import make_executor, parameters, submitting
from caebench.execution.schedulers.slurm.submissions import Submission
from caebench.specs.slurm import Slurm

HARD = ("a b", "a$HOME", "a`id`", "a'b", 'a"b', "a;b", "a&b", "größe")


def setup_lines(code, **settings):
    return parameters(Slurm(**settings), Submission(()), {}, code)["slurm_setup"]


@pytest.mark.parametrize("before", ["", "/known/path"])
@pytest.mark.parametrize("name", HARD)
def test_a_job_imports_the_snapshot_whatever_its_path_holds(name, before, tmp_path):
    """The lines of the script, in bash: from a folder that has the same package."""
    for folder, text in ((tmp_path / name, "snapshot"), (tmp_path / "cwd", "submitter's folder")):
        (folder / "package").mkdir(parents=True)
        (folder / "package" / "__init__.py").write_text(f'where = "{text}"')
    ask = f"{sys.executable} -c 'import os, package; print(package.where, os.environ[\"PYTHONPATH\"], sep=chr(10))'"
    script = "\n".join([*setup_lines(tmp_path / name), ask])
    environment = {**os.environ, "PYTHONPATH": before}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path / "cwd", env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["snapshot", f"{tmp_path / name}{':' if before else ''}{before}"]


def test_a_job_has_its_submitters_environment_also_where_export_is_switched_off(fake_slurm, monkeypatch, tmp_path):
    fake_slurm.put(srun="", sbatch=f"env > {tmp_path}/env; echo Submitted batch job 7")
    for name in ("SBATCH_EXPORT", "SLURM_EXPORT_ENV"):
        monkeypatch.setenv(name, "NONE")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    executor = make_executor(Slurm(), tmp_path / "store")
    with submitting():
        assert executor.submit(print).job_id == "7"
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "env").read_text().splitlines())
    hidden = ("SBATCH_EXPORT", "SLURM_EXPORT_ENV", "SLURM_MEM_PER_NODE")
    assert not set(hidden) & set(seen) and seen["SLURM_CONF"] == "/etc/slurm.conf"
    assert all(name in os.environ for name in hidden)
    script = "\n".join([*setup_lines(None), 'echo "$SBATCH_EXPORT|$SLURM_EXPORT_ENV"'])
    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout == "|\n"


@pytest.fixture
def script(tmp_path):
    """Runs a script with these lines of `setup`, and then what stands for srun."""

    def run(*setup):
        path = tmp_path / "script"
        path.write_text("\n".join(["#!/bin/bash", *setup_lines(None, setup=setup), "false", "echo ran"]))
        return subprocess.run(["bash", path], capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("line", ["module load cuda/99", "source /nowhere/activate", "cd /nowhere; true", "(exit 3)"])
def test_a_failing_line_of_setup_ends_the_job_and_is_named(script, line):
    """Without this it would run in another environment than the site's."""
    done = script("echo begun", line, "echo more")
    assert done.returncode != 0 and done.stdout == "begun\n"
    said = f"caebench: setup: {line} failed with status {done.returncode}. Correct [slurm] setup in the site file"
    assert said in done.stderr


@pytest.mark.parametrize("line", ["false || true", "[ -e /nowhere ] && echo there", "if false; then true; fi"])
def test_a_line_of_setup_may_ask(script, line):
    done = script(line)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")


def test_a_sourced_file_may_have_commands_that_fail(script, tmp_path):
    (tmp_path / "activate").write_text("false\nexport ACTIVE=1\n")
    assert script(f"source {tmp_path}/activate", "echo $ACTIVE").stdout == "1\nran\n"


def test_a_job_waits_for_a_controller_that_does_not_answer_before_srun_asks_it(fake_slurm, monkeypatch):
    fake_slurm.put_failing("scontrol", 2, "")
    fake_slurm.put(sleep="")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    script = "\n".join([*setup_lines(None), "echo srun"])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "srun\n" and done.stderr.count("scontrol: no answer. Asking again in 15 s.") == 2
    assert fake_slurm.calls("scontrol") == ["show job 7"] * 3
