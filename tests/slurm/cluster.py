"""A real SLURM on this machine alone: munged, slurmctld and several slurmd on loopback, without systemd or cgroups.

python -m tests.slurm.cluster STATE          # start, and stop at Ctrl-C
python -m tests.slurm.cluster STATE --stop   # stop what a killed one has left
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.slurm import configuration, database, hosts
from tests.slurm.configuration import Folder, Settings, choose_ports, listens
from tests.slurm.install import PACKAGES, WITH_ACCOUNTING, obstacle, search_path
from tests.slurm.processes import DAEMONS, Process, end, eventually, kill, processes_of
from tests.slurm.sacct import Record, records

MARK = "caebench-test-cluster"  # in a state folder that may be wiped
LONGEST = 60  # characters of the state folder; a unix socket below it may have about 100
FINAL = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"}


class ClusterError(RuntimeError):
    """The cluster cannot do what was asked; says which daemon's log has what."""


class Cluster:
    """A cluster in a state folder of its own; several can live side by side."""

    def __init__(self, state: Path, settings: Settings | None = None) -> None:
        self.folder = Folder(state.resolve())
        self.settings = settings or Settings()
        self.has_database = self.settings.accounting == "slurmdbd"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Start and stop

    def start(self) -> Self:
        """Start from nothing and wait until all nodes are idle; what an earlier cluster left in the folder goes."""
        if reason := obstacle(WITH_ACCOUNTING if self.has_database else PACKAGES):
            raise ClusterError(reason)
        self._claim_folder()
        self.stop()
        self._wipe()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        ports = choose_ports(self.settings)
        configuration.write(self.settings, self.folder, ports, self._major_version())
        hosts.add(self.settings.nodes, self.folder.root)
        self._start_munged()
        if self.has_database:
            self._start_database(ports.accounting)
        self._daemon("slurmctld", "-c")
        self._expect(lambda: " is UP" in self._ask("scontrol", "ping").stdout, 20, "slurmctld does not answer")
        for name in self.settings.nodes:
            self._start_node(name)
        self._expect(lambda: set(self.node_states().values()) == {"idle"}, 60, "not all nodes are idle")

    def stop(self) -> None:
        """Cancel the jobs, end the daemons, then what is left of the jobs. The folder stays, with its logs."""
        if any(process.name == "slurmctld" for process in self.processes()):
            self._cancel_jobs()
        for name in DAEMONS:
            end(process for process in self.processes() if process.name == name)
        kill(self.processes())
        hosts.remove(self.folder.root)

    def processes(self) -> list[Process]:
        """All that runs of it: daemons, and what they have started."""
        return processes_of(self.folder.conf)

    def _claim_folder(self) -> None:
        root = self.folder.root
        if len(str(root)) > LONGEST:
            raise ClusterError(
                f"{root}: a unix socket's path is short; choose a folder of at most {LONGEST} characters"
            )
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()) and not (root / MARK).exists():
            raise ClusterError(f"{root}: neither empty nor a test cluster's folder; choose another")
        (root / MARK).touch()
        root.chmod(0o755)  # munged and the jobs of other users must get in

    def _wipe(self) -> None:
        for path in self.folder.root.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != MARK:
                path.unlink()

    def _major_version(self) -> int:
        path = shutil.which("slurmd", path=search_path()) or "slurmd"
        words = subprocess.run([path, "-V"], capture_output=True, text=True, check=True).stdout  # slurm-wlm 22.05.8
        if not (found := re.search(r"(\d+)\.\d+", words)):
            raise ClusterError(f"slurmd -V printed {words!r}, which has no version")
        return int(found[1])

    def _start_munged(self) -> None:
        run = self.folder.run
        files = [f"--key-file={run}/munge.key", f"--seed-file={run}/munge.seed", f"--pid-file={run}/munged.pid"]
        self._daemon("munged", f"--socket={run}/munge.socket", *files, f"--log-file={self.folder.log}/munged.log")

    def _start_database(self, port: int) -> None:
        database.write(self.folder, port)
        self._daemon(*database.install_command(self.folder))
        self._daemon(*database.server_command(self.folder))
        create = database.create_command(self.folder)
        self._expect(lambda: self._ask(*create, patience=5).returncode == 0, 20, "mariadbd does not answer")
        self._daemon("slurmdbd", MYSQL_UNIX_PORT=str(database.database_socket(self.folder)))
        self._expect(lambda: listens(port), 20, "slurmdbd does not listen")

    def _start_node(self, name: str) -> None:
        # Its children inherit the name, and kill_node finds all of them by it.
        self._daemon("slurmd", "-N", name, SLURMD_NODENAME=name)

    def _daemon(self, name: str, *arguments: str, **environment: str) -> None:
        """Run a program that goes to the background by itself."""
        path = shutil.which(name, path=search_path()) or name
        with (self.folder.log / f"{name}.out").open("a", encoding="utf8") as out:
            status = subprocess.run(
                [path, *arguments],
                env={**self.environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder.root,
                start_new_session=True,
                timeout=60,
                check=False,
            ).returncode
        if status:
            raise ClusterError(f"{shlex.join([name, *arguments])}: status {status}\n{self.logs()}")

    def _expect(self, condition: Callable[[], bool], patience: float, complaint: str) -> None:
        if not eventually(condition, patience):
            raise ClusterError(f"{complaint} after {patience} s\n{self.logs()}")

    def _cancel_jobs(self) -> None:
        """While the daemons can still clean up after them; without an answer, the sweep does it."""
        found = self._ask("squeue", "-h", "-o", "%A", patience=5)
        if found.returncode == 0 and (ids := sorted(set(found.stdout.split()))):
            self._ask("scancel", *ids, patience=5)
            gone = self.settings.kill_wait + 3
            eventually(lambda: not self._ask("squeue", "-h", patience=5).stdout.strip(), gone)

    # Nodes

    def node_states(self) -> dict[str, str]:
        """`idle`, `mixed`, `allocated`, `down`, ... by node; a star says that it does not respond."""
        lines = self.run("sinfo", "-h", "-N", "-o", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    def kill_node(self, name: str) -> None:
        """A crash: KILL for its daemon and all that it runs; SLURM notices after about its node_timeout."""
        for kind in ("slurmd", "slurmstepd", None):  # none may live to tell
            kill(process for process in self._processes_on(name) if kind in (None, process.name))

    def restore_node(self, name: str, patience: float = 30) -> None:
        """Start the daemon of a killed node again and wait until it can take jobs."""
        self._start_node(name)
        up = ("idle", "mixed", "allocated")
        self._expect(lambda: self.node_states()[name] in up, patience, f"{name} is not back")

    def set_down(self, name: str, reason: str = "test") -> None:
        """As an administrator does: its jobs are requeued, its daemon lives."""
        self.run("scontrol", "update", f"NodeName={name}", "State=DOWN", f"Reason={reason}")

    def resume(self, name: str) -> None:
        self.run("scontrol", "update", f"NodeName={name}", "State=RESUME")

    def _processes_on(self, name: str) -> list[Process]:
        return [one for one in self.processes() if one.environment.get("SLURMD_NODENAME") == name]

    # Commands and jobs

    def environment(self) -> dict[str, str]:
        """What a child needs, beside its own environment, to use this cluster."""
        return {"SLURM_CONF": str(self.folder.conf), "PATH": f"{self.folder.bin}{os.pathsep}{search_path()}"}

    def run(self, *command: str, patience: float = 30) -> str:
        """What a command prints, in the folder's work/; a failure is an error with its words."""
        done = self._ask(*command, patience=patience)
        if done.returncode:
            raise ClusterError(f"{shlex.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout

    def _ask(self, *command: str, patience: float = 30) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment()}
        path = shutil.which(command[0], path=environment["PATH"]) or command[0]
        try:
            return subprocess.run(
                [path, *command[1:]],
                env=environment,
                cwd=self.folder.work,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return subprocess.CompletedProcess(command, 124, "", str(error))

    def submit(self, script: str, *options: str) -> str:
        """sbatch a line of shell; the job's id."""
        return self.run("sbatch", "--parsable", *options, f"--wrap={script}").strip()

    def output(self, job: str) -> str:
        """What a job of `submit` has printed."""
        return (self.folder.work / f"slurm-{job}.out").read_text(encoding="utf8")

    def job(self, job: str) -> Record:
        """What slurmctld knows of a job, in its own words: JobState, Reason, Restarts, NodeList, ..."""
        return next(records(self.run("scontrol", "-o", "show", "job", job)))

    def wait_for(self, job: str, *states: str, patience: float = 60) -> Record:
        """Wait until a job is in one of these states; an end in another one is an error at once."""
        seen: Record = {}

        def settled() -> bool:
            seen.update(self.job(job))
            return seen["JobState"] in {*states, *FINAL}

        if not eventually(settled, patience, pause=0.2) or seen["JobState"] not in states:
            state = f"{seen['JobState']} ({seen.get('Reason')})"
            raise ClusterError(f"job {job}: {state}, not {' or '.join(states)}\n{self.logs()}")
        return seen

    def logs(self, num_lines: int = 8) -> str:
        """The end of every log."""
        paths = sorted(path for path in self.folder.log.glob("*") if path.stat().st_size)
        texts = [(path, path.read_text(encoding="utf8", errors="replace").splitlines()) for path in paths]
        return "\n".join("\n".join([f"--- {path}", *lines[-num_lines:]]) for path, lines in texts)


def exports(cluster: Cluster) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in cluster.environment().items())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.slurm.cluster", description="A SLURM to try things on.")
    parser.add_argument("state", type=Path, help="a new or empty folder, with a short path")
    parser.add_argument("--stop", action="store_true", help="stop what is left of an earlier cluster there")
    for name in ("num_nodes", "cpus", "memory", "gpus", "min_job_age", "node_timeout", "grace"):
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=getattr(Settings, name), help="%(default)s")
    parser.add_argument(
        "--accounting", choices=["stand-in", "slurmdbd", "none"], default="stand-in", help="%(default)s"
    )
    return parser.parse_args()


def main() -> None:
    options = vars(arguments())
    state, stop = options.pop("state"), options.pop("stop")
    cluster = Cluster(state, Settings(**options))
    if stop:
        cluster.stop()
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        with cluster:
            print(f"{exports(cluster)}\n# Up: {', '.join(cluster.settings.nodes)}. Ctrl-C stops it.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("# stopped")
    except ClusterError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
