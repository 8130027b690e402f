"""A first site file out of what SLURM says of itself, and a look at a site from inside its jobs."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from caebench.config.site import Site, Slurm
from caebench.execution.queue import ask
from caebench.plan.standing import slurm_seconds

LIMIT = 5  # minutes that a probe may take; it needs one, and torch from a cold file server another
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
        "[data]  # folders of the data sets, as `caebench data check` expects them",
        '# imagenet1k = "/shared/imagenet"',
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


def probe(site: Site, names: Iterable[str | None]) -> dict[str, dict[str, Any]]:
    """What a job on each partition found, or why there is no answer."""
    assert site.slurm is not None, "only a site with [slurm] has partitions"
    folder = site.store / "slurm"
    folder.mkdir(parents=True, exist_ok=True)
    token = folder / f"token-{time.time_ns()}"
    token.touch()
    limits = {known.name: known.minutes for known in partitions()}
    jobs = {name or "(default)": _submit(site, site.slurm.replace(partition=name), token, folder) for name in names}
    try:
        return {name: {"time limit, minutes": limits.get(name), **_answer(job)} for name, job in jobs.items()}
    finally:
        token.unlink()


def _submit(site: Site, settings: Slurm, token: Path, folder: Path) -> Any:
    from submitit import AutoExecutor

    from caebench.execution.probe import Probe
    from caebench.execution.slurm import interpreter, parameters
    from caebench.execution.submissions import Submission

    command = interpreter(settings, site.store)
    executor = AutoExecutor(folder=folder, cluster="slurm", **({"slurm_python": command} if command else {}))
    asked = parameters(settings.replace(minutes=LIMIT, warning_seconds=1), Submission(()), {}, None)
    executor.update_parameters(**asked)
    return executor.submit(Probe(site, token))


def _answer(job: Any) -> dict[str, Any]:
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
    """What a job died of: the last line of its trace; where there is none, all that submitit says."""
    _, *trace = said.split("-" * 22)
    return trace[0].strip().splitlines()[-1] if trace else " ".join(said.split())


def _partition(line: str) -> Partition:
    name, limit, gres, cpus, nodes = line.strip().split("|")
    seconds = slurm_seconds(limit)
    minutes = None if seconds is None else int(seconds // 60)
    return Partition(name.rstrip("*"), name.endswith("*"), minutes, _num_gpus(gres), int(cpus.rstrip("+")), int(nodes))


def _num_gpus(gres: str) -> int:
    """GPUs out of `gpu:a100:8(S:0-1)`, `gpu:2`, `(null)`."""
    found = 0
    for part in gres.split(","):
        fields = part.partition("(")[0].split(":")
        if fields[0] == "gpu":
            found += int(fields[-1]) if fields[-1].isdigit() else 1
    return found
