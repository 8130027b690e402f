"""Every way in which a job can end on a real SLURM: told apart, recorded, shown, and healed by the next run."""

import signal
import subprocess
import time
from datetime import datetime

import pytest

from caebench.execution.schedulers.slurm import submit as slurm
from caebench.execution.schedulers.slurm.submit import Cluster as Site
from caebench.specs.job import Job, make_job
from caebench.specs.registry import EVALUATIONS
from tests.slurm.bench import Bench, pretraining, with_knn
from tests.slurm.cluster import Cluster
from tests.slurm.configuration import Settings
from tests.slurm.conftest import log_in
from tests.slurm.scenes import Scene, begins

SLEEP = ("sleep 600",)  # in place of the job
DIVERGING = {"epochs": 12, "base_lr": 1e30, "warmup_epochs": 0.0, "clip_grad": None}


@pytest.fixture
def chain(tiny) -> list[Job]:
    """Data, a pretraining of some 20 s, a probe."""
    return with_knn(tiny, pretraining(tiny, epochs=150))


def tell(bench: Bench, job: Job) -> tuple[str, str]:
    """State and reason, the same ones from the records and from the command line."""
    state, reason = bench.explain([job])[job.id]
    assert bench.shown()[job.id] == (state, reason)
    return state, reason


def submit_a_divergence(scene: Scene) -> tuple[Bench, list[Job], str]:
    """With `kill-on-invalid-dep`, as everything is submitted; the probe's id."""
    bench, jobs = scene.bench(), with_knn(scene.tiny, pretraining(scene.tiny, **DIVERGING))
    return bench, jobs, bench.submit(jobs)[jobs[2].id]


@begins(submit_a_divergence)
def test_a_loss_that_is_not_finite_fails_and_blocks(started):
    bench, jobs, slurm_id = started
    assert list(bench.wait(jobs).values()) == ["done", "failed", "blocked"]
    state, reason = tell(bench, jobs[1])
    assert (state, reason[:8]) == ("failed", "Diverged")
    assert "loss is nan at step 2 of " in reason and "lower base_lr" in reason
    assert_blocked(bench, jobs)
    assert slurm_id not in slurm.queue.queued_jobs()


def assert_blocked(bench: Bench, jobs: list[Job]) -> None:
    """The probe of an encoder that failed is, and both would be submitted again."""
    assert tell(bench, jobs[2]) == ("blocked", f"depends on {jobs[1].name} (failed)")
    assert [job.id for job in Site(bench.site, bench.store).missing(jobs)] == [jobs[1].id, jobs[2].id]


def submit_a_divergence_that_blocks_for_ever(scene: Scene) -> tuple[Bench, list[Job], str]:
    """Without `kill-on-invalid-dep`: the probe stays in the queue."""
    asked = slurm.parameters
    unmet: dict[str, object] = {"slurm_additional_parameters": {}}
    scene.environment.setattr(slurm, "parameters", lambda *given: {**asked(*given), **unmet})
    bench, jobs = scene.bench(), with_knn(scene.tiny, pretraining(scene.tiny, **DIVERGING))
    return bench, jobs, bench.submit(jobs)[jobs[2].id]


@pytest.mark.slow
@begins(submit_a_divergence_that_blocks_for_ever)
def test_a_dependency_that_can_never_be_met_is_blocked(started):
    bench, jobs, slurm_id = started
    assert list(bench.wait(jobs).values()) == ["done", "failed", "blocked"]
    assert_blocked(bench, jobs)
    assert slurm_id in slurm.queue.queued_jobs()
    subprocess.run(["scancel", slurm_id], check=True)


def submit_what_needs_more_memory(scene: Scene) -> tuple[Bench, list[Job]]:
    bench = scene.bench(setup=("ulimit -d 1500000",))  # kB; what is imported takes more than half of it
    encoder = pretraining(scene.tiny, epochs=12)
    jobs = with_knn(scene.tiny, Job(encoder.config.replace(variant="vit_h"), encoder.inputs))
    bench.submit(jobs)
    return bench, jobs


@pytest.mark.slow
@begins(submit_what_needs_more_memory)
def test_no_memory_fails_with_what_to_do(started):
    bench, jobs = started
    assert list(bench.wait(jobs).values()) == ["done", "failed", "blocked"], bench.logs()
    _, reason = tell(bench, jobs[1])
    assert reason.startswith("out of memory: lower per_device_batch") and "can't allocate memory" in reason


