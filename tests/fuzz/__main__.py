"""`python -m tests.fuzz --kind suite --seed 7 --count 10000`: inputs in bulk, a table, and status 1 on any finding."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz import processes
from tests.fuzz.campaign import Campaign, Result, save, show, table
from tests.fuzz.case import Case
from tests.fuzz.kinds.registry import KINDS
from tests.fuzz.worker import Worker


def main() -> int:
    """Run the chosen kinds, or one saved input again."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="default: all; can be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000, help="inputs of each kind in long-lived workers")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--processes", type=int, default=100, help="inputs of each kind in processes of their own")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="where findings are saved; default: a temporary folder")
    parser.add_argument("--again", type=Path, help="a saved input: run it once in this process")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caebench-fuzz-") as scratch:
        return _again(given.again, Path(scratch)) if given.again else _campaigns(given, Path(scratch))


def _campaigns(given: argparse.Namespace, scratch: Path) -> int:
    folder = given.out or Path(tempfile.mkdtemp(prefix="caebench-found-"))
    folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for kind in given.kind or KINDS:
        results.append(Campaign(kind, given.seed, given.count, given.workers, scratch, given.first).run())
        if given.processes:
            results.append(processes.run(kind, given.seed, given.processes, given.workers, scratch))
        for one in results[-2:]:
            save(one.findings, folder)
    for one in results:
        show(one.findings)
    print(f"seed {given.seed}\n{table(results)}")
    num_findings = sum(len(one.findings) for one in results)
    print(f"{num_findings} findings" + (f", each a file in {folder}" if num_findings else ""))
    return 1 if num_findings else 0


def _again(path: Path, scratch: Path) -> int:
    case = Case.read(path)
    path = path.resolve()
    faults = Worker(KINDS[case.kind], scratch / "worker").check(case)
    for fault in faults:
        print(f"{fault.column}: {fault.words}")
    print(f"{path}: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
