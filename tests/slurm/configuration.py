"""What a test cluster is made of: its size, its clocks, and the files that tell SLURM so."""

import os
import random
import shlex
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tests.slurm.sacct as sacct


@dataclass(frozen=True)
class Settings:
    """Sizes are per node and declared: nothing compares them with the machine. Times are in seconds."""

    num_nodes: int = 2
    cpus: int = 4
    memory: int = 4000  # MB
    gpus: int = 2
    min_job_age: int = 3600  # how long slurmctld remembers a finished job
    node_timeout: int = 30  # a silent node is set down
    grace: int = 10  # from the warning signal of a preemption to TERM
    kill_wait: int = 3  # from TERM to KILL
    requeue_wait: int = 16  # a requeued job starts no sooner; its former srun, which kills by id, must be gone
    accounting: Literal["stand-in", "slurmdbd", "none"] = "stand-in"
    extra: tuple[str, ...] = ()  # lines of slurm.conf

    def __post_init__(self) -> None:
        if self.requeue_wait <= self.kill_wait:
            raise ValueError(
                f"requeue_wait={self.requeue_wait} must exceed kill_wait={self.kill_wait}: "
                "a requeued job must not meet its former self on the node"
            )

    @property
    def nodes(self) -> list[str]:
        return [f"n{number}" for number in range(1, self.num_nodes + 1)]


@dataclass(frozen=True)
class Folder:
    """The files of a cluster."""

    root: Path

    @property
    def conf(self) -> Path:
        return self.root / "slurm.conf"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def gpus(self) -> Path:
        return self.root / "gpus"


@dataclass(frozen=True)
class Ports:
    """Where the daemons listen."""

    control: int
    accounting: int
    nodes: tuple[int, ...]


def host_name() -> str:
    return os.uname().nodename.partition(".")[0]


def is_loopback(host: str) -> bool:
    try:
        return socket.gethostbyname(host).startswith("127.")
    except OSError:
        return False


def choose_ports(settings: Settings) -> Ports:
    control, accounting, *nodes = free_ports(2 + settings.num_nodes)
    return Ports(control, accounting, tuple(nodes))


def free_ports(count: int) -> list[int]:
    """Ports of loopback in a row that nothing listens on, below those that clients are given."""
    first = random.randrange(17000, 31000)  # so that clusters that start at once look at different ones
    while first < 32000:
        ports = list(range(first, first + count))
        if all(map(is_free, ports)):
            return ports
        first += count
    raise OSError(f"no {count} free ports in a row below 32000")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def first_job_id() -> int:
    """From the clock: a job of a later cluster must not find the files of one with the same id."""
    return 1000 + int(time.time() * 20) % 60_000_000


def slurm_conf(settings: Settings, folder: Folder, ports: Ports) -> str:
    lines = [*places(settings, folder, ports.control), *behaviour(settings), *accounting(settings, folder, ports)]
    lines += [node(settings, name, port) for name, port in zip(settings.nodes, ports.nodes, strict=True)]
    return "\n".join([*lines, *partitions(settings), *settings.extra, ""])


def places(settings: Settings, folder: Folder, port: int) -> list[str]:
    """Who listens where, and which files are whose; %n is the node's name."""
    lines = [
        "ClusterName=test",
        f"SlurmctldHost={host_name()}(127.0.0.1)",
        f"SlurmctldPort={port}",
        "SlurmUser=root",
        "SlurmdUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder.run}/munge.socket,cred_expire={settings.requeue_wait}",
        f"StateSaveLocation={folder.root}/state",
        f"SlurmdSpoolDir={folder.root}/spool/%n",
        f"SlurmctldPidFile={folder.run}/slurmctld.pid",
        f"SlurmdPidFile={folder.run}/slurmd.%n.pid",
        f"SlurmctldLogFile={folder.log}/slurmctld.log",
        f"SlurmdLogFile={folder.log}/slurmd.%n.log",
    ]
    if is_loopback(host_name()):  # elsewhere the daemons would not find each other
        lines.append("CommunicationParameters=NoInAddrAny,NoCtldInAddrAny")
    return lines


