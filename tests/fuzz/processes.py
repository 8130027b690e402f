"""Inputs as a user gives them: each in a process of its own, judged by the same oracle but for audit events."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tests.fuzz.campaign import Finding, Result
from tests.fuzz.case import Case
from tests.fuzz.kinds.registry import KINDS
from tests.fuzz.oracle import SECRETS, Answer, faults_of, verb_of
from tests.fuzz.place import Place
from tests.fuzz.worker import MOST_READ, queued_seconds, random_of, resident

REPOSITORY = Path(__file__).parents[2]
IDLE = ("ckpt", "families")  # a command whose memory is that of an idle one: of kinds with torch, a seed's
WORKING = ("run suite", "run job", "retry", "data make", "bench", "assets fetch")  # verbs that would do real work
PATIENCE = 60.0  # seconds, on a busy machine; the oracle judges those that it had a core, or waited for something else
FIRST = 1_000_000  # the number of the first input: none is one of a worker's


def is_quick(case: Case) -> bool:
    """Whether a command line asks for no work, and is one of the command line itself."""
    first = case.arguments[0] if case.arguments else ""
    words = (first, verb_of(case.arguments))
    return not first.startswith("@") and ("--dry-run" in case.arguments or not set(words) & set(WORKING))


def chosen(kind: str, seed: int, count: int, base: dict[str, bytes]) -> Iterator[tuple[int, Case]]:
    """The inputs of a kind that processes run."""
    number = FIRST
    while count:
        case = KINDS[kind].case(random_of(kind, seed, number), base)
        if is_quick(case) and "\0" not in "".join(case.arguments):  # no process can be given one
            yield number, case
            count -= 1
        number += 1


class Processes:
    """A kind's inputs in processes, in one place."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.root = kind, Path(tempfile.mkdtemp(prefix=f"processes-{kind}-", dir=folder))
        (scratch := self.root / "scratch").mkdir()
        self.place = Place((self.root / "place").resolve(), KINDS[kind].base(scratch))
        self.command: tuple[str, ...] = (sys.executable, "-m", "caebench")
        self.idle = self._start(Case(kind, IDLE)).memory

    def findings(self, seed: int, cases: list[tuple[int, Case]]) -> list[Finding]:
        """What was wrong with them; a hang, once it is one twice."""
        found: list[Finding] = []
        for number, case in cases:
            if (faults := faults_of(case, self.answer(case))) and {fault.column for fault in faults} == {"hangs"}:
                faults = faults_of(case, self.answer(case))
            if faults:
                found.append(Finding(case, seed, number, faults))
        return found

    def answer(self, case: Case) -> Answer:
        """The answer to a case; the place is as before."""
        self.place.apply(case)
        answer = self._start(case)
        answer.memory = max(0, answer.memory - self.idle)
        changed = [name for name in self.place.changed() if (self.place.root / name).is_file()]
        answer.written = {name: _head(self.place.root / name) for name in changed}
        self.place.restore()
        return answer

    def _start(self, case: Case) -> Answer:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CAEBENCH_")}
        environment |= {**SECRETS, "HOME": str(self.place.root / "home"), "PYTHONPATH": str(REPOSITORY)}
        given = [word.encode("utf8", "surrogateescape") for word in (*self.command, *case.arguments)]
        begin = time.monotonic()
        process = subprocess.Popen(
            given,
            **{"cwd": self.place.root / "work", "env": {**environment, "COLUMNS": "160"}, "stdin": subprocess.DEVNULL},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE},
        )
        seen = Seen()
        Thread(target=_watch, args=(process, seen), daemon=True).start()
        try:
            out, error = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, error = process.communicate()
        seconds = time.monotonic() - begin - seen.queued
        is_killed = process.returncode == -9
        status = 0 if is_killed else process.returncode
        return Answer(status, out, error, seconds=PATIENCE if is_killed else seconds, memory=seen.memory)


@dataclass
class Seen:
    """What was seen of a process while it ran."""

    memory: int = 0  # bytes at most
    queued: float = 0.0  # seconds without a core


def _watch(process: "subprocess.Popen[bytes]", seen: Seen) -> None:
    while process.poll() is None:
        seen.memory = max(seen.memory, resident(process.pid))
        seen.queued = max(seen.queued, queued_seconds(process.pid))
        time.sleep(0.05)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_READ)


def run(kind: str, seed: int, count: int, num_workers: int, folder: Path) -> Result:
    """So many inputs of a kind, each in a process of its own."""
    begin, result = time.monotonic(), Result(f"{kind}, processes")
    hands = [Processes(kind, folder) for _ in range(num_workers)]
    cases = list(chosen(kind, seed, count, dict(hands[0].place.base)))
    with ThreadPoolExecutor(num_workers) as pool:
        shares = [cases[number::num_workers] for number in range(num_workers)]
        for found in pool.map(lambda hand, share: hand.findings(seed, share), hands, shares):
            result.findings += found
    result.inputs, result.seconds = len(cases), time.monotonic() - begin
    return result
