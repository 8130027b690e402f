"""A run of the fuzzer: workers that take ranges of numbers, a watch over each of them, and the table at the end."""

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.case import Case
from tests.fuzz.kinds.registry import EVERY
from tests.fuzz.oracle import FAULTS, LIMITS, Fault, Limits
from tests.fuzz.worker import Worker, case_of, queued_seconds, resident
from tests.helpers import FORKS

STEP = 250  # inputs that a worker is given at once
LOOK_EVERY = 0.1  # seconds
STARTING = 120.0  # seconds for a worker to fill its place, on a busy machine
SHOWN = 300  # characters of a finding


class Finding(NamedTuple):
    """An input with what was wrong with it."""

    case: Case
    seed: int
    number: int
    faults: list[Fault]


@dataclass
class Result:
    """Of a kind."""

    kind: str
    inputs: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Findings by the column that counts them, an input once in each."""
        return Counter(column for one in self.findings for column in {fault.column for fault in one.faults})


def work(kind: str, root: str, limits: Limits, link: Connection) -> None:
    """The process of a worker: it says what it begins, what it found, and that it is ready for more."""
    worker = Worker(EVERY[kind], Path(root), limits)
    link.send(("ready", worker.idle))
    while (task := link.recv()) is not None:
        seed, numbers = task
        for number in numbers:
            link.send(("begins", number))
            case = worker.case(seed, number)
            faults = worker.check(case)
            link.send(("ends", number, case if faults else None, faults))
        link.send(("ready", worker.idle))


class Hand:
    """A worker process as its parent sees it: what it does, since when, and how much memory it takes."""

    def __init__(self, kind: str, folder: Path, limits: Limits) -> None:
        self.kind, self.limits, self.root = kind, limits, tempfile.mkdtemp(prefix=f"{kind}-", dir=folder)
        self.link, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=work, args=(kind, self.root, limits, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.idle, self.number, self.since, self.is_gone = 0, -1, time.monotonic(), False
        self.queued = 0.0  # seconds without a core, before its present input
        self.left: list[int] = []

    def fault(self) -> Fault | None:
        """Why it has to be ended, if it has."""
        if self.is_gone:
            self.process.join()
            return Fault("tracebacks", f"the process ended with {self.process.exitcode}")
        took = time.monotonic() - self.since - (queued_seconds(self.process.pid or 0) - self.queued)
        memory = resident(self.process.pid or 0) - self.idle if self.idle else 0
        if memory > self.limits.memory:
            return Fault("memory", f"{memory / 2**30:.1f} GiB over the idle worker's")
        if self.number >= 0 and took > self.limits.seconds:
            return Fault("hangs", f"no answer after {took:.0f} s")
        if self.number < 0 and not self.idle and took > STARTING:
            return Fault("hangs", "the worker has not started")
        return None

    def end(self) -> None:
        """End the process, and delete its place."""
        self.process.kill()
        self.process.join()
        self.link.close()
        shutil.rmtree(self.root, ignore_errors=True)


class Campaign:
    """All inputs of a kind, on some workers."""

    def __init__(
        self, kind: str, seed: int, count: int, num_workers: int, folder: Path, first: int = 0, limits: Limits = LIMITS
    ) -> None:
        self.result, self.seed, self.folder, self.limits = Result(kind), seed, folder, limits
        self.waiting = list(range(first, first + count))[::-1]
        self.again: Counter[int] = Counter()  # how often an input has ended its worker
        self.num_workers, self.count, self.said = num_workers, count, time.monotonic()

    def run(self) -> Result:
        """Run every input once; one that ends its worker is tried again, and is a finding the second time."""
        begin = time.monotonic()
        hands = [self._hand() for _ in range(self.num_workers)]
        try:
            while self.result.inputs < self.count:
                for link in wait([hand.link for hand in hands], LOOK_EVERY):
                    self._hear(next(hand for hand in hands if hand.link is link))
                for number, hand in enumerate(hands):
                    if (fault := hand.fault()) is not None:
                        self._lost(hand, fault)
                        hands[number] = self._hand()
                self._say()
        finally:
            for hand in hands:
                hand.end()
        self.result.seconds = time.monotonic() - begin
        return self.result

    def _hand(self) -> Hand:
        return Hand(self.result.kind, self.folder, self.limits)

    def _hear(self, hand: Hand) -> None:
        try:
            what, *facts = hand.link.recv()
        except (EOFError, ConnectionResetError):
            hand.is_gone = True
            return
        hand.since, hand.queued = time.monotonic(), queued_seconds(hand.process.pid or 0)
        if what == "begins":
            hand.number = facts[0]
        elif what == "ends":
            self._ended(hand, *facts)
        else:
            hand.idle = facts[0]
            hand.left = [self.waiting.pop() for _ in range(min(STEP, len(self.waiting)))]
            hand.link.send((self.seed, list(hand.left))) if hand.left else None

    def _ended(self, hand: Hand, number: int, case: Case | None, faults: list[Fault]) -> None:
        hand.left.remove(number)
        hand.number = -1
        self.result.inputs += 1
        if case is not None:
            self.result.findings.append(Finding(case, self.seed, number, faults))

    def _lost(self, hand: Hand, fault: Fault) -> None:
        """A worker that hangs, takes too much or has died: its other inputs go back."""
        number = hand.number
        hand.end()
        if number < 0 and not hand.idle:
            raise RuntimeError(f"no worker of kind {self.result.kind} starts: {fault.words}")
        if number >= 0 and self.again[number] and number in hand.left:
            hand.left.remove(number)
            self.result.inputs += 1
            case = remade(self.result.kind, self.seed, number, self.folder)
            self.result.findings.append(Finding(case, self.seed, number, [fault]))
        self.again[number] += 1
        self.waiting += hand.left[::-1]

    def _say(self) -> None:
        if time.monotonic() - self.said > 10.0:
            self.said = time.monotonic()
            found = len(self.result.findings)
            print(f"{self.result.kind}: {self.result.inputs:,} of {self.count:,}, {found} findings", flush=True)


def remade(kind: str, seed: int, number: int, folder: Path) -> Case:
    """The input of a number, made in this process."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        return case_of(EVERY[kind], seed, number, EVERY[kind].base(Path(scratch)))


def save(findings: Sequence[Finding], folder: Path) -> None:
    """A file for each finding: the input, its seed and number, and what was wrong."""
    for one in findings:
        faults = [{"column": fault.column, "words": fault.words} for fault in one.faults]
        path = folder / f"{one.case.kind}-{one.seed}-{one.number}.json"
        path.write_text(one.case.as_json(seed=one.seed, number=one.number, faults=faults), encoding="utf8")


HEADER = ("kind", "inputs", *FAULTS, "seconds")


def table(results: Sequence[Result]) -> str:
    """The counts of all kinds, in columns."""
    rows = [HEADER, *(tuple(_cells(result)) for result in results)]
    widths = [max(len(row[number]) for row in rows) for number in range(len(HEADER))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _cells(result: Result) -> Iterator[str]:
    yield from (result.kind, f"{result.inputs:,}")
    yield from (str(result.counts[column]) for column in FAULTS)
    yield f"{result.seconds:.0f}"


def show(findings: Sequence[Finding], out: Any = sys.stdout) -> None:
    """Some words on each finding."""
    for one in findings:
        for fault in one.faults:
            words = ascii(fault.words.strip()[-SHOWN:])
            print(f"{one.case.kind} {one.number}: {fault.column}: {one.case.arguments!a}: {words}", file=out)