@pytest.mark.slow
def test_a_kill_without_a_word_is_lost_and_goes_on(login, bench, chain):
    """As the kernel does where memory is short."""
    _, encoder, probe = chain
    slurm_id = bench.submit(chain)[encoder.id]
    bench.wait(chain, lambda _: has_checkpoint(bench, encoder))
    tasks = [one for one in login.processes() if one.environment.get("SLURM_JOB_ID") == slurm_id]
    for task in tasks:
        if "SLURM_PROCID" in task.environment:
            task.send(signal.SIGKILL)
    assert list(bench.wait(chain).values()) == ["done", "lost", "blocked"]
    state, reason = tell(bench, encoder)
    assert (state, login.job(slurm_id)["JobState"]) == ("lost", "FAILED")
    assert bench.facts(encoder)["log"] and bench.facts(encoder)["hours_used"] > 0
    assert reason.startswith("its process died") and reason.endswith("; resumes from its checkpoint")
    assert tell(bench, probe) == ("blocked", f"depends on {encoder.name} (lost)")
    assert set(bench.submit(chain)) == {encoder.id, probe.id}
    assert set(bench.wait(chain).values()) == {"done"}
    assert bench.resumed() and len(bench.attempts(encoder)) == 2


def has_checkpoint(bench: Bench, job: Job) -> bool:
    return any((bench.store.folder(job) / "checkpoints").glob("*.pt"))


@pytest.mark.slow
def test_a_plain_term_saves_and_lets_nothing_start_that_waits(bench, chain, rendered):
    bench.add(rendered)
    _, encoder, probe = chain
    slurm_id = bench.submit(chain)[encoder.id]
    bench.wait_for_steps(chain, encoder, 3)
    shown = {name: bench.facts(job) for name, job in (("runs", encoder), ("waits", probe))}
    runs, waits = shown["runs"], shown["waits"]
    assert runs["images_per_second"] > 0 and 0 < runs["share"] < 1 and runs["detail"].startswith("loss ")
    assert (runs["slices"], runs["num_slices"]) == (1, 1) and runs["hours_used"] > 0 < runs["hours_left"]
    assert 0 < datetime.fromisoformat(runs["expected_end"]).timestamp() - time.time() < 600
    assert (waits["slices"], waits["num_slices"], waits["expected_end"]) == (0, 1, None)
    subprocess.run(["scancel", "--signal", "TERM", slurm_id], check=True)
    assert list(bench.wait(chain).values()) == ["done", "lost", "blocked"]
    assert tell(bench, encoder)[1] == "stopped by SIGTERM, and not requeued; resumes from its checkpoint"
    assert bench.attempts(probe) == []


def submit_to_a_wrong_interpreter(scene: Scene) -> tuple[Bench, list[Job]]:
    bench, jobs = Bench(scene.folder / "store", python="python3.99"), pretraining(scene.tiny, epochs=1).ancestors()[:1]
    bench.submit(jobs)
    return bench, jobs


@begins(submit_to_a_wrong_interpreter)
def test_a_job_that_never_reaches_python_shows_its_log(started):
    bench, (job,) = started
    assert bench.wait([job]) == {job.id: "lost"}
    assert tell(bench, job)[1] == "its process died without a word: killed, or never started"
    assert "python3.99" in "\n".join(bench.facts(job)["log"])


def submit_with_a_failing_line(scene: Scene) -> tuple[Bench, list[Job]]:
    setup = ("export MODULES=1", "module load cuda/99", "echo not reached")
    bench, jobs = (
        Bench(scene.folder / "store", setup=setup),
        with_knn(scene.tiny, pretraining(scene.tiny, epochs=1))[:2],
    )
    bench.submit(jobs)
    return bench, jobs


@begins(submit_with_a_failing_line)
def test_a_failing_line_of_setup_ends_the_job_and_is_in_its_log(started, login):
    bench, (job, dependent) = started
    assert bench.wait([job, dependent]) == {job.id: "lost", dependent.id: "blocked"}
    assert login.job(str(bench.slurm_id(job)))["JobState"] == "FAILED"
    log = "\n".join(bench.facts(job)["log"])
    assert "setup: module load cuda/99 failed with status 127. Correct [slurm] setup in the site file" in log
    assert bench.attempts(job) == [] and "not reached" not in log


@pytest.mark.slow
def test_a_warning_outside_of_training_starts_over_under_its_id(login, tiny, tmp_path):
    """A measurement of costs hears no signal itself, and submitit's handler does.

    Below 11 minutes submitit takes every warning for a time limit, and counts it.
    """
    bench, cost = Bench(tmp_path, minutes=5), measurement(tiny, num_steps=500)
    jobs = [*cost.ancestors(), cost]
    slurm_id = bench.submit(jobs)[cost.id]
    bench.wait(jobs, lambda _: len(bench.attempts(cost)) == 1)
    subprocess.run(["scancel", "--signal", "USR2", slurm_id], check=True)
    bench.wait(jobs, lambda states: states[cost.id] == "queued")
    assert bench.submit(jobs) == {}
    assert set(bench.wait(jobs).values()) == {"done"}
    assert [attempt["scheduler_id"] for attempt in bench.attempts(cost)] == [slurm_id] * 2
    assert [attempt["outcome"] for attempt in bench.attempts(cost)] == ["stopped", "done"]


