"""A first site file from SLURM's own information, and a check of a site from inside its jobs."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from caebench.datasets.registry import PUBLISHED
from caebench.execution.schedulers.slurm.answers import seconds_in
from caebench.execution.schedulers.slurm.queue import NAME, ask
from caebench.execution.schedulers.slurm.sbatch import (
    make_executor,
    make_log_folder,
    parameters,
    submitting,
)
from caebench.execution.schedulers.slurm.submissions import Submission
from caebench.specs.did_you_mean import suggest
from caebench.specs.site import Site
from caebench.specs.slurm import Slurm

LIMIT = 5  # minutes for a probe; it needs one, and importing torch from a cold file server another
PATIENCE = 600.0  # seconds that a probe may wait for a node
FORMAT = "%P|%l|%G|%c|%D"


class Partition(NamedTuple):
    """A partition as sinfo has it."""

    name: str
    is_default: bool
    minutes: int | None  # None: no limit
    num_gpus: int  # of a node
    num_cpus: int  # of a node
    num_nodes: int


def partitions() -> list[Partition]:
    """Every partition of the cluster, the default one first.

    Raises:
        ValueError: there is no SLURM here.
    """
    found = [_partition(line) for line in ask(["sinfo", "--noheader", "--format", FORMAT]).splitlines() if line.strip()]
    return sorted({p.name: p for p in found}.values(), key=lambda p: not p.is_default)


def first_file(store: Path, partition: Partition) -> str:
    """A site file for a partition, to be completed by its reader."""
    processes = max(1, partition.num_gpus)
    lines = [
        f'store = "{store}"  # must be seen by every node',
        'scale = "paper"',
        "per_device_batch = 128  # the most images that fit on a device",
        "",
        "[data]  # `caebench data check` verifies them",
        *(f'# {name} = ""  # {known.layout}' for name, known in PUBLISHED.items()),
        "",
        "[slurm]",
        f'partition = "{partition.name}"',
        f"gpus_per_node = {partition.num_gpus}",
        f"cpus_per_task = {max(1, partition.num_cpus // processes)}",
        f"minutes = {min(partition.minutes or 1440, 1440)}  # of one slice; a job takes as many as it needs",
        f"max_array = {max_array()}",
        '# account = ""  # and qos, constraint, memory_gb, setup = ["module load ..."]',
    ]
    return "\n".join(lines) + "\n"


def max_array() -> int:
    """The most jobs in an array."""
    for line in ask(["scontrol", "show", "config"]).splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize":
            return max(1, int(value) - 1)
    return 1000


def probe(site: Site, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The report of a job on each partition, or why there is none.

    Raises:
        ValueError: a partition is unknown, or this machine cannot submit.
    """
    assert site.slurm is not None, "only a site with [slurm] has partitions"
    limits, wanted = {known.name: known.minutes for known in partitions()}, list(names)
    for name in wanted:
        if name not in limits:
            known = f"{suggest(name, limits)} Known: {', '.join(limits)}."
            raise ValueError(f"site file, [slurm] partition = '{name}': unknown.{known}")
    store = site.store
    make_log_folder(store)
    token = store / NAME / f"token-{time.time_ns()}"
    token.touch()
    try:
        jobs = {name: _submit(site, site.slurm.replace(partition=name), token) for name in wanted}
        return {name: {"time limit, minutes": limits[name], **_answer(job)} for name, job in jobs.items()}
    finally:
        token.unlink()


def _submit(site: Site, settings: Slurm, token: Path) -> Any:
    """The probe job of a partition, or why sbatch rejects it."""
    from caebench.execution.schedulers.slurm.probe import Probe

    executor = make_executor(settings, site.store)
    asked = parameters(settings.replace(minutes=LIMIT, warning_seconds=1), Submission(()), {}, None)
    executor.update_parameters(**asked)
    try:
        with submitting():
            return executor.submit(Probe(site, token))
    except ValueError as error:
        return str(error)


def _answer(job: Any) -> dict[str, Any]:
    if isinstance(job, str):
        return {"failed": job}
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if job.done():
            try:
                return job.result()
            except Exception as error:  # submitit wraps whatever the job has met
                return {"failed": last_words(str(error))}
        time.sleep(1.0)
    return {"failed": f"no node within {PATIENCE:.0f} s: {job.state}"}


def last_words(said: str) -> str:
    """Why a job failed: the last line of its traceback, or if there is none submitit's full message."""
    _, *trace = said.split("-" * 22)
    return trace[0].strip().splitlines()[-1] if trace else " ".join(said.split())


def _partition(line: str) -> Partition:
    name, limit, gres, cpus, nodes = line.strip().split("|")
    seconds = seconds_in(limit)
    minutes = None if seconds is None else int(seconds // 60)
    return Partition(name.rstrip("*"), name.endswith("*"), minutes, _num_gpus(gres), int(cpus.rstrip("+")), int(nodes))


def _num_gpus(gres: str) -> int:
    """The number of GPUs from `gpu:a100:8(S:0-1)`, `gpu:2`, `(null)`."""
    found = 0
    for part in gres.split(","):
        fields = part.partition("(")[0].split(":")
        if fields[0] == "gpu":
            found += int(fields[-1]) if fields[-1].isdigit() else 1
    return found
