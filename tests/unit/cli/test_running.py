"""What a run shows: what it is, its jobs, what became of them, and which commands come next."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import caebench
from caebench.cli import options
from caebench.cli.run_display import LineProgress, RunDisplay
from caebench.cli.running import Asked, Outlook, summarise, summarise_stop
from caebench.execution.local import STOPPED, Outcomes
from caebench.planning.graph import Plans, make_plan
from caebench.report.duration import Durations, Example
from caebench.store.store import Store
from caebench.suites.loading import load, read

SUITE = 'columns = { knn = { header = "k-NN", eval = "knn" } }\nrows = [{ label = "random", recipe = "random" }]\n'


@pytest.fixture
def setup(tmp_path, tiny):
    plan = make_plan(load("quickstart"), tiny)
    return SimpleNamespace(store=Store(tmp_path / "store"), plans=Plans("quickstart", (plan,)), scale=tiny)


@pytest.mark.slow
def test_a_run_says_what_it_does_and_what_comes_next(desk):
    mine = desk.home / "mine.toml"
    mine.write_text(SUITE)
    first = desk("run", str(mine), "--jobs", "1", "--seeds", "1")
    assert first.status == 0, first
    lines = first.error.splitlines()
    assert lines[:5] == [
        "mine, NANO scale, seed 1",
        f"  store  {desk.store}",
        "  data   synthetic: pictures rendered in place of imagenet1k",
        "  jobs   3 to do, 0 done already",
        "  time   not known yet: this machine has finished no such job in this store",
    ]
    assert [line.split()[0] for line in lines[5:11:2]] == ["start"] * 3 and lines[6].endswith("(1 of 3)")
    assert "\x1b" not in first.error + first.out
    knn = next(folder.name[-10:] for folder in (desk.store / "knn").iterdir())
    assert f"3 done. Stored in {desk.store}. Next:" in lines
    assert f"  caebench report --suite {mine}" in lines and f"  caebench why {knn}" in first.error
    again = desk("run", str(mine), "--jobs", "1", "--seeds", "2")
    assert "  time   about " in again.error and " on this machine (from 2 jobs that it has finished)" in again.error
    assert desk("report", "--suite", str(mine)).status == desk("why", knn).status == 0
    done = desk("run", str(mine), "--seeds", "1")
    assert "  jobs   all 3 are done already\n" in done.error and "  time " not in done.error


def test_a_command_to_paste_begins_as_this_one_was_started(tmp_path, monkeypatch):
    started = tmp_path / "bin" / "caebench"
    started.parent.mkdir()
    started.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(started), "run", "a b", "--jobs", "2"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert options.same_again() == f"{started} run 'a b' --jobs 2"
    monkeypatch.setenv("PATH", str(started.parent))
    assert options.same_again() == "caebench run 'a b' --jobs 2"
    other = tmp_path / "other" / "caebench"
    other.parent.mkdir()
    shutil.copy(started, other)
    monkeypatch.setenv("PATH", str(other.parent))
    assert options.program() == [str(started)], "the one that a shell finds is another"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "__main__.py")])
    assert options.program() == [sys.executable, "-m", "caebench"]


def test_a_stop_is_summed_up_with_the_command_that_goes_on(setup, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["caebench", "run", "quickstart", "--jobs", "2"])
    jobs = setup.plans.jobs
    outcomes = Outcomes(dict.fromkeys((job.id for job in jobs), "blocked"), "SIGINT")
    outcomes.by_id |= {jobs[0].id: "done", jobs[1].id: "stopped", jobs[2].id: "stopped", jobs[3].id: "failed"}
    (setup.store.folder(jobs[1]) / "checkpoints").mkdir(parents=True)
    (setup.store.folder(jobs[1]) / "checkpoints" / "000000001.pt").touch()
    summarise_stop(setup, outcomes)
    assert capsys.readouterr().err.splitlines() == [
        "Interrupted: 1 done, 1 interrupted with a checkpoint, 1 interrupted without one, which start again, "
        f"1 failed, {len(jobs) - 4} not started.",
        f"  saved: {jobs[1].name}",
        "Resume with: caebench run quickstart --jobs 2",
    ]


def test_after_a_failure_the_next_commands_say_why_and_try_again(setup, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["caebench", "run", "quickstart"])
    jobs = setup.plans.jobs
    outcomes = Outcomes(dict.fromkeys((job.id for job in jobs), "done"))
    outcomes.by_id[jobs[5].id] = "failed"
    summarise(setup, outcomes, Asked("quickstart", scale="nano", seeds="1"))
    printed = capsys.readouterr().err
    assert f"caebench why {jobs[5].id} " in printed
    assert "  caebench status quickstart --scale nano --seeds 1\n" in printed
    assert "  caebench retry quickstart --scale nano --seeds 1\n" in printed
    summarise(setup, outcomes, Asked(None, store=Path("s")))
    assert f"caebench retry {jobs[5].id} --store s" in capsys.readouterr().err


@pytest.fixture
def display(setup, monkeypatch):
    monkeypatch.setattr("caebench.cli.run_display.TOLD_EVERY", 0.0)
    jobs = setup.plans.jobs[:3]
    known = Durations(known={job.kind: [Example(0.0, 50.0, "CPU")] for job in jobs})
    return jobs, RunDisplay(setup.store, Outlook(jobs, {}, known, known.forecast(jobs, {}, 1), 1))


def test_a_failure_is_one_line_with_its_log_and_what_was_not_started_is_none(display, setup, capsys):
    (first, second, third), shown = display
    with shown as watcher:
        watcher.started(first)
        folder = setup.store.prepare(first)
        (folder / "failure.json").write_text("{}")
        watcher.ended(first, "failed", "no\nluck")
        watcher.started(second)
        watcher.stopping(1)
        watcher.ended(second, "stopped", "")
        watcher.ended(third, "blocked", STOPPED)
    printed = capsys.readouterr().err
    assert f"failed  {first.name} in 1 s: no luck (log: {folder}/failure.json)\n" in printed.replace("\\n", " ")
    assert "stopping: 1 job saves and ends." in printed
    assert third.name not in printed and printed.count(second.name) == 1


def test_progress_says_when_a_job_and_the_run_end(display, capsys, monkeypatch):
    (first, *_), shown = display
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with shown as watcher:
        watcher.started(first)
        now[0] += 20
        watcher.progressed(first, 1, 4, {"loss": 2.0})
        now[0] += 10
        watcher.ended(first, "done", "")
    printed = capsys.readouterr().err
    assert f"        {first.name} 1/4 loss 2.000, about 60 s left\n" in printed
    assert f"done    {first.name} in 30 s (1 of 3, about " in printed


def test_on_a_terminal_a_running_job_has_a_line_that_fits_80_columns(display, monkeypatch):
    from rich.console import Console

    (first, *_), shown = display
    with shown as watcher:
        watcher.started(first)
        watcher.progressed(first, 17, 100, {"loss": 2.0})
        narrow = Console(width=80, record=True, file=io.StringIO())
        narrow.print(shown.progress.make_tasks_table(shown.progress.tasks))
    lines = narrow.export_text().splitlines()
    assert len(lines) == 2 and all(len(line) <= 80 for line in lines)
    assert "0/3" in lines[0] and lines[1].startswith(first.id) and "17/100" in lines[1]


def test_a_job_in_this_process_says_now_and_then_how_far_it_is(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = LineProgress("knn-1")
    progress(0, 4, {})
    now[0] += 20
    progress(1, 4, {"loss": 2.0})
    progress(2, 4, {"loss": 1.0})
    assert capsys.readouterr().err == "knn-1 1/4 loss 2.000, about 60 s left\n"


@pytest.mark.slow
@pytest.mark.parametrize("num_signals", [1, 2])
def test_ctrl_c_ends_a_run_with_one_summary_and_the_command_resumes(tmp_path, num_signals):
    """In a process of its own, with workers that import torch: it is interrupted while pictures are rendered."""
    (tmp_path / "mine.toml").write_text(SUITE)
    package = str(Path(caebench.__file__).parents[1])
    command = [sys.executable, "-m", "caebench", "run", "mine.toml", "--store", "store", "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": package, "HOME": str(tmp_path)}
    log = tmp_path / "log.txt"
    with log.open("w") as file:
        run = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=file, stdout=file, start_new_session=True)
        while "start   data/" not in log.read_text() and run.poll() is None:
            time.sleep(0.1)
        began = time.monotonic()
        for _ in range(num_signals):
            os.killpg(run.pid, signal.SIGINT)
            time.sleep(0.3)
        assert run.wait(60) == 1
    said = log.read_text()
    assert "Traceback" not in said and said.count("Interrupted: ") == 1, said
    assert "interrupted without one, which start again, 1 not started." in said, said
    assert f"Resume with: {sys.executable} -m caebench run mine.toml --store store --jobs 1\n" in said, said
    if num_signals == 2:
        assert time.monotonic() - began < 5, "the second kills at once"
    assert read(tmp_path / "mine.toml").rows