def measurement(tiny, num_steps: int) -> Job:
    """Costs of one pretraining compared with itself, some seconds of them."""
    config = pretraining(tiny, epochs=1).config
    changed = {"pretraining": config, "against": config, "num_images": 4, "num_steps": num_steps}
    return make_job(tiny.apply(EVALUATIONS["pretraining_cost"]()).replace(**changed))


def test_cancelled_before_it_started(login, tiny, tmp_path):
    """Tasks of arrays too, which SLURM then reports in one line."""
    bench = Bench(tmp_path, partition="closed")
    jobs = [job for epochs in (10, 20, 30) for job in with_knn(tiny, pretraining(tiny, epochs))]
    ids = bench.submit(jobs)
    assert any("_" in slurm_id for slurm_id in ids.values())
    subprocess.run(["scancel", *{slurm_id.partition("_")[0] for slurm_id in ids.values()}], check=True)
    assert set(bench.wait(jobs).values()) == {"cancelled"}
    assert {reason for _, reason in bench.explain(jobs).values()} == {"cancelled before it started"}


def push_out(login: Cluster) -> str:
    """A job that wants the whole cluster, in the partition that others give way to."""
    return login.submit("true", "--partition=main", "--nodes=2", "--ntasks-per-node=4")


@pytest.mark.slow
def test_preempted_where_preemption_cancels_it_requeues_itself(login, tmp_path, chain):
    bench, encoder = Bench(tmp_path, partition="cancel"), chain[1]
    slurm_id = bench.submit(chain)[encoder.id]
    bench.wait_for_steps(chain, encoder, 3)
    login.wait_for(push_out(login), "COMPLETED")
    assert set(bench.wait(chain).values()) == {"done"}
    tries = bench.attempts(encoder)
    assert [(attempt["scheduler_id"], attempt.get("stopped_by")) for attempt in tries] == [
        (slurm_id, "SIGUSR2"),
        (slurm_id, None),
    ]


@pytest.mark.slow
def test_preempted_and_never_requeued_is_over(login, tmp_path, tiny):
    """submitit takes PREEMPTED for a state that passes."""
    bench, job = Bench(tmp_path, partition="cancel", setup=SLEEP), pretraining(tiny, epochs=1).inputs["data"]
    slurm_id = bench.submit([job])[job.id]
    bench.wait([job], lambda states: states[job.id] == "running")
    login.wait_for(push_out(login), "COMPLETED")
    assert bench.wait([job]) == {job.id: "lost"}
    assert login.job(slurm_id)["JobState"] == "PREEMPTED"
    assert tell(bench, job) == ("lost", "preempted, and not requeued")
    calm = Bench(tmp_path)
    assert set(calm.submit([job])) == {job.id}
    assert calm.wait([job]) == {job.id: "done"}


@pytest.mark.slow
@pytest.mark.parametrize("grace", [0, 10])
def test_preempted_without_a_warning_saves_and_is_requeued(state, tmp_path, chain, monkeypatch, grace):
    """Most sites send TERM only, and many give no time. SLURM forgets a job that ends within the time it is given."""
    extra = ("SlurmctldParameters=idle_on_node_suspend",)
    with Cluster(state, Settings(grace=grace, kill_wait=5, extra=extra)) as cluster:
        log_in(cluster, monkeypatch)
        bench, encoder = Bench(tmp_path, partition="requeue"), chain[1]
        slurm_id = bench.submit(chain)[encoder.id]
        bench.wait_for_steps(chain, encoder, 3)
        cluster.wait_for(push_out(cluster), "COMPLETED")
        assert set(bench.wait(chain).values()) == {"done"}, bench.explain(chain)
        tries = bench.attempts(encoder)
        assert [(attempt["scheduler_id"], attempt.get("stopped_by")) for attempt in tries] == [
            (slurm_id, "SIGTERM"),
            (slurm_id, None),
        ]
        assert bench.resumed()


@pytest.mark.slow
def test_no_accounting_no_difference(state, tmp_path, tiny, chain, monkeypatch):
    """A failure, a scancel and a success on a cluster without sacct."""
    with Cluster(state, Settings(accounting="none")) as cluster:
        log_in(cluster, monkeypatch)
        bench = Bench(tmp_path)
        failing = pretraining(tiny, **DIVERGING)
        data, encoder, probe = chain
        ids = bench.submit([*chain, failing])
        bench.wait_for_steps(chain, encoder, 3)
        subprocess.run(["scancel", ids[encoder.id], ids[probe.id]], check=True)
        bench.wait([*chain, failing])
        assert bench.states([data]) == {data.id: "done"}
        assert tell(bench, encoder) == ("cancelled", "cancelled; resumes from its checkpoint")
        assert tell(bench, probe) == ("cancelled", "cancelled before it started")
        found, reason = tell(bench, failing)
        assert found == "failed" and reason.startswith("Diverged")
