"""What several tests use: the command line in processes of its own, and small questions to a job's folder."""

import json
import multiprocessing
import os
import pickle
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from caebench.cli import main
from caebench.contracts.checking import NEEDED as NEEDED
from caebench.files.layout import CHECKPOINTS
from caebench.specs.base import Config
from caebench.specs.job import Job, make_job
from caebench.specs.pretrain import Pretrain
from caebench.specs.registry import SOURCES
from caebench.specs.scale import Scale
from caebench.store.store import Store

# A server that has imported torch once: each command is forked from it, so that it starts in a tenth of a second.
FORKS = multiprocessing.get_context("forkserver")
DENSE = ("segmentation", "detection", "knn_segmentation")  # which a user's process imports when it comes to them
FORKS.set_forkserver_preload(
    ["caebench.cli", "caebench.execution.local", "caebench.stages", *(f"caebench.tasks.dense.{name}" for name in DENSE)]
)
PATIENCE = 120.0  # seconds; far beyond any command here, even on a busy machine
TIMING = {"images_per_second"}
KEPT = "kept"  # a folder for checkpoints, in a job's folder


def keeping(write: Callable[[Path, int, dict[str, Any]], None]) -> Callable[[Path, int, dict[str, Any]], None]:
    """Write checkpoints that stay when their job is done: each is linked in a folder of its own, too."""

    def write_and_keep(folder: Path, step: int, state: dict[str, Any]) -> None:
        write(folder, step, state)
        link = folder / KEPT / f"{step:09d}.pt"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.hardlink_to(folder / CHECKPOINTS / link.name)

    return write_and_keep