def behaviour(settings: Settings) -> list[str]:
    return [
        # no cgroups, no mail, no MPI; the declared sizes count
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/none",
        "MailProg=/bin/true",
        "MpiDefault=none",
        "SlurmdParameters=config_overrides",
        # a node that was down returns by itself only if it had been silent
        "ReturnToService=1",
        f"SlurmdTimeout={settings.node_timeout}",
        f"KillWait={settings.kill_wait}",
        f"MinJobAge={settings.min_job_age}",
        f"FirstJobId={first_job_id()}",
        # without a default of memory, a job takes a whole node
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        f"DefMemPerCPU={settings.memory // settings.cpus // 2}",
        *(["GresTypes=gpu"] if settings.gpus else []),
        # the defaults let a job wait for 3 s, and its dependents for 30
        "SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2",
        # the victim of a preemption gets the signal that it asked for, not TERM
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "SlurmctldParameters=preempt_send_user_signal",
        "JobRequeue=1",
    ]


def accounting(settings: Settings, folder: Folder, ports: Ports) -> list[str]:
    if settings.accounting != "slurmdbd":
        return ["AccountingStorageType=accounting_storage/none"]
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        "AccountingStorageHost=127.0.0.1",
        f"AccountingStoragePort={ports.accounting}",
        f"AccountingStoragePass={folder.run}/munge.socket",
    ]


def node(settings: Settings, name: str, port: int) -> str:
    gres = f" Gres=gpu:{settings.gpus}" if settings.gpus else ""
    size = f"CPUs={settings.cpus} RealMemory={settings.memory}{gres}"
    return f"NodeName={name} NodeHostname={host_name()} NodeAddr=127.0.0.1 Port={port} {size}"


def partitions(settings: Settings) -> list[str]:
    """Jobs in main push out those in the two that are low; closed takes jobs, and starts none until it is opened."""
    low = f"Nodes=ALL MaxTime=INFINITE PriorityTier=1 GraceTime={settings.grace}"
    return [
        "PartitionName=main Nodes=ALL MaxTime=INFINITE Default=YES PriorityTier=10 PreemptMode=OFF",
        "PartitionName=closed Nodes=ALL MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=DOWN",
        f"PartitionName=requeue {low} PreemptMode=REQUEUE",
        f"PartitionName=cancel {low} PreemptMode=CANCEL",
    ]


def write(settings: Settings, folder: Folder, ports: Ports, major_version: int) -> None:
    """All files that the daemons read; the folder is new."""
    for name in ("run", "log", "bin", "work", "gpus", "state", *(f"spool/{name}" for name in settings.nodes)):
        (folder.root / name).mkdir(parents=True)
    key = folder.run / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(256))
    folder.conf.write_text(slurm_conf(settings, folder, ports), encoding="utf8")
    (folder.root / "gres.conf").write_text(fake_gpus(settings, folder), encoding="utf8")
    # SLURM knows this line from version 23 on
    cgroup = "CgroupPlugin=disabled\n" if major_version >= 23 else "# no cgroups\n"
    (folder.root / "cgroup.conf").write_text(cgroup, encoding="utf8")
    if settings.accounting == "stand-in":
        write_sacct(folder.bin / "sacct")


def fake_gpus(settings: Settings, folder: Folder) -> str:
    """SLURM wants a character device each, under names of their own."""
    if not settings.gpus:
        return ""
    for index in range(settings.gpus):
        (folder.gpus / f"gpu{index}").symlink_to("/dev/null")
    return f"Name=gpu File={folder.gpus}/gpu[0-{settings.gpus - 1}]\n"


def write_sacct(path: Path) -> None:
    command = shlex.join([sys.executable, "-I", "-S", str(Path(sacct.__file__).resolve())])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf8")
    path.chmod(0o755)
