"""A store and a site on the test cluster, and the jobs that its tests submit there."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from caebench.execution.schedulers.base import SubmitOptions
from caebench.execution.schedulers.registry import log_files, query
from caebench.execution.schedulers.slurm.submit import Cluster
from caebench.planning.graph import make_plan
from caebench.report.progress import folder_facts
from caebench.specs.job import Job, make_job
from caebench.specs.registry import EVALUATIONS
from caebench.specs.scale import Scale
from caebench.specs.site import Site
from caebench.specs.slurm import Slurm
from caebench.store.holders import holder_id
from caebench.store.state import Statuses, attempts
from caebench.store.store import Store
from caebench.suites import loading as suites

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 600.0  # seconds; far beyond any job here, even on a busy machine
SMALL = {"partition": "main", "gpus_per_node": 0, "cpus_per_task": 1, "minutes": 60, "warning_seconds": 30}


class Bench:
    """A store and a site on the test cluster."""

    def __init__(self, root: Path, **slurm: object) -> None:
        settings = Slurm.model_validate({**SMALL, **slurm})
        self.site = Site(store=root, shared_store=True, device="cpu", checkpoint_minutes=0.05, slurm=settings)
        self.store = Store(root)

    def add(self, rendered: Store) -> Self:
        """Put in the finished jobs of another store, as if they had run here."""
        shutil.copytree(rendered.root, self.store.root, dirs_exist_ok=True)
        return self

    def submit(self, jobs: list[Job], pack: int | None = None) -> dict[str, str]:
        return Cluster(self.site, self.store, SubmitOptions(pack=pack)).submit(jobs, None)

    def states(self, jobs: list[Job]) -> dict[str, str]:
        """Each job's state, by its id."""
        return {job_id: state for job_id, (state, _) in self.explain(jobs).items()}

    def explain(self, jobs: list[Job]) -> dict[str, tuple[str, str]]:
        """Each job's state and the reason for it, by its id."""
        folders = {job.id: self.store.folder(job) for job in jobs}
        statuses = Statuses(self.store, query(folders.values()))
        return {job_id: statuses.of(folder) for job_id, folder in folders.items()}

    def wait(
        self, jobs: list[Job], ready: Callable[[dict[str, str]], bool] | None = None, patience: float = PATIENCE
    ) -> dict[str, str]:
        """The states once nothing is pending or running, or once `ready` says so."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            states = self.states(jobs)
            if ready(states) if ready else not {"queued", "running", "todo"} & set(states.values()):
                return states
            time.sleep(1)
        raise AssertionError(f"{self.explain(jobs)}\n{self.logs()}")

    def wait_for_steps(self, jobs: list[Job], job: Job, num: int) -> None:
        """Until a job runs and has written more than some lines of metrics."""
        self.wait(jobs, lambda states: states[job.id] == "running" and self.num_lines(job) > num)

    def num_lines(self, job: Job) -> int:
        path = self.store.folder(job) / "metrics.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def metrics(self, job: Job) -> list[dict[str, Any]]:
        text = (self.store.folder(job) / "metrics.jsonl").read_text(encoding="utf8")
        return [json.loads(line) for line in text.splitlines()]

    def attempts(self, job: Job) -> list[dict[str, Any]]:
        return attempts(self.store.folder(job))

    def slurm_id(self, job: Job) -> str | None:
        found = holder_id(self.store.folder(job))
        return found.id if found else None

    def node(self, job: Job) -> str:
        return query([self.store.folder(job)])["slurm"].jobs[str(self.slurm_id(job))].nodes

    def read(self, job: Job, name: str) -> Any:
        return json.loads((self.store.folder(job) / name).read_text(encoding="utf8"))

    def shown(self) -> dict[str, tuple[str, str]]:
        """What `caebench status --json` says of every job in the store, by its id: state, and result or reason."""
        command = [sys.executable, "-m", "caebench", "status", "--json", "--store", str(self.store.root)]
        output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return {fact["job"].rpartition("-")[2]: (fact["state"], fact["detail"]) for fact in json.loads(output)}

    def facts(self, job: Job) -> dict[str, Any]:
        """All that `caebench status --json` says of a job."""
        folder = self.store.folder(job)
        return folder_facts(folder, Statuses(self.store, query([folder])), log_files, self.site.slurm)

    def resumed(self) -> bool:
        """Whether a log says that training went on from a checkpoint."""
        return any("resuming at step" in path.read_text() for path in (self.store.root / "slurm").glob("*_log.*"))

    def logs(self) -> str:
        return "\n".join(path.read_text()[-1500:] for path in sorted((self.store.root / "slurm").glob("*.err")))


def pretraining(tiny: Scale, epochs: int, **changes: object) -> Job:
    """CAE on pixels: 40 images, a step an epoch."""
    plan = make_plan(suites.load("ablation-targets"), tiny, [0])
    (found,) = [job for job in plan.jobs if job.kind == "pretrain" and "pixels" in job.slug]
    optimization = found.config.optimization.replace(epochs=epochs, **changes)  # pyright: ignore
    return make_job(found.config.replace(optimization=optimization))


def with_probes(tiny: Scale, encoder: Job) -> list[Job]:
    names = ("linear_probe", "attentive_probe", "knn", "finetune")
    return [*encoder.ancestors(), encoder, *(make_job(tiny.apply(EVALUATIONS[n]()), encoder=encoder) for n in names)]


def with_knn(tiny: Scale, encoder: Job) -> list[Job]:
    """An encoder's data, the encoder, and one probe on it."""
    return [*encoder.ancestors(), encoder, make_job(tiny.apply(EVALUATIONS["knn"]()), encoder=encoder)]
