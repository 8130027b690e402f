"""The processes of a cluster, known by the SLURM_CONF that they were started with, and their end by pid."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

DAEMONS = ("slurmd", "slurmctld", "slurmscriptd", "slurmdbd", "mariadbd", "munged")  # in the order of their stop
OF_A_DAEMON = ("SLURM_CONF", "SLURMD_NODENAME")


@dataclass(frozen=True)
class Process:
    """A live process; its start tells it from a later one with the same pid."""

    pid: int
    parent: int
    name: str
    started: str
    environment: Mapping[str, str]

    @property
    def alive(self) -> bool:
        found = read_process(self.pid)
        return found is not None and found.started == self.started

    def send(self, number: int) -> None:
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def read_process(pid: int) -> Process | None:
    """The process with a pid; None if there is none, or only its zombie."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf8", errors="replace")
        block = Path(f"/proc/{pid}/environ").read_text(encoding="utf8", errors="replace")
    except OSError:
        return None
    head, _, tail = line.rpartition(")")
    fields = tail.split()  # from the third of stat(5) on: the state
    if fields[0] in "ZX":
        return None
    pairs = (entry.partition("=") for entry in block.split("\0"))
    return Process(pid, int(fields[1]), head.partition("(")[2], fields[19], {name: value for name, _, value in pairs})


def processes_of(conf: Path) -> list[Process]:
    """The daemons of the cluster with this slurm.conf, and what runs in its jobs; not its users' shells."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = [process for process in map(read_process, pids) if process and process.pid != os.getpid()]
    ours = [process for process in found if process.environment.get("SLURM_CONF") == str(conf)]
    steps = {one.parent: {name: one.environment.get(name, "") for name in OF_A_DAEMON} for one in ours}
    # A newer slurmstepd's title overwrites its environment: it is known by its child.
    unnamed = [process for process in found if process not in ours and process.name == "slurmstepd"]
    ours += [replace(process, environment=steps[process.pid]) for process in unnamed if process.pid in steps]
    return [one for one in ours if one.name in (*DAEMONS, "slurmstepd") or "SLURM_JOB_ID" in one.environment]


def eventually(condition: Callable[[], bool], patience: float, pause: float = 0.1) -> bool:
    """Whether a condition came true within some seconds."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def end(processes: Iterable[Process], patience: float = 10) -> None:
    """TERM, then KILL for what is still there."""
    rest = list(processes)
    for process in rest:
        process.send(signal.SIGTERM)
    if not eventually(lambda: not any(process.alive for process in rest), patience):
        kill(rest)


def kill(processes: Iterable[Process]) -> None:
    """KILL, and wait until they are gone."""
    rest = list(processes)
    for process in rest:
        process.send(signal.SIGKILL)
    eventually(lambda: not any(process.alive for process in rest), 10)
