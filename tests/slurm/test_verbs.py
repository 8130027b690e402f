"""The command line on a real SLURM: run, status, logs, cancel, retry, and mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import caebench.planning.scale as scales
from caebench.execution.schedulers.slurm.queue import queued_jobs
from caebench.planning.graph import make_plan
from caebench.specs.job import Job
from caebench.suites import loading as suites
from tests.helpers import Answer, answer
from tests.slurm.bench import ROOT, Bench

SUITE = """
source = { title = "Verbs" }
pretrain = { recipe = "cae", epochs = 1600 }
columns.knn = { header = "k-NN", eval = "knn" }
columns.linear = { header = "LIN", eval = "linear_probe" }
rows = [{ label = "Random encoder", recipe = "random" }, { label = "CAE, pixels", target = "pixels" }]
"""
SITE = """
store = "{store}"
shared_store = true
device = "cpu"
[slurm]
partition = "{partition}"
gpus_per_node = 0
cpus_per_task = 1
setup = {setup}
"""


class Desk:
    """A home with the site `cluster` and a suite of seven jobs; commands run in this process, at a tiny scale."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.capsys, self.monkeypatch = home, capsys, monkeypatch
        self.bench = Bench(home / "store")
        self.suite = home / "verbs.toml"
        self.suite.write_text(SUITE, encoding="utf8")
        self.write_site()

    def write_site(self, partition: str = "main", setup: tuple[str, ...] = (), store: Path | None = None) -> None:
        folder = self.home / ".config" / "caebench" / "sites"
        folder.mkdir(parents=True, exist_ok=True)
        text = SITE.format(store=store or self.bench.store.root, partition=partition, setup=json.dumps(setup))
        (folder / "cluster.toml").write_text(text, encoding="utf8")

    def __call__(self, *arguments: str, site: str = "cluster") -> Answer:
        return answer((*arguments, "--site", site), self.capsys, self.monkeypatch)

    def states(self) -> dict[str, str]:
        """What `status --json` says of the suite's jobs, by id."""
        facts = json.loads(self("status", str(self.suite), "--json").out)
        return {fact["job"].rpartition("-")[2]: fact["state"] for fact in facts}


@pytest.fixture
def desk(login, tmp_path, tiny, capsys, monkeypatch) -> Desk:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(scales.SCALES, "nano", tiny)
    return Desk(tmp_path, capsys, monkeypatch)


@pytest.fixture
def jobs(desk, tiny) -> list[Job]:
    return make_plan(suites.load(str(desk.suite)), tiny, [0]).jobs


def test_a_dry_run_prints_what_it_would_submit_and_submits_nothing(desk, jobs):
    before = set(queued_jobs())
    answer = desk("run", "suite", str(desk.suite), "--dry-run", "--dirty")
    assert answer.status == 0
    assert all(job.name in answer.out for job in jobs)
    for words in (
        "#SBATCH --partition=main",
        "#SBATCH --kill-on-invalid-dep=yes",
        "--dependency='afterok:<pretrain/cae",
        "--kill-on-bad-exit=1",
        "\nsrun ",
    ):
        assert words in answer.out
    assert f"#SBATCH --output={desk.bench.store.root}/slurm/%j_0_log.out" in answer.out
    pairs = desk("run", "suite", str(desk.suite), "--dry-run", "--dirty", "--seeds", "0,1").out
    (encoder,) = [job for job in jobs if job.kind == "pretrain"]
    assert "#SBATCH --array=0-1%2" in pairs and f"--dependency='aftercorr:<{encoder.name}>'" in pairs
    assert set(queued_jobs()) <= before and not desk.bench.store.root.exists()


def test_a_dry_run_of_packs_shows_one_job_for_an_encoder_and_its_probes(desk, jobs):
    text = desk("run", "suite", str(desk.suite), "--dry-run", "--dirty", "--pack", "2").out
    (encoder,) = [job for job in jobs if job.kind == "pretrain"]
    chain = [encoder, *(job for job in jobs if encoder in job.parents)]
    (line,) = [line for line in text.splitlines() if line.startswith("#") and encoder.name in line and " + " in line]
    assert all(job.name in line for job in chain) and "#SBATCH --job-name=caebench-pack" in text
    assert not list(desk.bench.store.root.glob("*/*/submission.json"))


def test_a_suite_is_run_shown_and_cancelled(desk, jobs):
    desk.write_site(partition="closed")
    answer = desk("run", "suite", str(desk.suite), "--yes", "--dirty")
    ids = {str(desk.bench.slurm_id(job)) for job in jobs}
    assert answer.status == 0 and "7 submitted, 0 were already in the queue" in answer.out
    assert len(ids) == len(jobs) == 7 and all(slurm_id in answer.out for slurm_id in ids)
    assert set(desk.states()) == {job.id for job in jobs}
    assert set(desk.states().values()) <= {"queued", "running"} and ids <= set(queued_jobs())
    assert "0 submitted, 7 were already in the queue" in desk("run", "suite", str(desk.suite), "--yes", "--dirty").out

    assert "7 cancelled" in desk("cancel", str(desk.suite), "--yes").out
    desk.bench.wait(jobs)
    assert set(desk.states().values()) == {"cancelled"} and not ids & set(queued_jobs())
    assert "no job of it is in the queue" in desk("cancel", str(desk.suite), "--yes").out

    assert "7 submitted" in desk("retry", str(desk.suite), "--dirty").out
    assert desk("cancel", jobs[0].id, "--yes").out.count(jobs[0].name) == 1
    desk("cancel", str(desk.suite), "--yes")


