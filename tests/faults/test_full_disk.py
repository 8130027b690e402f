"""A disk that is full while a job writes: each time the job fails with that reason, or has not begun; and where there
is room again, the result is the undisturbed one. The disks are small, in memory, and real: `mount -t tmpfs`."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from caebench.files.atomic import write_json
from caebench.files.layout import ATTEMPTS, ENCODER, JOB, LEASE, METRICS, MODEL, PROVENANCE, RESULT
from tests.faults.chain import (
    SUITE_FILE,
    enter_unchecked,
    found_in,
    left_over,
    link_to,
    new_bench,
    of_kind,
    run_suite,
    states,
)
from tests.helpers import Bench, read

DISK = 64 * 2**20  # bytes: room for the chain many times over
PAGE = os.sysconf("SC_PAGE_SIZE")
FILLER = "filler"
FULL = "No space left on device"
slow = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a disk of so many bytes and files."""
    mounted: list[Path] = []

    def mount(size: int = DISK, files: int = 100_000) -> Path:
        path = tmp_path / f"disk-{len(mounted)}"
        path.mkdir()
        made = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={files},mode=755", "tmpfs", str(path)]
        try:
            run = subprocess.run(made, capture_output=True, text=True)
        except OSError as error:
            pytest.skip(f"no disk can be mounted here: {error}")
        if run.returncode != 0:
            pytest.skip(f"no disk can be mounted here: {run.stderr.strip()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path, left: int) -> None:
    """Fill a disk until so many bytes are left, in whole pages, whatever else is written meanwhile."""
    with (disk / FILLER).open("wb") as file:
        while (free := _free(disk) - left // PAGE * PAGE) > 0:
            with suppress(OSError):  # another process was faster
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def fill_inodes(disk: Path, left: int) -> None:
    """Make files until so many more can be made."""
    (disk / FILLER).mkdir()
    for number in range(os.statvfs(disk).f_ffree - left):
        (disk / FILLER / str(number)).touch()


def make_room(disk: Path) -> None:
    """Delete what fills the disk."""
    path = disk / FILLER
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def begun(disk: Callable[..., Path], tmp_path: Path, undisturbed: Path) -> tuple[Path, Bench]:
    """A disk with a store in which the world is done already."""
    root = disk()
    bench = new_bench(root / "store", tmp_path / "home")
    link_to(undisturbed, bench.store, "data")
    return root, bench


def check_struck(bench: Bench, output: str, status: int) -> None:
    """Check what is there after a run on a full disk: a reason, nothing that looks whole, no lease.

    A job whose result was written has given its checkpoints' room back, and the others may have found it.
    """
    if status == 0:
        assert {state for state, _ in states(bench.store).values()} == {"done"} and len(states(bench.store)) == 4
        return
    assert status in (1, 2) and "Traceback" not in output, output
    assert any(said in output for said in (FULL, "Is the disk full?")), output
    for kind, (state, reason) in states(bench.store).items():
        assert state in ("done", "failed", "blocked", "todo", "paused"), (kind, state, reason)
        assert state != "failed" or FULL in reason or "disk full" in reason, (kind, reason)
        assert state != "blocked" or kind in ("knn", "linear_probe")
    shown = bench.run("status")
    assert shown.process.exitcode == 0 and "Traceback" not in shown.output, shown.output
    assert left_over(bench.store) == []


def check_healed(bench: Bench, undisturbed: Path) -> None:
    """Check that the next run finishes, with the undisturbed numbers and files."""
    command = run_suite(bench)
    assert command.process.exitcode == 0, command.output
    assert found_in(bench.store) == found_in(undisturbed) and left_over(bench.store) == []


# KiB, from nothing at all to room for all but the last files. A checkpoint has 1.2 MB, and there are two and a new one.
ROOM = [0, 4, 8, 16, 32, 72, 96, 160, 400, 900, 1400, 2000, 2600, 3000, 3300, 3600, 3900]


@pytest.mark.parametrize("room", [one if one in (8,) else pytest.param(one, marks=slow) for one in ROOM])
def test_a_disk_with_little_room(begun, undisturbed, room):
    root, bench = begun
    fill(root, room * 1024)
    command = run_suite(replace(bench, enter=enter_unchecked))
    print(f"{room} KiB were left: {states(bench.store)}")
    check_struck(bench, command.output, command.process.exitcode)
    make_room(root)
    check_healed(bench, undisturbed)


def enter_filling(root: Path, name: str, count: int, left: int, *arguments: Any) -> None:
    """A process on whose disk others leave so little when it comes to write a file for the n-th time."""
    touch, usual, seen = Path.touch, Path.open, [0]

    def look(path: Path) -> None:
        if name in path.name and root in path.parents:
            seen[0] += 1
            if seen[0] == count and not (root / FILLER).exists():
                fill(root, left)

    def touch_there(path: Path, *given: Any, **named: Any) -> None:
        look(path)
        touch(path, *given, **named)

    def open_there(path: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
        if "a" in mode:
            look(path)
        return usual(path, mode, *given, **named)

    Path.touch, Path.open = touch_there, open_there  # pyright: ignore[reportAttributeAccessIssue]
    enter_unchecked(*arguments)


STRUCK = [
    (JOB, 1),
    (LEASE, 1),
    (ATTEMPTS, 1),  # an attempt begins
    (ATTEMPTS, 2),  # it has ended
    (PROVENANCE, 1),
    (METRICS, 1),
    (METRICS, 3),
    ("000000010.pt", 1),
    ("000000030.pt", 1),
    (ENCODER, 1),
    (MODEL, 1),
    (RESULT, 1),
    (RESULT, 2),  # of a probe
]
CHEAP = [(LEASE, 1), (RESULT, 1)]


@pytest.mark.parametrize("left", [0, pytest.param(1, marks=slow)])
@pytest.mark.parametrize("struck", [one if one in CHEAP else pytest.param(one, marks=slow) for one in STRUCK], ids=str)
def test_a_disk_that_is_full_when_a_file_is_to_be_written(begun, undisturbed, struck, left):
    """With no room at all, or with one page for all that is small."""
    root, bench = begun
    command = run_suite(replace(bench, enter=partial(enter_filling, root, *struck, left * PAGE)))
    print(f"{struck}, {left} pages were left: {states(bench.store)}")
    assert (root / FILLER).exists(), "it has struck"
    check_struck(bench, command.output, command.process.exitcode)
    make_room(root)
    check_healed(bench, undisturbed)


@pytest.mark.parametrize("left", [0, 1, 2, 3, 5, 8, 13, 21])
@slow
def test_a_disk_with_few_inodes(begun, undisturbed, left):
    root, bench = begun
    fill_inodes(root, left)
    command = run_suite(replace(bench, enter=enter_unchecked))
    print(f"{left} inodes were left: {states(bench.store)}")
    check_struck(bench, command.output, command.process.exitcode)
    make_room(root)
    check_healed(bench, undisturbed)


@slow
def test_a_job_alone_and_a_retry_heal_too(begun, undisturbed):
    root, bench = begun
    run_suite(replace(bench, enter=partial(enter_filling, root, RESULT, 1, 0)))
    job = of_kind(bench.store, "pretrain").name.rpartition("-")[2]
    command = bench.run("run", "job", job, "--site", "eager")
    assert command.process.exitcode == 1 and FULL in command.output and "Traceback" not in command.output
    make_room(root)
    command = bench.run("retry", str(bench.home / SUITE_FILE), "--site", "eager")
    assert command.process.exitcode == 0, command.output
    assert found_in(bench.store) == found_in(undisturbed)


def test_a_run_that_has_no_room_is_refused_before_it_begins(begun):
    root, bench = begun
    fill(root, 2**20)
    command = run_suite(bench)
    assert command.process.exitcode == 2
    assert f"{bench.store}: 1 MB free" in command.output and "Free some, or use --store" in command.output
    assert left_over(bench.store) == [] and set(states(bench.store)) == {"data"}


def test_what_no_suite_plans_is_deleted_from_a_full_disk(begun, undisturbed):
    root, bench = begun
    done = of_kind(undisturbed, "pretrain")
    older = bench.store / "pretrain" / "cae-0123456789"
    shutil.copytree(done, older)
    write_json(older / JOB, {**read(older / JOB), "id": "0123456789"})
    fill(root, 0)
    command = bench.run("store", "--delete", "--yes")
    assert command.process.exitcode == 0 and " freed" in command.output, command.output
    assert set(states(bench.store)) == {"data"} and left_over(bench.store) == []