def enter(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    limit: int | None,
    keep_checkpoints: bool,
    start_method: str | None,
    terminal: str | None,
) -> None:
    """The forked process: `caebench ARGUMENTS`, with both streams in a file.

    With a start method, its loader processes are started so; with a terminal, it leads a session there.
    """
    os.environ.update(environment)
    os.chdir(log.parent)  # a folder of the user
    if terminal is not None:
        os.login_tty(os.open(terminal, os.O_RDWR))
    if start_method is not None:
        multiprocessing.set_start_method(start_method, force=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if keep_checkpoints:
        from caebench.training import checkpoint  # torch, which the forked process has

        checkpoint.write = keeping(checkpoint.write)
    sys.argv = ["caebench", *arguments]
    main()


@dataclass
class Command:
    """A command line at work."""

    process: Any
    log: Path

    @property
    def running(self) -> bool:
        return self.process.is_alive()

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf8")

    def wait(self) -> int:
        """Its exit status; a process that hangs is ended and fails the test."""
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            raise TimeoutError(f"still running after {PATIENCE} s:\n{self.output}")
        return self.process.exitcode

    def wait_until(self, reached: Callable[[], bool]) -> bool:
        """Whether a condition came true while the command was running."""
        end = time.monotonic() + PATIENCE
        while self.running and time.monotonic() < end:
            if reached():
                return True
            time.sleep(0.002)
        return False


@dataclass(frozen=True)
class Bench:
    """A store, the sites of a home folder of its own, and the command line on both."""

    store: Path
    home: Path
    enter: Callable[..., None] = enter  # what the forked process does

    def write_site(self, name: str, text: str) -> None:
        folder = self.home / ".config" / "caebench" / "sites"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.toml").write_text(text, encoding="utf8")

    def start(
        self,
        *arguments: str,
        limit: int | None = None,
        keep_checkpoints: bool = False,
        environment: Mapping[str, str] | None = None,
        start_method: str | None = None,
        terminal: str | None = None,
    ) -> Command:
        """Start `caebench ARGUMENTS`."""
        rank = (environment or {}).get("RANK", "0")
        log = self.home / f"log-{time.monotonic_ns()}-{rank}.txt"
        places = {"HOME": str(self.home), "CAEBENCH_STORE": str(self.store), **(environment or {})}
        given = (arguments, places, log, limit, keep_checkpoints)
        process = FORKS.Process(target=self.enter, args=(*given, start_method, terminal))
        process.start()
        return Command(process, log)

    def run(self, *arguments: str, **options: Any) -> Command:
        """Run it to its end."""
        command = self.start(*arguments, **options)
        command.wait()
        return command

    def run_processes(self, num_processes: int, *arguments: str) -> list[Command]:
        """Run it in a process group."""
        commands = self.start_processes(num_processes, *arguments)
        for command in commands:
            command.wait()
        return commands

    def start_processes(self, num_processes: int, *arguments: str) -> list[Command]:
        """Start it in a process group, with the environment that torchrun sets."""
        group = {"WORLD_SIZE": str(num_processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        ranks = [{**group, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(num_processes)]
        return [self.start(*arguments, environment=rank) for rank in ranks]

    def folder(self, job: Job) -> Path:
        return self.store / job.name

    def set_aside(self, job: Job, name: str) -> Path:
        """Move a job's folder away, so that its next run starts afresh."""
        kept, folder = self.store / name, self.folder(job)
        folder.rename(kept)
        folder.mkdir()
        (folder / "job.json").write_bytes((kept / "job.json").read_bytes())
        return kept


class Answer(NamedTuple):
    """Of a command: its exit status, and what it printed."""

    status: int
    out: str
    error: str


def answer(arguments: Sequence[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Run `caebench ARGUMENTS` in this process."""
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["caebench", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return Answer(int(end.value.code or 0), *capsys.readouterr())


AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as another user")
OTHER = 54321  # a user and a group that have no names


def as_other_user(function: Callable[[], Any], group: int = OTHER) -> Any:
    """What a function returns in a forked process of another user, or the exception that it raises.

    Modules that it needs must be imported before: Python itself may be closed to that user.
    """
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(OTHER)
            found = function()
        except BaseException as error:
            found = error
        os.write(writer, pickle.dumps(found))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        content = file.read()
    os.waitpid(pid, 0)
    return pickle.loads(content)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user may enter; pytest's are closed."""
    with TemporaryDirectory(prefix="caebench-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of metrics.jsonl, without what a clock has measured."""
    path = folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf8").split("\n")[:-1] if path.exists() else []
    return [{name: value for name, value in json.loads(line).items() if name not in TIMING} for line in lines]


def last_step(folder: Path) -> int:
    lines = metrics(folder)
    return lines[-1]["step"] if lines else 0


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf8"))


def own_copy(bench: Bench, job: Job) -> Path:
    """Replace a linked job folder by a copy that a test may damage."""
    link = bench.folder(job)
    source = link.resolve()
    link.unlink()
    shutil.copytree(source, link)
    return link


def variation(bench: Bench, job: Job, config: Config) -> Job:
    """A job with the inputs of another and a config of its own, prepared to run."""
    inputs = {role: parent for role, parent in job.inputs.items() if role == "encoder"}
    new = make_job(config, **inputs)
    Store(bench.store).prepare(new)
    return new


def planned(scale: Scale, recipe: str, variant: str = "vit_s", **method: Any) -> Pretrain:
    """A recipe's pretraining at a scale, with some of its method's fields changed."""
    config = scale.apply(SOURCES[recipe](variant=variant))
    assert isinstance(config, Pretrain)
    return config.replace(method=config.method.replace(**method))


def longer(job: Job, **changes) -> Config:
    """Its config with enough steps for several checkpoints: 5 an epoch."""
    optimization = {"epochs": 12, "global_batch": 8, "warmup_epochs": 1.0, **changes}
    return job.config.replace(optimization=job.config.optimization.replace(**optimization))  # pyright: ignore


def files(*folders):
    """Every file with its size and time, behind links too; without the logs of these tests."""
    found = {}
    for folder in folders:
        paths = [path for one in [folder, *folder.glob("*/*")] for path in one.resolve().rglob("*")]
        for path in paths:
            if not path.name.startswith("log-"):
                stat = path.lstat()
                found[path] = (stat.st_size, stat.st_mtime_ns) if path.is_file() else None
    return found
