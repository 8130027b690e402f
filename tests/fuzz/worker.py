"""A long-lived worker: one input after another in one process, each judged by the oracle."""

import importlib
import io
import os
import random
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO

import typer

from caebench import cli
from tests.fuzz import doors, readers
from tests.fuzz.case import Case
from tests.fuzz.guard import Guard, installed
from tests.fuzz.kinds.base import Files, Kind
from tests.fuzz.oracle import LIMITS, SECRETS, Answer, Fault, Limits, faults_of
from tests.fuzz.place import Place
from tests.fuzz.verbs import root_command

HEAVY = ("caebench.stages", "caebench.tasks.encoder_files", "caebench.tasks.dense.detection")
MOST_READ = 2**20  # bytes of a written file that are searched for secrets


def case_of(kind: Kind, seed: int, number: int, base: Files) -> Case:
    """The input of a number: drawn, or of a kind that lists its inputs, the one of that place."""
    listed: Sequence[Case] = getattr(kind, "listed", ())
    return listed[number] if seed >= 0 and listed else kind.case(random_of(kind.name, seed, number), base)


def random_of(kind: str, seed: int, number: int) -> random.Random:
    """The random numbers of an input: of its kind, its seed and its number alone."""
    return random.Random(f"{kind}/{seed}/{number}")


class Worker:
    """Runs the inputs of a kind."""

    def __init__(self, kind: Kind, root: Path, limits: Limits = LIMITS) -> None:
        self.kind, self.root, self.limits = kind, root, limits
        (scratch := root / "scratch").mkdir(parents=True)
        self.place = Place((root / "place").resolve(), kind.base(scratch))
        self.guard = _prepare(self.place, kind.needs_torch)
        self.spill = (root / "spill").open("w+b")
        self.idle = 0
        for number in range(3):
            self.run(self.case(-1, number))  # what is imported late belongs to an idle worker
        self.idle = resident()

    def case(self, seed: int, number: int) -> Case:
        """The input of a number."""
        return case_of(self.kind, seed, number, self.place.base)

    def check(self, case: Case) -> list[Fault]:
        """What is wrong with the answer to a case."""
        return faults_of(case, self.run(case), self.limits)

    def run(self, case: Case) -> Answer:
        """The answer to a case; the place is as before."""
        self.place.apply(case)
        os.chdir(self.place.root / "work")
        reset_peak()
        self.guard.begin(str(self.place.root))
        begin, queued = time.monotonic(), queued_seconds()
        try:
            with streams_to(self.spill):
                answer = run_here(case)
        finally:
            self.guard.end()
        answer.seconds = time.monotonic() - begin - (queued_seconds() - queued)
        answer.error += _drain(self.spill)
        answer.memory = peak() - self.idle if self.idle else 0
        answer.started, answer.net = tuple(self.guard.started), tuple(self.guard.net)
        self._look_at_files(answer)
        self.place.restore()
        return answer

    def _look_at_files(self, answer: Answer) -> None:
        root = f"{self.place.root}/"
        touched = {path.removeprefix(root) for path in self.guard.written if path.startswith(root)}
        changed = {*self.place.changed(), *touched}
        answer.written = {name: _content(self.place.root / name) for name in sorted(changed)}
        answer.elsewhere = tuple(path for path in self.guard.written if not path.startswith(root))


@contextmanager
def streams_to(file: IO[bytes]) -> Iterator[None]:
    """What libraries write past Python, to the process's own streams, goes to a file."""
    before = [os.dup(number) for number in (1, 2)]
    for number in (1, 2):
        os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        for number, kept in zip((1, 2), before, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def _drain(file: IO[bytes]) -> bytes:
    file.seek(0)
    content = file.read()
    file.seek(0)
    file.truncate()
    return content


def _content(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(MOST_READ)


def _prepare(place: Place, needs_torch: bool) -> Guard:
    """Make this process one of a user who has that home folder, and secrets in the environment."""
    for name in HEAVY if needs_torch else ():
        importlib.import_module(name)  # before the guard: some libraries write a cache when they are first imported
    for name in [name for name in os.environ if name.startswith("CAEBENCH_")]:
        del os.environ[name]
    (temporary := place.root.parent / "tmp").mkdir()
    os.environ.update(SECRETS, HOME=str(place.root / "home"), COLUMNS="160", TMPDIR=str(temporary))
    sys.dont_write_bytecode = True
    typer.main.get_command = lambda _: root_command()  # it is the same for every input
    doors.close()
    return installed()


def run_here(case: Case) -> Answer:
    """The answer of `caebench ARGUMENTS` in this process."""
    out, error = (io.TextIOWrapper(io.BytesIO(), encoding="utf8") for _ in range(2))
    answer = Answer(None)
    with redirect_stdout(out), redirect_stderr(error), nothing_typed():
        try:
            sys.argv = ["caebench", *case.arguments]
            readers.enter(sys.argv[1:]) if case.arguments[:1] and case.arguments[0] in readers.READERS else cli.main()
            answer.status = 0
        except SystemExit as end:
            answer.status = 0 if end.code is None else end.code
        except BaseException:  # a finding, whatever it is
            answer.trace = traceback.format_exc()[-4000:]
    for stream in (out, error):
        stream.flush()
    answer.out, answer.error = out.buffer.getvalue(), error.buffer.getvalue()  # pyright: ignore
    return answer


@contextmanager
def nothing_typed() -> Iterator[None]:
    """A standard input that is at its end."""
    before = sys.stdin
    with open(os.devnull, encoding="utf8") as sys.stdin:
        try:
            yield
        finally:
            sys.stdin = before


def resident(pid: int | str = "self") -> int:
    """Bytes of resident memory of a process; 0 of one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def queued_seconds(pid: int | str = "self") -> float:
    """For how long a process was ready and had no core: on a busy machine, no fault of its own."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def reset_peak() -> None:
    """Count the peak of the resident memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most bytes of resident memory since then."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
