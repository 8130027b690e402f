"""The section [slurm] of a site file: how a cluster under SLURM takes jobs."""

from pathlib import Path
from typing import Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from caebench.specs.base import Config, UserPath, UserPathText
from caebench.specs.scheduler import KindName, SchedulerSection, warning_problem

FORBIDDEN = {  # in a store's path
    ":": "because it separates folders in PYTHONPATH",
    "%": "because SLURM replaces it in the names of logs",
    "\\": "because SLURM takes it for an escape in the names of logs",
    "\n": "because an option of sbatch is one line",
}


class Resources(Config):
    """What a job asks of SLURM, where it differs from the site's."""

    partition: str | None = None
    """The partition."""
    nodes: PositiveInt | None = None
    """Nodes of a job."""
    gpus_per_node: NonNegativeInt | None = None
    """GPUs of a node."""
    tasks_per_node: PositiveInt | None = None
    """Processes of a node."""
    cpus_per_task: PositiveInt | None = None
    """CPU cores of a process."""
    memory_gb: PositiveFloat | None = None
    """Memory of a node, in GB."""
    minutes: PositiveInt | None = None
    """Minutes of one slice."""


class Slurm(SchedulerSection):
    """How this cluster takes jobs. One process a GPU; without GPUs, `tasks_per_node` processes."""

    account: str | None = None
    """The account that is charged."""
    qos: str | None = None
    """The quality of service."""
    constraint: str | None = None
    """Features that nodes must have."""
    nodes: PositiveInt = 1
    """Nodes of a job."""
    gpus_per_node: NonNegativeInt = 1
    """GPUs of a node."""
    tasks_per_node: PositiveInt | None = None
    """Processes of a node; without it one per GPU, or one."""
    cpus_per_task: PositiveInt = 8
    """CPU cores of a process."""
    memory_gb: PositiveFloat | None = None
    """Memory of a node, in GB; without it, the partition's default."""
    setup: tuple[str, ...] = ()
    """Shell lines before a job: modules, environment."""
    venv: UserPath | None = None
    """A virtual environment that is activated before a job, in place of the interpreter that submits."""
    container: UserPath | None = None
    """An Apptainer image whose python runs the job."""
    binds: tuple[UserPathText, ...] = ()
    """More folders that the container sees, as Apptainer writes them."""
    python: str | None = None
    """Any other command in place of the interpreter."""
    srun: tuple[str, ...] = ()
    """More options of srun, such as --container-image=... of pyxis."""
    max_array: PositiveInt = 1000
    """Jobs in an array, at most; `scontrol show config`: MaxArraySize - 1."""
    stages: dict[KindName, Resources] = Field(default_factory=dict)
    """What a kind of job asks for instead."""

    def of(self, kind: str) -> Self:
        """The settings for a kind of job."""
        changes = self.stages.get(kind, Resources()).model_dump(exclude_none=True)
        return self.replace(**changes)

    @model_validator(mode="after")
    def _check_interpreter(self) -> Self:
        given = [name for name in ("venv", "container", "python") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both say which python runs a job: keep one")
        return self

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        for kind, asked in self.stages.items():
            if problem := warning_problem(self.warning_seconds, asked.minutes or self.minutes):
                raise ValueError(f"stages.{kind}: {problem}")
        return self

    @property
    def num_processes(self) -> int:
        """Processes of a job."""
        return self.nodes * (self.tasks_per_node or max(1, self.gpus_per_node))


def check_store(store: Path) -> None:
    """Check that the path of a store can stand in a batch script.

    Raises:
        ValueError: it has a character that cannot be quoted there.
    """
    path = str(store.expanduser().absolute())  # which sbatch gets
    for character, reason in FORBIDDEN.items():
        if character in path:
            raise ValueError(f"store is {path!r}: {character!r} cannot be in it, {reason}. Choose another folder")