def test_nothing_is_submitted_or_cancelled_unasked(desk, jobs, monkeypatch):
    monkeypatch.setattr("typer.confirm", lambda question: False)
    desk.write_site(partition="closed")
    before = set(queued_jobs())
    assert desk("run", "suite", str(desk.suite), "--dirty").status == 2
    assert set(queued_jobs()) <= before  # of the last test something may still be leaving
    desk("run", "suite", str(desk.suite), "--dirty", "--yes")
    assert desk("cancel", str(desk.suite)).status == 2
    assert {str(desk.bench.slurm_id(job)) for job in jobs} <= set(queued_jobs())
    desk("cancel", str(desk.suite), "--yes")


@pytest.mark.slow
def test_a_failed_job_is_read_and_retried_with_what_waits_on_it(desk, jobs):
    (encoder,) = [job for job in jobs if job.kind == "pretrain"]
    dependents = [job for job in jobs if encoder.id in {below.id for below in job.ancestors()}]
    obstacle = desk.bench.store.prepare(encoder) / "encoder.safetensors"
    obstacle.mkdir()  # it cannot be written
    desk("run", "suite", str(desk.suite), "--yes", "--dirty")
    desk.bench.wait(jobs)
    blocked = {job.id: "blocked" for job in dependents}
    assert desk.states() == {**{job.id: "done" for job in jobs}, **blocked, encoder.id: "failed"}
    assert "encoder.safetensors" in desk("logs", encoder.id[:7]).out
    assert f"blocked by {encoder.name}" in desk("retry", dependents[0].id).error
    (fact,) = json.loads(desk("status", encoder.id, "--json").out)
    assert fact["state"] == "failed" and "encoder.safetensors" in "\n".join(fact["log"])
    shown = desk("status", str(desk.suite)).out
    assert [words for words in ("4 done", "device-hours used", "blocked") if words not in shown] == [], shown

    obstacle.rmdir()
    assert f"{1 + len(dependents)} submitted" in desk("retry", encoder.id, "--dirty").out
    assert set(desk.bench.wait(jobs).values()) == {"done"}
    tries = {job.id: len(desk.bench.attempts(job)) for job in jobs}
    assert tries == {**dict.fromkeys(tries, 1), encoder.id: 2}
    for name in (encoder.id, str(desk.suite)):
        assert "no job of it has failed" in desk("retry", name, "--dirty").out


def test_mistakes_are_one_line_with_what_to_do_and_leave_nothing(desk, jobs):
    def refused(*arguments: str, site: str = "cluster") -> str:
        answer = desk(*arguments, site=site)
        assert answer.status == 2 and len(answer.error.strip().splitlines()) == 1, answer
        return answer.error

    run = ("run", "suite", str(desk.suite), "--yes", "--dirty")
    assert "moon.toml: no such site. Known: local, cluster" in refused(*run, site="moon")
    assert "no job has this id. List them with" in refused("logs", "0123456789")
    assert "no job has this id" in refused("retry", "0123456789")
    assert "no job has this id" in refused("cancel", "0123456789", "--yes")
    desk.write_site(partition="nowhere")
    said = refused(*run)
    assert "invalid partition" in said and "nowhere" in said and "Correct [slurm] in the site file" in said
    assert not list(desk.bench.store.root.glob("*/*/submission.json"))
    desk.write_site(store=Path("store"))
    assert "cluster.toml" in (said := refused(*run)) and "absolute path" in said


def test_a_changed_default_is_refused(desk, jobs, rendered):
    (data,) = [job for job in jobs if job.kind == "synthetic"]
    desk.bench.add(rendered)
    path = desk.bench.store.folder(data) / "job.json"
    content = json.loads(path.read_text())
    content["config"]["world"]["num_train"] += 1
    path.write_text(json.dumps(content))
    answer = desk("run", "suite", str(desk.suite), "--yes", "--dirty")
    assert answer.status == 2 and str(path) in answer.error and "A default changed" in answer.error


def test_the_command_ends_at_once_and_leaves_no_process(login, desk):
    """In a process of its own, at nano scale."""
    desk.write_site(partition="closed")
    command = [sys.executable, "-m", "caebench", "run", "suite", "quickstart", "--site", "cluster", "--yes", "--dirty"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    ids = {queued for queued in queued_jobs() if queued in output}
    assert len(ids) >= 30
    left = subprocess.run(["ps", "-o", "args=", "-s", str(process.pid)], capture_output=True, text=True).stdout
    assert left.strip() == ""
    subprocess.run(["scancel", *{slurm_id.partition("_")[0] for slurm_id in ids}], check=True)
